"""Recipe -> stages: which networks, scores, searches, students and evaluations a recipe asks for.

Imports neither torch nor ray.
"""

from __future__ import annotations

from orchestrator.datasets.registry import DatasetInfo
from orchestrator.pipeline.evaluations import evaluation_of_expert, strata_of_test_images
from orchestrator.pipeline.graph import Plan
from orchestrator.pipeline.ladder import LadderPlanner
from orchestrator.pipeline.precision_choice import PrecisionChoice, resolved
from orchestrator.pipeline.students import StudentPlanner
from orchestrator.recipe.losses import check_classes
from orchestrator.recipe.methods import method_of
from orchestrator.recipe.schema import Recipe, RecipeError


def plan(recipe: Recipe, data: DatasetInfo, precision: PrecisionChoice | None = None) -> Plan:
    """Returns all stages of a recipe on a data set.

    ``precision`` stands for ``training.precision: auto``; as long as it has not been measured, fp32 does.

    Raises:
        RecipeError: for a recipe that does not fit the data.
    """
    check_losses(recipe, data.classes)
    resolved_recipe, chosen = resolved(recipe, precision)
    ladder = LadderPlanner(resolved_recipe, data, chosen)
    first, *further = recipe.ladder.all_seeds
    ladders = {first: ladder} | {seed: ladder.with_seed(seed) for seed in further}
    students = StudentPlanner(ladders)
    topology = recipe.ladder.topology
    dealt = any(students.dealing(method_of(method)) for method in recipe.methods)
    for each in ladders.values():
        each.experts(topology)
        if dealt:
            each.score_of(topology)
    main = ladder.experts(topology)
    finals = [students.final(method_of(method), seed) for method in recipe.methods for seed in recipe.seeds]
    strata = strata_of_test_images(ladder) if recipe.hypothesis.matrix else None
    labels = {expert.label for expert in main}
    others = [expert for label, expert in ladder.every_expert().items() if label not in labels]
    here = {expert.stage.identity for expert in (*main, *others)}  # brought weights are the same with every seed
    every = [expert for seed in further for expert in ladders[seed].every_expert().values()]
    repeats = [expert for expert in every if expert.stage.identity not in here]
    evaluations = {expert.name: evaluation_of_expert(ladder, expert) for expert in (*main, *others, *repeats)}
    return Plan(
        recipe=resolved_recipe,
        stages=tuple(ladder.stages.values()),
        ladder=tuple(main),
        others=tuple(others),
        repeats=tuple(repeats),
        evaluations=evaluations,
        finals=tuple(finals),
        searches=students.searches,
        score=ladder.score_of(topology) if dealt else None,
        source=ladder.source,
        precision=str(precision) if precision else "as the recipe says",
        strata=strata,
    )


def check_losses(recipe: Recipe, classes: int) -> None:
    """Check that the recipe's losses are defined for so many classes.

    Raises:
        RecipeError: naming the field.
    """
    try:
        check_classes("distillation.loss", [recipe.distillation.loss], classes)
        check_classes("search.space.losses", recipe.search.space.losses or (), classes)
    except ValueError as error:
        raise RecipeError(str(error)) from error
