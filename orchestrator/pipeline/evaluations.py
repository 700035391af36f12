"""The stages of a plan that read test images: evaluations of networks, and strata. No other stage takes them as inputs.

Imports neither torch nor ray.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from orchestrator.pipeline.graph import Expert, Stage
from orchestrator.pipeline.inputs import DATA, NETWORK, evaluation_role, fold_role
from orchestrator.pipeline.kinds import EvaluateSpec, StrataSpec
from orchestrator.pipeline.ladder import LadderPlanner
from orchestrator.pipeline.specs import NetworkSpec, TrainSpec


def evaluation_of_expert(ladder: LadderPlanner, expert: Expert) -> Stage:
    """Returns the evaluation of an expert, which stores its logits."""
    return _evaluation(ladder, expert.name, expert.network, expert.stage, stores_logits=True)


def evaluation_of_student(ladder: LadderPlanner, name: str, student: TrainSpec, stage: Stage) -> Stage:
    """Returns the evaluation of a final student, beside the experts that its ladder compares it with.

    Args:
        ladder: that of its experts.
        name: of the student.
        student: its training.
        stage: the stage of that training.
    """
    known = ladder.every_expert()
    early = student.guidance.early is not None
    teachers = ladder.early_experts() if early else [known[label] for label in student.guidance.experts]
    return _evaluation(ladder, name, student.network, stage, ladder.compared_with(teachers))


def _evaluation(
    ladder: LadderPlanner,
    name: str,
    network: NetworkSpec,
    stage: Stage,
    experts: Sequence[Expert] = (),
    stores_logits: bool = False,
) -> Stage:
    spec = EvaluateSpec(
        network=network,
        precision=ladder.precision,
        threads=ladder.threads(ladder.single.gpus),
        experts=tuple(expert.label for expert in experts),
        stores_logits=stores_logits,
    )
    beside = ((evaluation_role(expert.label), evaluation_of_expert(ladder, expert)) for expert in experts)
    inputs = ((DATA, ladder.ingest), (NETWORK, stage), *beside)
    facts = replace(stage.facts, weights=None, snapshots=())
    return ladder.add(Stage("evaluate", f"evaluate/{name}", spec, inputs, ladder.single, facts))


def strata_of_test_images(ladder: LadderPlanner) -> Stage:
    """Returns the strata of the test images, one for each expert."""
    recipe, folds = ladder.recipe, ladder.recipe.trained_folds
    spec = StrataSpec(
        network=ladder.network(recipe.ladder.networks[-2].name),
        folds=folds,
        strata=len(recipe.ladder.experts),
        balanced=recipe.difficulty.balanced,
        precision=ladder.precision,
        threads=ladder.threads(ladder.single.gpus),
    )
    networks = ((fold_role(fold), ladder.fold(fold, folds)) for fold in range(folds))
    return ladder.add(Stage("strata", "strata", spec, ((DATA, ladder.ingest), *networks), ladder.single))
