"""TensorBoard on the curves of one run: ``python -m orchestrator.dashboard [RUN]``. ``--optuna``: its searches instead.

A storage holds the curves of all its trainings, under names that end in a hash. By default only the last run is shown,
since a table of hyper-parameters is meaningful for one recipe at a time: TensorBoard reads a folder of links to the
curves of that run's stages, named by stage. ``--all`` shows the whole storage.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.fs as pafs

from orchestrator.artifacts.store import StorageError, Store, short
from orchestrator.errors import OptionError, PortError
from orchestrator.interruption import INTERRUPTED
from orchestrator.last_resort import run_command
from orchestrator.recipe.methods import REFERENCE
from orchestrator.report.content.schema import Report
from orchestrator.report.storage import read

HOST = "127.0.0.1"
LOOK_SECONDS = 5.0  # a running run adds trainings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until Ctrl-C; returns the exit code: 0 then, else as ``last_resort.run_command``."""
    options = _parser().parse_args(arguments)
    code = run_command(lambda interruption: _serve(options), interrupted="ended", verbose=options.verbose)
    return 0 if code == INTERRUPTED else code


def _serve(options: argparse.Namespace) -> int:
    store = Store.of_command(options.storage)
    if options.optuna:
        return _serve_studies(store, options)
    run = options.run
    if run is None:
        run = (store.read_text("reports", "latest") or "").strip() or None
    if options.all:
        run = None
    if run is not None:
        read(store, run)  # raises for an unknown run before anything is served
    with tempfile.TemporaryDirectory(prefix="curves-") as folder:
        logs = _logs(store, Path(folder) / "copy")
        shown = logs
        if run:
            shown = Path(folder) / "run"
            shown.mkdir()
            link(curves(read(store, run), logs), shown)
        print(f"curves of {f'run {run}' if run else f'all runs in {store.uri}'}: {_launch(shown, options.port)}")
        print("Ctrl-C ends it", flush=True)
        while True:
            time.sleep(LOOK_SECONDS)
            if run:
                link(curves(read(store, run), logs), shown)


def _serve_studies(store: Store, options: argparse.Namespace) -> int:
    """Serve Optuna Dashboard on a run's searches until Ctrl-C.

    Raises:
        OptionError: when the run has no searches, or the package is not installed.
    """
    from orchestrator.tracking.optuna_dashboard import Studies, serve  # optuna takes a second to import

    if options.all:
        raise OptionError("--optuna shows the searches of one run; leave --all out")
    report = read(store, options.run)
    run = report["run"]["id"]
    if not report["searches"]:
        raise OptionError(f"run '{run}' has no search (search.trials), so there is nothing to show")
    studies = Studies()
    studies.update(report)
    print(f"searches of run {run}: {serve(studies, HOST, options.port)}")
    print("Ctrl-C ends it", flush=True)
    while True:
        time.sleep(LOOK_SECONDS)
        studies.update(read(store, run))


def curves(report: Report, logs: Path) -> dict[str, Path]:
    """Returns the existing folders of a run's curves, by the names that TensorBoard shows.

    Args:
        report: a run's ``report.json``.
        logs: the folder of all curves.
    """
    found: dict[str, Path] = {}
    for stage in report["stages"]:
        number = short(stage["id"])
        if stage["kind"] == "train":
            found[stage["name"]] = logs / stage["name"] / number
        if stage["kind"] == "search":
            folders = (logs / f"{stage['name'].replace('/', '-')}-{number}").glob("trial-*")
            found |= {f"{stage['name']}/{folder.name}": folder for folder in folders}
    for method, search in report["searches"].items():
        name = "search" if method == REFERENCE else f"search/{method}"
        for trial in search["trials"]:
            if "identity" in trial:  # the training may be an earlier search's
                folders = logs.glob(f"*/trial-*-{short(trial['identity'])}")
                found |= {f"{name}/{folder.name}": folder for folder in folders}
    return {name: folder for name, folder in found.items() if folder.is_dir()}


def link(folders: dict[str, Path], into: Path) -> None:
    """Create a link of each name to its folder where there is none yet."""
    for name, folder in folders.items():
        target = into / name
        if not target.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(folder.absolute(), target_is_directory=True)


def _logs(store: Store, copy: Path) -> Path:
    """Returns the folder of all curves; for an object store, a copy of their current state.

    Raises:
        StorageError: when there are none.
    """
    if store.info("logs").type != pafs.FileType.Directory:
        raise StorageError(
            f"storage '{store.uri}' has no curves; a run writes them: python -m orchestrator.run --storage {store.uri}"
        )
    if store.local_root:
        return store.local_root / "logs"
    copy.mkdir()
    store.download_folder(copy, "logs")
    return copy


def _launch(folder: Path, port: int | None) -> str:
    """Start TensorBoard in this process; returns its address.

    Raises:
        PortError: when the port is taken.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow, if installed, is loaded and logs
    from tensorboard import program

    board = program.TensorBoard()
    choice = ["--port", str(port)] if port else []  # without one it takes the first free port from 6006 on
    board.configure(argv=["tensorboard", "--logdir", str(folder), "--host", HOST, "--reload_interval", "5", *choice])
    try:
        return str(board.launch())
    except program.TensorBoardServerException as error:
        raise PortError(f"TensorBoard can't be started: {error}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.dashboard",
        description="Open TensorBoard on the curves of a run, or Optuna Dashboard on its searches.",
    )
    parser.add_argument("run", nargs="?", metavar="RUN", help="a folder's name below reports/ (default: the last run)")
    parser.add_argument("--all", action="store_true", help="the curves of every run in the storage")
    parser.add_argument("--optuna", action="store_true", help="the run's searches, in Optuna Dashboard")
    parser.add_argument("--storage", default="runs", metavar="URI", help="the run's storage (default: runs)")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: a free one from 6006, or 8080, on)")
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
