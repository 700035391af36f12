"""Failures of a storage that pass by themselves, and work that is tried again until they have."""

from __future__ import annotations

import errno
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from orchestrator.storage.full_disk import is_full_disk

T = TypeVar("T")

PATIENCE = 90.0  # seconds in which one operation is tried again
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between two tries
CODES = {
    errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE, errno.ENETDOWN,
    errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ESTALE,
}  # fmt: skip
# pyarrow's file systems raise OSError without a number. The names are those of AWS's errors and of Google's statuses.
WORDS = re.compile(
    r"NETWORK_CONNECTION|SLOW_DOWN|THROTTLING|REQUEST_LIMIT_EXCEEDED|SERVICE_UNAVAILABLE|INTERNAL_FAILURE"
    r"|REQUEST_TIMEOUT|HTTP status (429|500|502|503|504)\b|\b(UNAVAILABLE|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED)\b"
)
LASTING = re.compile(r"curlCode: (51|58|60|77)\b")  # of certificates; AWS's client calls these NETWORK_CONNECTION too
REQUEST_ID = re.compile(r" \(Request ID: \w+\)")


def passes(error: BaseException) -> bool:
    """Returns whether an error may be gone a little later: a reset connection, a time-out, a service that is busy.

    Refused access, a missing bucket and a full disk last.
    """
    if not isinstance(error, OSError) or is_full_disk(error):
        return False
    return error.errno in CODES or bool(WORDS.search(str(error)) and not LASTING.search(str(error)))


def reason(error: BaseException) -> str:
    """Returns an error's text on one line: of one of curl's, the details alone."""
    text = REQUEST_ID.sub("", " ".join(str(error).split()))
    return text.rpartition("; Details: ")[2].rstrip(".")


def persistently(operation: Callable[[], T], seconds: float, waits: Callable[[OSError], None]) -> T:
    """Return what an operation returns, tried again while its failures pass.

    Args:
        operation: it may have been done in part before it is called again.
        seconds: no try begins later than this after the first.
        waits: called with each failure before the next try.

    Raises:
        Exception: of the last try.
    """
    deadline, pause = time.monotonic() + seconds, FIRST_PAUSE
    while True:
        try:
            return operation()
        except OSError as error:
            wait = pause * random.uniform(0.5, 1.0)  # many processes must not come back in step
            if not passes(error) or time.monotonic() + wait > deadline:
                raise
            waits(error)
        time.sleep(wait)
        pause = min(2 * pause, LONGEST_PAUSE)
