"""Early stopping of a search's trials, one row a scheduler. Imports neither torch nor ray.

A new scheduler is a row of ``SCHEDULERS``: the schema, the planner and the search stage read the table and name none
themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal


@dataclass(frozen=True)
class TuneScheduler:
    """A scheduler of Ray Tune.

    Attributes:
        name: its class in ``ray.tune.schedulers``.
        arguments: its arguments for trials of a number of steps. Time is counted in steps.
    """

    name: str
    arguments: Callable[[int], dict[str, Any]]


@dataclass(frozen=True)
class Scheduler:
    """One way of early stopping.

    Attributes:
        name: the word that a recipe names it by.
        words: one line of words for the recipe's reference.
        has_rungs: whether points are compared at ``search.rungs`` by short trainings, each of them whole.
        tune: Ray Tune's scheduler that stops trainings midway. The result of such a training depends on the trials
            beside it, so it is stored apart from those of whole trainings.
    """

    name: str
    words: str = ""
    has_rungs: bool = False
    tune: TuneScheduler | None = None


_ROWS = (
    Scheduler("none"),
    Scheduler("halving", "short complete trainings first, then longer ones for the best", has_rungs=True),
    Scheduler(
        "asha", "asynchronous, so its choice can differ between two runs",
        tune=TuneScheduler(
            "ASHAScheduler",
            lambda steps: {"max_t": steps, "grace_period": max(1, steps // 4)},  # every trial runs a quarter
        ),
    ),
)  # fmt: skip
SCHEDULERS = {scheduler.name: scheduler for scheduler in _ROWS}

if TYPE_CHECKING:
    SchedulerName = str
else:
    SchedulerName = Literal[tuple(SCHEDULERS)]
