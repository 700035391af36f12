"""The command: ``python -m orchestrator.export``. Imports torch only once it is known what is exported."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.artifacts.store import Store
from orchestrator.errors import OptionError
from orchestrator.export.options import chosen_formats
from orchestrator.export.selection import default_folder, find_expert, find_student, open_run
from orchestrator.last_resort import FAILED, run_command
from orchestrator.locations import PathError, local_path

DONE = 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the arguments say; returns the exit code (see ``last_resort.run_command``): 1 if a check failed."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda interruption: _export(options),
        interrupted="interrupted; nothing was exported",
        verbose=options.verbose,
    )


def _export(options: argparse.Namespace) -> int:
    formats = chosen_formats(options.format, options.quantize)
    out, dataset_root = _path("--out", options.out), _path("--dataset-root", options.dataset_root)
    if options.expert is not None and (options.method or options.seed is not None):
        raise OptionError("--expert names a network of the ladder; leave out --method and --seed, which name a student")
    run = open_run(Store.of_command(options.storage), options.run)
    chosen = (
        find_expert(run, options.expert)
        if options.expert is not None
        else find_student(run, options.method, options.seed)
    )
    who = f"expert {chosen.name}" if chosen.method is None else f"{chosen.name} by {chosen.method}, seed {chosen.seed}"
    print(f"run {run.id}: {who} ({chosen.why})", flush=True)

    from orchestrator.export.exporting import CARD, export
    from orchestrator.export.formats import ExportFailedError

    folder = Path(out) if out else default_folder(run, chosen)
    try:
        export(
            run, chosen, formats, folder,
            int8=bool(options.quantize), dataset_root=dataset_root, say=lambda line: print(line, flush=True),
        )  # fmt: skip
    except ExportFailedError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    print(f"model card: {folder / CARD}")
    return DONE


def _path(option: str, given: str | None) -> str | None:
    """Returns the path that an option names; None where it is not given."""
    try:
        return None if given is None else local_path(given)
    except PathError as error:
        raise OptionError(f"{option}: {error}") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.export",
        description="Write a trained network of a finished run as files that do not need this project, with a model "
        "card. Every file is opened again in a process that can't import this project, and compared with the network, "
        "before it is kept.",
        epilog="Exit code: 0 done, 1 a file could not be written or does not do what the network does (none is kept), "
        "2 bad input. More: docs/export.md",
    )
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help="a run's id (default: the one that <storage>/reports/latest names)")
    add("--storage", default="runs", metavar="URI", help="folder or URI of the run's results (default: runs)")
    add("--method", help="a student by this method (default: the best mean validation accuracy)")
    add("--seed", type=int, help="the student of this seed (default: the method's best on validation)")
    add("--expert", metavar="NAME", help="a network of the ladder instead of a student")
    add(
        "--format", action="append", metavar="FORMAT",
        help="safetensors (weights), torch-export (a graph for PyTorch), onnx (a graph for ONNX Runtime), or all; "
        "may be repeated (default: all)",
    )  # fmt: skip
    add(
        "--quantize", metavar="int8",
        help="int8: also write the ONNX graph with int8 inference, calibrated on training images; measures its "
        "accuracy on validation and on test images",
    )  # fmt: skip
    add("--out", metavar="FOLDER", help="where to write (default: exports/<run>/<method>-seed<seed>)")
    add("--dataset-root", metavar="FOLDER", help="where an image_folder's photos lie now (default: as in the recipe)")
    add("--verbose", action="store_true", help="show the traceback of an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
