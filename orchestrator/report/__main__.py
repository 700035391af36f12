"""The command ``python -m orchestrator.report``: makes pages again, compares runs, serves them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Store
from orchestrator.errors import OptionError
from orchestrator.last_resort import run_command
from orchestrator.report import serve, storage


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say; returns the exit code (see ``last_resort.run_command``)."""
    options = _parser().parse_args(arguments)
    return run_command(lambda interruption: _do(options), verbose=options.verbose)


def _do(options: argparse.Namespace) -> int:
    store = Store.of_command(options.storage)
    if options.compare:
        if options.run:
            raise OptionError(f"run '{options.run}' stands before --compare; give every run after it")
        from orchestrator.report.page.compare import compare

        page = compare(store, options.compare)
    else:
        page = storage.rebuild(store, options.run)
    print(page)
    if options.serve is None:
        return 0
    server = serve.open_server(store, options.serve)
    below = page.removeprefix(address(store, "reports")).lstrip("/")
    print(f"http://{serve.HOST}:{server.server_port}/{below} (Ctrl-C ends it)", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.report",
        description="Make report.md and report.html of a run again, from its report.json and artifacts, and print "
        "where the page lies. The page is one file and needs no network. --compare makes one page of several runs.",
    )
    parser.add_argument("storage", metavar="STORAGE", help="folder or URI that holds the results (runs, by default)")
    parser.add_argument("run", nargs="?", metavar="RUN", help="a run's id (default: the one reported last)")
    parser.add_argument(
        "--serve", nargs="?", type=int, const=serve.PORT, metavar="PORT",
        help=f"then serve the reports on {serve.HOST} (default port {serve.PORT}; 0: any free one); prints the address",
    )  # fmt: skip
    parser.add_argument(
        "--compare", nargs="+", metavar="RUN", help="two runs or more of this storage, side by side on one page"
    )
    parser.add_argument("--verbose", action="store_true", help="show the traceback of an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
