"""CPU time that a process spends on start-up, such as imports, before its first stage."""

from __future__ import annotations

import time

_returned = False


def start_up_seconds() -> float:
    """CPU time spent on start-up; returned on the first call, 0.0 afterwards.

    The process's age would be too long, since Ray may start it long before it is used.
    """
    global _returned
    first, _returned = not _returned, True
    return time.process_time() if first else 0.0
