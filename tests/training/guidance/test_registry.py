"""The kinds of teaching that are registered, and those that methods ask for."""

from __future__ import annotations

from orchestrator.recipe.methods import GUIDANCE
from orchestrator.training.guidance.kinds import KINDS


def test_every_kind_of_guidance_that_a_method_may_have_is_a_class() -> None:
    assert set(GUIDANCE) == set(KINDS)
