"""A small data set, a ladder and trainings over it, as functions of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from curricula import selection
from curricula.curriculum import Curriculum
from curricula.difficulty import Evidence, rank
from curricula.readiness import Readiness
from orchestrator import datasets
from orchestrator.artifacts.scores import WholeViews
from orchestrator.datasets import TEST, TRAIN, VALIDATION, ArrayImages, DatasetRecipe, SyntheticRecipe
from orchestrator.pipeline.specs import CurriculumSpec, GuidanceSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import OptimizerSpec, PacingSpec
from orchestrator.training.data.images import Images, Request, ResidentImages, TrainingData
from orchestrator.training.data.views import CLEAN
from orchestrator.training.guidance.experts import CachedExperts, Experts, OnlineExperts
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.guidance.opening import make_pacing
from orchestrator.training.guidance.teaching import Teaching
from orchestrator.training.loop import Trained, train
from orchestrator.training.networks import new_network
from orchestrator.training.pace import Timing
from orchestrator.training.state import TrainingState
from orchestrator.training.world import World
from tests.training.networks import DROPOUT

CPU = torch.device("cpu")
CLASSES, SIZE, BATCH = 4, 16, 32
TRAINING_IMAGES = 95  # odd: batches of a pass differ in size, and so do two workers' parts of one
PASS = 3  # steps of a pass over all of them
LADDER = {"small": DROPOUT, "middle": "plain_cnn_2", "large": "plain_cnn_4"}  # the experts, smallest first
VIEWS_SEED = 5


@cache
def arrays() -> ArrayImages:
    recipe = DatasetRecipe(
        name="synthetic", validation=32, synthetic=SyntheticRecipe(images=TRAINING_IMAGES + 32, test_images=16)
    )
    loaded = datasets.load(recipe)
    assert isinstance(loaded, ArrayImages)
    return loaded


def data(augmentation: str = "crop_flip") -> TrainingData:
    loaded = arrays()
    images = ResidentImages(torch.from_numpy(loaded.images), [0.45], [0.25], augmentation, VIEWS_SEED, CPU)
    train_, validation, test = (np.flatnonzero(loaded.subset == part) for part in (TRAIN, VALIDATION, TEST))
    return TrainingData(images, torch.from_numpy(loaded.labels), train_, validation, test, CLASSES)


def network_spec(name: str, classes: int = CLASSES) -> NetworkSpec:
    return NetworkSpec(name=name, classes=classes, channels=1, image_size=SIZE)


def optimizer(**changes: Any) -> OptimizerSpec:
    return OptimizerSpec(**({"learning_rate": 0.05} | changes))


def training(network: str = "plain_cnn_2", **changes: Any) -> TrainSpec:
    """14 steps: four passes and two thirds, with a validation after steps 4, 8, 12 (amid passes, but 12) and 14."""
    fields: dict[str, Any] = {
        "network": network_spec(network),
        "guidance": GuidanceSpec(kind="labels"),
        "optimizer": optimizer(),
        "steps": 14,
        "batch_size": BATCH,
        "augmentation": "crop_flip",
        "views": 0,
        "views_seed": VIEWS_SEED,
        "precision": "fp32",
        "evaluate_every": 4,
        "keep": "last",
        "seed": 3,
        "threads": 1,
    }
    return TrainSpec(**(fields | changes))


def teaching(kind: str, source: str = "online", experts: Sequence[str] = tuple(LADDER), **changes: Any) -> GuidanceSpec:
    """A guidance by that kind; ``single`` is by the first of the experts."""
    experts = {"labels": (), "single": experts[:1]}.get(kind, experts)
    fields: dict[str, Any] = {"kind": kind, "experts": tuple(experts), "source": source if experts else "none"}
    return GuidanceSpec(**(fields | changes))


def pacing(mode: str, family: str = "linear", a: float = 0.7, b: float = 0.4, **changes: Any) -> CurriculumSpec:
    fields: dict[str, Any] = {
        "scorer": "expert_loss",
        "balanced": False,
        "mode": mode,
        "selector": "stratified",
        "confidence": 0.5,
        "pacing": PacingSpec(family=family, a=a, b=b),
    }
    return CurriculumSpec(**(fields | changes))


def expert_network(name: str) -> nn.Module:
    """An expert with weights of its own; its logits are scaled so that they are as sure as a trained network's."""
    network = new_network(network_spec(LADDER[name]), seed=10 + list(LADDER).index(name))
    assert isinstance(network, nn.Sequential)
    last = network[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight *= 5
    return network


@cache
def stored_logits(name: str, views: int, augmentation: str = "crop_flip") -> npt.NDArray[np.float16]:
    """Returns the logits that the score stage stores for one expert: (views, N, classes)."""
    shown = data(augmentation).images.views(data().train, range(views))
    network = expert_network(name).eval()
    with torch.inference_mode():
        return np.stack([network(view).numpy() for view in shown]).astype(np.float16)


def experts_of(spec: GuidanceSpec, views: int = 8) -> Experts | None:
    if spec.source == "online":
        return OnlineExperts([expert_network(name) for name in spec.experts], CPU, bf16=False)
    if spec.source == "cached":
        return CachedExperts([WholeViews(stored_logits(name, views)) for name in spec.experts], CPU)
    return None


def curriculum_of(spec: CurriculumSpec, experts: int) -> tuple[Curriculum, npt.NDArray[np.int64]]:
    """The curriculum by the images' known severity, and each image's stratum."""
    severity = arrays().severity
    assert severity is not None
    ranks, known, readiness = rank(severity[data().train]), None, None
    if spec.selector != "stratified":
        labels = data().labels[torch.from_numpy(data().train)].numpy()
        known = Evidence(labels=labels, logits=[stored_logits(name, 1, "none")[0] for name in list(LADDER)[-experts:]])
    if known and spec.selector in selection.ONLINE and experts > 1:
        readiness = Readiness.of(known)
    chosen = selection.select(spec.selector, ranks, experts, evidence=known, confidence=spec.confidence)
    curriculum = Curriculum(chosen, make_pacing(spec.pacing), spec.mode, experts, readiness)
    return curriculum, selection.strata(ranks, experts)


def teaching_of(spec: TrainSpec) -> Teaching:
    experts = experts_of(spec.guidance)
    if spec.curriculum is None:
        return new_teaching(spec.guidance, experts, seed=spec.seed)
    curriculum, strata = curriculum_of(spec.curriculum, len(spec.guidance.experts))
    return new_teaching(spec.guidance, experts, curriculum, strata, spec.seed)


class Shown:
    """Images that remember which of them each training step was shown, and in which view."""

    def __init__(self, images: Images) -> None:
        self.images = images
        self.steps: list[npt.NDArray[np.int64]] = []
        self.view_numbers: list[int] = []

    def views(self, images: npt.NDArray[np.int64], numbers: Sequence[int]) -> Tensor:
        if list(numbers) != [CLEAN]:
            self.steps.append(images.copy())
            self.view_numbers.extend(numbers)
        return self.images.views(images, numbers)

    def stream(self, requests: Iterable[Request]) -> Generator[Tensor, None, None]:
        return (self.views(*request) for request in requests)

    def close(self) -> None:
        return None


class Killed(RuntimeError):  # noqa: N818 (the name says what happened)
    """The machine is gone."""


class Keeper:
    """Keeps the latest checkpoint, and may lose the machine as it is written, before or after.

    Args:
        kept: the checkpoint to start from.
        kill_at: the machine is lost at the first checkpoint after so many steps.
        when: whether that checkpoint is written first.
        between: whether checkpoints are due at all steps between validations too.
    """

    def __init__(
        self, kept: bytes | None = None, kill_at: int | None = None, when: Literal["after", "before"] = "after",
        between: bool = False,
    ) -> None:  # fmt: skip
        self.kept, self.kill_at, self.when, self.between = kept, kill_at, when, between
        self.rows: list[dict[str, Any]] = []

    def load(self) -> bytes | None:
        return self.kept

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        if row["step"] == self.kill_at and self.when == "before":
            raise Killed
        self.rows.append(row)
        self.checkpoint(state)
        return True

    def checkpoint_is_due(self) -> bool:
        return self.between

    def checkpoint(self, state: Callable[[], bytes]) -> None:
        self.kept = state()
        if self.kill_at is not None and TrainingState.from_bytes(self.kept).step >= self.kill_at:
            raise Killed

    def tick(self, step: int, steps: int, timing: Timing) -> None:
        return None


def learn(
    spec: TrainSpec,
    observer: Keeper | None = None,
    *,
    on: TrainingData | None = None,
    taught_by: Teaching | None = None,
    world: World | None = None,
    micro_batch: int | None = None,
    snapshots: Sequence[int] = (),
) -> Trained:
    """Train as ``spec`` says, with a new network and teaching, as a new process would."""
    return train(
        spec, new_network(spec.network, spec.seed), on or data(spec.augmentation), taught_by or teaching_of(spec),
        device=CPU, observer=observer or Keeper(), world=world, micro_batch=micro_batch, snapshots=snapshots,
    )  # fmt: skip


def without_times(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def assert_same_weights(found: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> None:
    """Bit for bit."""
    assert found.keys() == wanted.keys()
    different = [name for name in wanted if not torch.equal(found[name], wanted[name])]
    assert not different


def assert_same_training(found: Trained, wanted: Trained) -> None:
    """Everything but times, bit for bit."""
    assert_same_weights(found.weights, wanted.weights)
    assert found.snapshots.keys() == wanted.snapshots.keys()
    for step, weights in wanted.snapshots.items():
        assert_same_weights(found.snapshots[step], weights)
    assert without_times(found.history) == without_times(wanted.history)
    assert (found.kept_step, found.validation_accuracy, found.validation_loss) == (
        wanted.kept_step, wanted.validation_accuracy, wanted.validation_loss
    )  # fmt: skip
    np.testing.assert_array_equal(found.assignment_counts, wanted.assignment_counts)
    np.testing.assert_array_equal(found.learned_step, wanted.learned_step)
    assert (found.other is None) == (wanted.other is None)
    if found.other and wanted.other:
        assert_same_weights(found.other.tensors, wanted.other.tensors)
        assert found.other.row["step"] == wanted.other.row["step"]
