"""Command ``python -m benchmarks [NAME ...]``: prints tables of ratios to a floor, and appends them to results.md."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from importlib import import_module

from benchmarks import measure

USUAL = ("epoch", "score", "train_path", "search", "graph", "resume")
NAMED = (  # special, slow, or in need of other packages: they run when named
    "memory", "selected", "halving", "peers", "slots", "stages", "workers", "gpu", "score_memory", "top_k", "formats",
    "photos", "ingest_memory",
)  # fmt: skip
ROUNDS, SHORT_ROUNDS = 5, 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks that the arguments name."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Benchmarks: each prints a table of ratios to a floor that runs in the same rounds, median "
        "[minimum, maximum]. Let nothing else run beside them.",
    )
    parser.add_argument(
        "names",
        nargs="*",
        choices=[*USUAL, *NAMED, []],
        metavar="NAME",
        help=f"of {', '.join((*USUAL, *NAMED))}; none: the first {len(USUAL)}",
    )
    parser.add_argument("--rounds", type=int, help=f"rounds that count (default {ROUNDS}; with --short {SHORT_ROUNDS})")
    parser.add_argument("--short", action="store_true", help="fewer images; all in about ten minutes")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads (default: all)")
    parser.add_argument("--append", action="store_true", help=f"add the tables to {measure.RESULTS.name}")
    options = parser.parse_args(arguments)
    rounds = options.rounds or (SHORT_ROUNDS if options.short else ROUNDS)
    for name in options.names or USUAL:
        print(f"{name}: {rounds} rounds", flush=True)
        start = time.monotonic()
        text = import_module(f"benchmarks.{name}").run(rounds, options.short, options.threads)
        print(f"\n{text}\n\n{time.monotonic() - start:.0f} s\n", flush=True)
        if options.append:
            measure.append(name, text)


if __name__ == "__main__":
    main()
