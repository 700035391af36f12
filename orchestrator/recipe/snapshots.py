"""Snapshots that a recipe asks for: networks of its ladder after shares of their training.

They are experts of the ladder (``at``), or of a method that is taught by the teacher as it was before the end of its
training. Imports neither torch nor ray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.recipe.ladder import LadderNetwork, snapshot_step
from orchestrator.recipe.methods import method_of

if TYPE_CHECKING:
    from orchestrator.recipe.schema import Recipe


def early_methods(recipe: Recipe) -> list[str]:
    """Returns the methods whose students are taught by the teacher after a share of its training."""
    return [name for name in recipe.methods if method_of(name).experts == "early"]


def early_shares(recipe: Recipe) -> tuple[float, ...]:
    """Returns the shares of the teacher's training after which it teaches students of such a method, or may do so."""
    methods = early_methods(recipe)
    searched = any(method_of(name).searched_as in recipe.searched_methods for name in methods)
    return () if not methods else recipe.search.space.early if searched else (recipe.distillation.early_at,)


def steps_of(recipe: Recipe, network: LadderNetwork) -> tuple[int, ...]:
    """Returns the steps of a network's training after which its weights are kept, rising.

    Raises:
        ValueError: when two of the shares are the same step, or one is none between the first and the last.
    """
    shares = {other.at for other in recipe.ladder.networks if other.at and other.name == network.name}
    if network is recipe.ladder.networks[0]:
        shares |= {share for share in early_shares(recipe) if share < 1}
    found: dict[int, float] = {}
    steps = network.steps or recipe.training.steps
    for share in sorted(shares):
        step = snapshot_step(share, steps)
        if not 0 < step < steps:
            raise ValueError(
                f"a snapshot of {network.name} after {share} of {steps} steps is that after step {step}; give a share "
                f"of a step above 0 and below {steps}"
            )
        if step in found:
            raise ValueError(
                f"snapshots of {network.name} after {found[step]} and {share} of {steps} steps are both that after "
                f"step {step}; leave one out"
            )
        found[step] = share
    return tuple(found)


def check(recipe: Recipe) -> None:
    """Raise ValueError when a snapshot can't be taken."""
    methods, teacher = " and ".join(early_methods(recipe)), recipe.ladder.networks[0]
    if methods and teacher.weights:
        raise ValueError(
            f"methods has {methods}, whose students are taught by the teacher after a share of its training, but the "
            f"weights of {teacher.name} are imported; leave {methods} out, or the weights"
        )
    for network in recipe.ladder.trained[:-1]:
        steps_of(recipe, network)
