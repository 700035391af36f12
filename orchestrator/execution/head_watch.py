"""Watch on the head of the run's Ray cluster: a run whose head is lost ends with a message.

Ray's C++ code ends a process that has not reached the head (its GCS) for ``RAY_gcs_rpc_server_reconnect_timeout_s``,
and until then calls of Ray on the main thread may not return. So a thread looks, and stops the run somewhat earlier.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

from orchestrator.execution import ray_address
from orchestrator.execution.ray_token import find_token
from orchestrator.last_resort import FAILED

TIMEOUT = "RAY_gcs_rpc_server_reconnect_timeout_s"
RAY_SECONDS = 60.0  # Ray's default of it
EARLIER_SECONDS = 30.0  # for noticing it, the end of the run and its report, before Ray ends the process
LOOK_SECONDS = 3.0


class HeadWatch:
    """Context manager of the watch.

    Args:
        address: the head's address, HOST:PORT.
        stop: called from the watch's thread, once, with a reason and an exit code when the head is lost.
        patience: seconds without an answer after which it is; by default somewhat less than Ray's own.
    """

    def __init__(self, address: str, stop: Callable[[str, int], None], patience: float | None = None) -> None:
        self.address, self.stop = address, stop
        self.patience = _patience() if patience is None else patience
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="head watch", daemon=True)

    def __enter__(self) -> HeadWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(1.0)

    def _watch(self) -> None:
        token, answered = find_token(), time.monotonic()
        while not self._ended.wait(LOOK_SECONDS):
            why = ray_address.ask(self.address, token)
            if why in (None, ray_address.UNAUTHENTICATED):
                answered = time.monotonic()
            elif time.monotonic() - answered > self.patience:
                seconds = time.monotonic() - answered
                self.stop(
                    f"the head of the Ray cluster at {self.address} is lost: no answer for {seconds:.0f} s ({why}); "
                    "bring the cluster up again",
                    FAILED,
                )
                return


def _patience() -> float:
    """Returns the seconds without an answer after which a head is lost."""
    try:
        ray_seconds = float(os.environ.get(TIMEOUT, RAY_SECONDS))
    except ValueError:
        ray_seconds = RAY_SECONDS
    return max(ray_seconds - EARLIER_SECONDS, ray_seconds / 2)
