"""Serves the reports' folder to a browser on this machine, and to no other."""

from __future__ import annotations

import functools
import http.server
from pathlib import Path

from orchestrator.artifacts.store import Store
from orchestrator.errors import OptionError, PortError

HOST = "127.0.0.1"
PORT = 8765


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A handler without a log of its requests."""

    def log_message(self, format: str, *args: object) -> None:
        return None


def open_server(store: Store, port: int) -> http.server.ThreadingHTTPServer:
    """Returns a server of ``reports/``, ready to ``serve_forever``; port 0 takes any that is free.

    Raises:
        OptionError: when the storage is no folder.
        PortError: when the port is taken.
    """
    if store.local_root is None:
        raise OptionError(
            f"--serve: the storage '{store.uri}' is no folder; copy the report.html that you want to see, it needs no "
            "other file"
        )
    folder = Path(store.path("reports"))
    try:
        return http.server.ThreadingHTTPServer((HOST, port), functools.partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise PortError(
            f"--serve {port}: the port can't be opened ({error}); give another one, or 0 for any"
        ) from error
