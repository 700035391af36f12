"""A TCP proxy that fails on demand: a stand-in for the network between a run and its storage."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal

from typing_extensions import Self

Mode = Literal["pass", "reset", "slow_down", "hang"]

BODY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class Proxy:
    """Proxy on a free port of the loopback before a server; a context manager.

    Modes, which hold for open connections too: ``pass``; ``reset``, every connection is reset; ``slow_down``, every
    request is answered by 503 SlowDown; ``hang``, connections are accepted and bytes go nowhere.
    """

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self._mode: Mode = "pass"
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0  # so far
        self.requests: list[str] = []  # method and path of each that was passed on

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self._reset_all()

    @property
    def mode(self) -> Mode:
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        self._reset_all() if mode != "hang" else None

    def _reset_all(self) -> None:
        with self._lock:
            for connection in self._open:
                _reset(connection)
            self._open.clear()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                with self._lock:
                    self._open.add(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        if self._mode == "reset":
            _reset(connection)
        elif self._mode == "slow_down":
            with suppress(OSError):
                connection.settimeout(2)
                connection.recv(1 << 16)
                connection.sendall(SLOW_DOWN)
                connection.close()
        elif self._mode == "pass":
            with suppress(OSError):
                server = socket.create_connection(self.server)
                with self._lock:
                    self._open.add(server)
                threading.Thread(target=self._pump, args=(server, connection), daemon=True).start()
                self._pump(connection, server, self._note)
        # With ``hang`` the connection stays in the set of open ones, and nobody reads it.

    def _note(self, content: bytes) -> None:
        line = content.partition(b"\r\n")[0]
        if line.endswith(b" HTTP/1.1"):
            self.requests.append(line.decode().rpartition(" ")[0])

    def _pump(
        self, source: socket.socket, target: socket.socket, note: Callable[[bytes], None] = lambda _: None
    ) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 16):
                note(content)
                if self._mode == "hang":
                    return  # both stay open
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
    connection.close()
