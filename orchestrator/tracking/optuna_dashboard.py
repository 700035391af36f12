"""Optuna Dashboard on the searches of one run, served to this machine alone.

It shows studies in memory that are made from the run's report, so that a search that goes on is shown too, and nothing
that is done on the page, such as a note, changes a file of the storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna

from orchestrator.artifacts.trials import TrialRecord
from orchestrator.errors import OptionError, PortError
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.report.content.schema import Report
from orchestrator.search.studies import new_study, trial_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

PACKAGE = "optuna-dashboard>=0.21"  # the extra ``dashboard``
PORTS = range(8080, 8100)  # of which the first free one is taken; 8080 is the dashboard's own


class Studies:
    """The searches of a run as studies in memory, named by their methods."""

    def __init__(self) -> None:
        self.storage = optuna.storages.InMemoryStorage()
        self.shown: dict[str, list[TrialRecord]] = {}

    def update(self, report: Report) -> None:
        """Take over what the report has; a study whose earlier trials have changed is made anew."""
        space = SpaceSpec.from_plain(report["recipe"]["search"]["space"])
        experts = report["experts_by_stratum"]["experts"]
        for method, search in report["searches"].items():
            self._update(method, {"method": method, "run": report["run"]["id"]}, space, search["trials"], experts)

    def _update(
        self, method: str, attributes: Mapping[str, str], space: SpaceSpec, trials: list[TrialRecord],
        experts: list[str],
    ) -> None:  # fmt: skip
        before = self.shown.get(method)
        if before is not None and trials[: len(before)] != before:
            optuna.delete_study(study_name=method, storage=self.storage)
            before = None
        if before is None:
            study = new_study(self.storage, method, attributes)
        else:
            study = optuna.load_study(study_name=method, storage=self.storage)
        study.add_trials([trial_of(record, method, space, experts) for record in trials[len(before or []) :]])
        self.shown[method] = list(trials)


class _Server(ThreadingMixIn, WSGIServer):
    """A server that answers several requests at once."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """A handler without a log of its requests."""

    def log_message(self, format: str, *args: object) -> None:
        return None


def serve(studies: Studies, host: str, port: int | None) -> str:
    """Serve the studies from a thread of this process until it ends; returns the address.

    Raises:
        OptionError: when the package is not installed.
        PortError: when the port is taken, or without one all that may be chosen.
    """
    try:
        import optuna_dashboard
    except ModuleNotFoundError as error:
        raise OptionError(
            f"--optuna needs the package optuna-dashboard, which is not installed; pip install '{PACKAGE}'"
        ) from error
    server = _open(optuna_dashboard.wsgi(studies.storage), host, PORTS if port is None else [port])
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://{host}:{server.server_port}/"


def _open(application: WSGIApplication, host: str, ports: range | list[int]) -> WSGIServer:
    for port in ports:
        try:
            return make_server(host, port, application, server_class=_Server, handler_class=_Quiet)
        except (OSError, OverflowError) as error:
            reason = error
    raise PortError(f"--optuna: port {port} can't be opened ({reason}); give another one with --port, or 0 for any")
