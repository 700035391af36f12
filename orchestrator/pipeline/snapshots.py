"""Snapshots: experts that are networks of the ladder as they were after a share of their training.

The steps at which a training keeps its weights are no part of its identity. Its last weights do not depend on them, and
a recipe that adds a snapshot, or a method that is taught by one, must not make all networks anew that the training's
network teaches. So a cached training may lack a snapshot that a recipe needs. Then it is run once more, which with the
same seed and batches is the same training (bitwise on a CPU, up to rounding on a GPU), and its artifact is given the
missing files; those that it has stay, and so does all that was made from them.

Imports neither torch nor ray.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from curricula.difficulty import DIFFICULTIES
from orchestrator.artifacts.store import Artifact
from orchestrator.artifacts.trained import snapshot_file
from orchestrator.pipeline.graph import Expert, Stage
from orchestrator.pipeline.inputs import DATA, NETWORK
from orchestrator.pipeline.kinds import SnapshotSpec
from orchestrator.pipeline.placement import Placement
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.choices import Precision
from orchestrator.recipe.ladder import LadderNetwork, label_at, snapshot_step
from orchestrator.recipe.schema import Recipe


def snapshot_of(expert: Expert, share: float, ingest: Stage, placement: Placement, precision: Precision) -> Expert:
    """Returns a trained expert as it was after a share of its training, as an expert with a stage of its own."""
    training, label = expert.stage.spec, label_at(expert.label, share)
    assert isinstance(training, TrainSpec)
    spec = SnapshotSpec(
        network=expert.network,
        step=snapshot_step(share, training.steps),
        precision=precision,
        threads=1 if placement.gpus else placement.cpus,
    )
    inputs = ((DATA, ingest), (NETWORK, expert.stage))
    facts = replace(expert.stage.facts, expert=label, snapshots=())
    stage = Stage("snapshot", facts.named(f"snapshot/{label}"), spec, inputs, placement, facts)
    return Expert(label, expert.network, stage, facts.named(label), expert.ladder_seed)


def records_learned_step(recipe: Recipe, entry: LadderNetwork) -> bool:
    """Returns whether a training of the ladder records the learned step: that of the smallest expert's network.

    A teacher whose snapshots are the only other experts does only if the difficulty may need it: without, it is the
    same training as that of a ladder with TAs.
    """
    scorer = DIFFICULTIES.get(recipe.difficulty.scorer)
    needed = scorer is None or "learned_step" in scorer.needs
    has_snapshots = entry is recipe.ladder.networks[0] and entry is not recipe.ladder.networks[-2]
    return entry is recipe.ladder.trained[-2] and (needed or not has_snapshots)


def lacking(stages: Iterable[Stage], kept: Mapping[str, Artifact]) -> dict[str, list[int]]:
    """Returns the cached trainings without a snapshot that a stage needs which is not cached: its steps, by identity.

    Args:
        stages: those of a plan.
        kept: the artifacts that exist, by identity.
    """
    found: dict[str, list[int]] = {}
    for stage in stages:
        if not isinstance(stage.spec, SnapshotSpec) or stage.identity in kept:
            continue
        training = dict(stage.inputs)[NETWORK].identity
        if training in kept and snapshot_file(stage.spec.step) not in kept[training].files:
            found.setdefault(training, []).append(stage.spec.step)
    return {identity: sorted(steps) for identity, steps in found.items()}
