"""Trial calls of user-defined difficulties and pacing families on synthetic input, before anything trains."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from curricula import difficulty, pacing
from orchestrator import user_code
from orchestrator.datasets.registry import DatasetInfo
from orchestrator.recipe.schema import Recipe, RecipeError

IMAGES_A_CLASS, LEAST_IMAGES = 4, 40


def check_user_curriculum(recipe: Recipe, data: DatasetInfo) -> None:
    """Check that user-defined difficulties and pacing families exist and return values that a curriculum can use.

    A family is called at the corners of the ranges of a and b that the recipe allows; a difficulty with random logits
    of as many experts, classes and folds as in the run.

    Raises:
        RecipeError: naming the field and the callable, with what it raised or returned.
    """
    for field, family, a, b in _pacings(recipe):
        try:
            pacing.make(user_code.load(family), a, b).check()
        except Exception as error:
            raise _refusal(field, family, f"with a={a:g}, b={b:g}", error) from error
    scorer = recipe.difficulty.scorer
    if user_code.is_user_defined(scorer):
        evidence = _random_evidence(recipe, data)
        try:
            scores = difficulty.score(user_code.load(scorer), evidence)
        except Exception as error:
            raise _refusal("difficulty.scorer", scorer, f"on random logits ({_shape_of(evidence)})", error) from error
        if np.ptp(scores) == 0:
            raise RecipeError(
                f"difficulty.scorer: {scorer} returned {scores[0]:g} for each of {len(scores)} images with random "
                "logits; return numbers that differ between images"
            )


def _pacings(recipe: Recipe) -> Iterator[tuple[str, str, float, float]]:
    """Yields (field, family, a, b) for every user-defined pacing family that may be used."""
    chosen, space = recipe.curriculum.pacing, recipe.search.space
    if user_code.is_user_defined(chosen.family):
        yield "curriculum.pacing.family", chosen.family, chosen.a, chosen.b
    corners = product({space.a.low, space.a.high}, {space.b.low, space.b.high})
    for a, b in sorted(corners) if recipe.search.trials else ():
        for family in filter(user_code.is_user_defined, space.families):
            yield "search.space.families", family, a, b


def _random_evidence(recipe: Recipe, data: DatasetInfo) -> difficulty.Evidence:
    """Returns random evidence of the shapes that the score stage will compute."""
    generator = np.random.default_rng(0)
    images = max(LEAST_IMAGES, IMAGES_A_CLASS * data.classes)
    experts = recipe.ladder.networks[:-1]
    folds = recipe.difficulty.held_out_folds
    shape = (images, data.classes)
    return difficulty.Evidence(
        labels=generator.permutation(np.arange(images) % data.classes),
        logits=generator.normal(0, 2, (len(experts), *shape)).astype(np.float16),
        fold_logits=generator.normal(0, 2, (folds, *shape)).astype(np.float16) if folds else None,
        fold=np.arange(images) % folds if folds else None,
        learned_step=None if experts[-1].weights else generator.integers(0, 100, images),
        image=generator.integers(0, data.train_images, images),
    )


def _shape_of(evidence: difficulty.Evidence) -> str:
    experts, images, classes = np.shape(evidence.logits)
    missing = [name for name in ("fold_logits", "learned_step") if getattr(evidence, name) is None]
    without = f"; without {' and '.join(missing)}" if missing else ""
    return f"{experts} experts, {images} images, {classes} classes{without}"


def _refusal(field: str, name: str, tried: str, error: Exception) -> RecipeError:
    if isinstance(error, user_code.UserCodeError):
        return RecipeError(f"{field}: {error}")
    reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return RecipeError(f"{field}: {name} failed {tried}: {reason}")
