"""Serves the reports' folder to a browser on this machine, and to no other."""

from __future__ import annotations

import functools
import http.server
from pathlib import Path

from orchestrator.artifacts.store import StorageError, Store

HOST = "127.0.0.1"
PORT = 8765


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Prints no line for each request."""

    def log_message(self, format: str, *args: object) -> None:
        return None


def open_server(store: Store, port: int) -> http.server.ThreadingHTTPServer:
    """A server of ``reports/``, ready to ``serve_forever``; port 0 takes any that is free.

    Raises:
        StorageError: when the storage is no folder, or the port is taken.
    """
    if store.local_root is None:
        raise StorageError(
            f"--serve: the storage '{store.uri}' is no folder; copy the report.html that you want to see, it needs no "
            "other file"
        )
    folder = Path(store.path("reports"))
    try:
        return http.server.ThreadingHTTPServer((HOST, port), functools.partial(_Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise StorageError(
            f"--serve {port}: the port can't be opened ({error}); give another one, or 0 for any"
        ) from error
