"""Source of experts' logits: cached (computed once, stored and read) or online (computed beside the student).

Chosen by counting expert forwards; see ``docs/choices.md``. Imports neither torch nor ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from orchestrator.recipe.ladder import LadderNetwork, label_at
from orchestrator.recipe.methods import method_of
from orchestrator.recipe.schema import Recipe
from orchestrator.recipe.snapshots import early_shares
from orchestrator.recipe.topologies import TEACHERS

Kind = Literal["online", "cached"]


@dataclass(frozen=True)
class Source:
    """The source for students and, separately, for TAs; ``reason`` explains that of the students."""

    students: Kind
    tas: Kind
    reason: str

    def __str__(self) -> str:
        readers = "students and TAs" if self.tas == self.students else "students"
        return f"{self.students} for {readers} ({self.reason})"


def choose(recipe: Recipe, images: int) -> Source:
    """Returns the source that the recipe names, or for ``auto`` the one with fewer expert forwards.

    Cached: every view of every training image once by every expert. Online: one forward (``dense``: one an expert) for
    every image of every step of every student and trial, and of the TAs that might read as well.

    Args:
        recipe: the run's recipe.
        images: training images.
    """
    views = recipe.distillation.views
    kind, reason = recipe.distillation.source, "as the recipe says"
    if kind == "auto" and views == 0:
        kind, reason = "online", "every pass has a new view (distillation.views is 0)"
    readers = tas_may_read(recipe, images)
    if kind == "auto":
        ladders, experts = len(recipe.ladder.all_seeds), {*recipe.ladder.experts}
        experts |= {label_at(recipe.ladder.networks[0].name, share) for share in early_shares(recipe)}
        stored = views * images * len(experts) * ladders
        of_tas = _ta_steps(recipe) * ladders if readers else 0
        beside = recipe.training.batch_size * (_student_steps(recipe) + of_tas)
        kind = "cached" if stored <= beside else "online"
        reason = f"expert forwards: {stored:,} to store every view, {beside:,} to run experts beside what they teach"
    return Source(kind, "cached" if kind == "cached" and readers else "online", reason)


def tas_may_read(recipe: Recipe, images: int) -> bool:
    """Returns whether TAs may read cached logits too.

    They may if none of them takes more passes than there are views, so that each pass still has a new view. TAs that
    train for longer have their experts online, with a new view in every pass.
    """
    batches = math.ceil(images / min(recipe.training.batch_size, images))
    passes = [math.ceil(_steps(recipe, entry) / batches) for entry in recipe.ladder.trained[1:-1] if not entry.weights]
    return max(passes, default=0) <= recipe.distillation.views


def _student_steps(recipe: Recipe) -> int:
    """Returns the steps of all students and trials, times the experts that teach each image."""
    steps = _steps(recipe, recipe.ladder.networks[-1])
    trials = recipe.search.trials * (recipe.search.steps or steps)
    total = sum(_experts_of_an_image(recipe, method) * len(recipe.seeds) * steps for method in recipe.methods)
    return total + sum(_experts_of_an_image(recipe, method) * trials for method in recipe.searched_methods)


def _experts_of_an_image(recipe: Recipe, name: str) -> int:
    method = method_of(name)
    if method.experts == "none":
        return 0
    return len(recipe.ladder.networks) - 1 if method.experts == "all" and not method.dealing else 1


def _ta_steps(recipe: Recipe) -> int:
    """Returns the steps of the TAs of every topology of the recipe, times the experts that teach each."""
    networks, own, total = recipe.ladder.trained[:-1], recipe.ladder.topology, 0
    for topology in {own, *(method_of(method).topology or own for method in recipe.methods)}:
        for number, entry in enumerate(networks):
            # The largest TA is one network for all topologies, and the recipe's own counts it.
            if not entry.weights and (number > 1 or topology == own):
                total += len(networks[:number][TEACHERS[topology]]) * _steps(recipe, entry)
    return total


def _steps(recipe: Recipe, entry: LadderNetwork) -> int:
    return entry.steps or recipe.training.steps
