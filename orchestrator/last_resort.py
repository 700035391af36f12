"""Top-level error handling of every command: an exception becomes a message of a line or two and an exit code.

The traceback is printed with ``--verbose`` only; otherwise it is written to a file, with the command and the versions.
"""

from __future__ import annotations

import os
import platform
import select
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from orchestrator.errors import BAD_INPUT, UserError
from orchestrator.interruption import Interruption
from orchestrator.storage.full_disk import is_full_disk

FAILED, UNREAD = 1, 141
PACKAGES = ("ces-kd-orchestrator", "ray", "torch", "torchvision", "numpy", "pyarrow")


def run_command(
    command: Callable[[Interruption], int],
    interrupted: str = "interrupted",
    verbose: bool = False,
) -> int:
    """Run a command and return its exit code.

    0 done, 1 something failed, 2 bad input, 130 interrupted, 141 standard output was closed (``... | head``).

    Args:
        command: called with the interruption that it is to check while it waits.
        interrupted: the message after Ctrl-C, SIGTERM or SIGHUP.
        verbose: print the traceback of every exception.
    """
    interruption = Interruption(interrupted)
    try:
        with interruption:
            code = command(interruption)
            sys.stdout.flush()  # here, where an error of it is still handled
        return code
    except UserError as error:
        if verbose and error.__cause__:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print(f"\n{interruption.farewell}", file=sys.stderr)
        return interruption.code
    except Exception as error:
        if isinstance(error, BrokenPipeError) and not _is_read():
            # Python flushes standard output again at exit, which would fail too.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return UNREAD
        if verbose:
            traceback.print_exc()
        print(f"error: {explain(error)}", file=sys.stderr)
        return FAILED


def explain(error: BaseException) -> str:
    """Returns the message for an unexpected error; its traceback is written to a file that the message names."""
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    if is_full_disk(error):
        return f"a disk is full ({summary}); free some space and run the same command again: finished stages are cached"
    if isinstance(error, ImportError) and not (error.name or "orchestrator").startswith("orchestrator"):
        return (
            f"the Python package {error.name} can't be imported ({summary}); install this project's requirements again"
        )
    where = keep_details("".join(traceback.format_exception(error)))
    if isinstance(error, MemoryError):
        return f"out of memory ({summary}); {where}"
    if isinstance(error, OSError):
        return f"an error of the operating system ({summary}); {where}"
    return (
        f"this is a bug of the program, not of your input: {summary}\n"
        f"{where}; please report it with that file and the recipe. Finished stages are cached."
    )


def keep_details(details: str) -> str:
    """Write details of an error to a file, with the command and the versions; returns a clause that names the file."""
    content = f"{time.strftime('%Y-%m-%d %H:%M:%S %z')}\n{_about()}\n{details}"
    try:
        handle, path = tempfile.mkstemp(prefix="orchestrator-error-", suffix=".txt")
        with os.fdopen(handle, "w", errors="replace") as stream:
            stream.write(content)
    except OSError:
        return "its details could not be written to a file: --verbose shows them"
    return f"its details are in {path}"


def _about() -> str:
    lines = [f"command: {shlex.join([sys.executable, *sys.argv])}", f"python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return "\n".join([*lines, platform.platform(), ""])


def _is_read() -> bool:
    """Returns False if the reader of standard output has closed it."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return not any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
