"""``python -m benchmarks [NAME ...]``: print tables of ratios to a floor; ``--append`` adds them to results.md."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from importlib import import_module

from benchmarks import measure

NAMES = ("epoch", "score", "train_path", "search", "halving", "graph", "resume", "peers")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Benchmarks: each prints a table of ratios to a floor that runs in the same rounds, median "
        "[minimum, maximum]. Let nothing else run beside them.",
    )
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], metavar="NAME", help=f"of {', '.join(NAMES)}; all")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument(
        "--short", action="store_true", help="fewer images; two to five minutes for most, at five rounds"
    )
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads (default: all)")
    parser.add_argument("--append", action="store_true", help=f"add the tables to {measure.RESULTS.name}")
    options = parser.parse_args(arguments)
    for name in options.names or NAMES:
        print(f"{name}: {options.rounds} rounds", flush=True)
        start = time.monotonic()
        text = import_module(f"benchmarks.{name}").run(options.rounds, options.short, options.threads)
        print(f"\n{text}\n\n{time.monotonic() - start:.0f} s\n", flush=True)
        if options.append:
            measure.append(name, text)


if __name__ == "__main__":
    main()
