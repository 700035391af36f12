"""Stage state shared by the executor, the terminal display and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["waiting", "running", "done", "kept", "failed", "blocked"]
STATES: tuple[State, ...] = get_args(State)
UNFINISHED = ("waiting", "running")


@dataclass(frozen=True)
class StageState:
    """One stage of a run that may still be going on.

    ``waiting``: it has not begun; ``running``; ``done`` in this run; ``kept`` from an earlier one; ``failed`` of its
    own, with ``error``; ``blocked``: it needed one that failed. ``status`` says in words how far it is; ``since`` is
    when it came into this state, in unix seconds.
    """

    state: State
    status: str = ""
    since: float | None = None
    error: str | None = None
