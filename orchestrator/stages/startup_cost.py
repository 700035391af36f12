"""What the start of a process costs, told once: imports and all else before it came to work."""

from __future__ import annotations

import time

_told = False


def start_up_seconds() -> float:
    """This process's processor time so far the first time that it is asked, 0 after that.

    Not its age: Ray may have started it long before it was wanted.
    """
    global _told
    first, _told = not _told, True
    return time.process_time() if first else 0.0
