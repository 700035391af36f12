"""The training loop: one network and its teaching; the same under Ray Train, in a Tune trial and in a test.

Everything that happens at step t is a function of (spec, t): the batch, the view, the learning rate, the dropped
experts, torch's own random numbers. So a run that was killed anywhere goes on from its checkpoint to bitwise the same
weights (on the CPU with the same number of threads). Nothing in a step waits for the device; metrics are summed there
and read at a validation.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from curricula.difficulty import LearnedStepRecorder
from orchestrator.artifacts.trained import HistoryRow
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.training import optim
from orchestrator.training.batch_norm import GroupedNormalisation
from orchestrator.training.between_validations import CheckpointTurns, own_values, restore_own_values
from orchestrator.training.clock import Clock
from orchestrator.training.compilation import compile_network
from orchestrator.training.data.batches import BatchPlan
from orchestrator.training.data.folds import training_images
from orchestrator.training.data.images import TrainingData
from orchestrator.training.data.loader import Loader
from orchestrator.training.device import to_device
from orchestrator.training.divergence import divergence, is_finite
from orchestrator.training.errors import TrainingDivergedError
from orchestrator.training.evaluation import evaluate
from orchestrator.training.guidance.teaching import Teaching
from orchestrator.training.keeping import Keeping, Weights
from orchestrator.training.observer import Observer, ReportedRow
from orchestrator.training.pace import Pace
from orchestrator.training.running_metrics import RunningMetrics
from orchestrator.training.snapshots import Snapshots
from orchestrator.training.state import TrainingState
from orchestrator.training.stepping import Stepper
from orchestrator.training.telemetry import telemetry
from orchestrator.training.world import World

TICK_SECONDS = 1.0
PASSES_OF_A_STEP = 3  # forward and backward, in forward passes


@dataclass(frozen=True)
class Trained:
    """Result of a training.

    ``weights`` are those that were kept, and ``other`` those that were not, where there are both (``keeping.py``);
    ``history`` has a row per validation; ``spent`` splits ``seconds`` by activity (``clock.py``);
    ``assignment_counts`` are images by (stratum of difficulty, expert); ``learned_step`` is (N,) where it was recorded;
    ``snapshots`` are weights by step, where any were asked for.
    """

    weights: dict[str, Tensor]
    history: list[HistoryRow]
    validation_accuracy: float
    validation_loss: float
    kept_step: int
    seconds: float
    spent: dict[str, float]
    bf16: bool
    assignment_counts: npt.NDArray[np.int64]
    learned_step: npt.NDArray[np.int64] | None
    other: Weights | None = None
    snapshots: Mapping[int, Mapping[str, Tensor]] = field(default_factory=dict)


def train(
    spec: TrainSpec, network: nn.Module, data: TrainingData, teaching: Teaching, *, device: torch.device,
    observer: Observer, world: World | None = None, micro_batch: int | None = None, snapshots: Collection[int] = (),
) -> Trained:  # fmt: skip
    """Train ``network`` (already initialised from the seed) as ``spec`` says.

    Args:
        spec: the training.
        network: trained in place; its layers of batch normalisation may be replaced (``batch_norm.py``).
        data: the images.
        teaching: the loss.
        device: of this process.
        observer: receives the progress.
        world: this worker's place among others; None for one alone.
        micro_batch: most images in one forward pass; None for a worker's whole part of a batch.
        snapshots: steps after which the weights are kept too; they change nothing else.

    Raises:
        TrainingDivergedError: with the step, its learning rate and the last checkpoint's step; or with the expert
            whose logits are not finite.
    """
    return _Loop(spec, network, data, teaching, device, observer, world or World(), micro_batch, snapshots).run()


class _Loop:
    def __init__(
        self, spec: TrainSpec, network: nn.Module, data: TrainingData, teaching: Teaching, device: torch.device,
        observer: Observer, world: World, micro_batch: int | None, snapshots: Collection[int],
    ) -> None:  # fmt: skip
        self.spec, self.data, self.device = spec, data, device
        self.observer, self.world = observer, world
        self.images = training_images(spec, data)
        count, active, order = len(self.images), None, np.arange(len(self.images))
        curriculum = teaching.curriculum
        if curriculum is not None and curriculum.active_count(0.0) < count:
            # Only where some are hidden at first: else every method sees the same batches of the same seed.
            active, order = curriculum.active_count, curriculum.order
        self.plan = BatchPlan(count, spec.batch_size, spec.steps, spec.seed, active)
        self.interval = spec.evaluate_every or math.ceil(len(self.images) / self.plan.batch_size)
        groups = NormGroups.of(self.plan.batch_size, spec.norm_batch, world.size)
        # Targets of several steps at once would have experts run on more images than a pass may have.
        at_once = 1 if micro_batch else teaching.steps_at_once
        self.loader = Loader(
            data.images, self.images, self.plan, order, spec.views, self.interval, at_once, groups, world.rank
        )
        self.bf16 = spec.precision == "bf16"
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.norm = GroupedNormalisation(network, groups, world)
        self.network = self.norm.network
        self.snapshots = Snapshots(snapshots, self.norm, world)
        if spec.compile:
            compile_network(self.network)
        torch.manual_seed(spec.seed)  # for parameters that the teaching makes
        teaching.attach(self.network)
        self.teaching = teaching.to(device)
        self.optimizer = optim.build(spec.optimizer, [*self.network.parameters(), *self.teaching.parameters()])
        self.step = 0
        self.history: list[HistoryRow] = []
        self.keeping = Keeping(spec)
        self.saved_step: int | None = None
        self.clock = Clock()
        images = self.plan.batch_size
        self.pace = Pace(spec.steps, images, self.interval, len(data.validation) / images / PASSES_OF_A_STEP)
        self.learned = LearnedStepRecorder(len(self.images)) if spec.record_learned_step else None
        self.right = torch.zeros(len(self.images), dtype=torch.int32, device=device)
        self.assignment_counts = np.zeros_like(teaching.assignment_counts)
        self.sums = RunningMetrics(device)
        own = self._resume()
        self.stepper = Stepper(
            spec, data, self.images, device, world, self.loader, self.norm, self.teaching, self.optimizer, self.sums,
            self.right if self.learned is not None else None, micro_batch, self.snapshots,
        )  # fmt: skip
        if own is not None:  # now: the stepper's wrappers give every worker the first one's buffers
            restore_own_values(own, self._own_buffers(), self.sums, world)
        self.turns = CheckpointTurns(observer.checkpoint_is_due, world, device, self.step)

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def _state(self, since_validation: Mapping[str, Tensor] | None = None) -> TrainingState:
        """Returns the state; between validations with what the workers have summed up since the last one."""
        arrays = {"taught": torch.from_numpy(self.assignment_counts), "right": self.right, **(since_validation or {})}
        stretch = {"stretch": self.clock.stretch()} if since_validation else {}
        if self.learned is not None:
            arrays["learned"] = torch.from_numpy(self.learned.state())
        return TrainingState(
            step=self.step,
            network=dict(self.network.state_dict()),
            teaching=dict(self.teaching.state_dict()),
            optimizer=optim.state_tensors(self.optimizer),
            best=self.keeping.best,
            snapshots=self.snapshots.state(),
            arrays=arrays,
            progress={"history": self.history, "best": self.keeping.best_row, "clock": self.clock.state(), **stretch},
        )

    def _resume(self) -> Tensor | None:
        """Resume from the observer's checkpoint; returns the workers' own values if it has any, (workers, V)."""
        content = self.observer.load()
        self.clock.start()
        if content is None:
            return None
        try:
            state = TrainingState.from_bytes(content)
            self.snapshots.restore(state.snapshots, state.step)
        except ValueError as error:
            warnings.warn(f"{error}; training starts anew", stacklevel=2)
            return None
        self.step = self.saved_step = state.step
        self.network.load_state_dict(state.network)
        self.teaching.load_state_dict(state.teaching)
        optim.load_state_tensors(self.optimizer, state.optimizer)
        self.keeping.restore(state.best, state.progress["best"], self.device)
        self.history = state.progress["history"]
        self.clock.restore(**state.progress["clock"])
        self.assignment_counts = state.arrays["taught"].numpy().copy()
        self.right = state.arrays["right"].to(self.device)
        if self.learned is not None:
            self.learned = LearnedStepRecorder.from_state(state.arrays["learned"].numpy())
        if "own" not in state.arrays:
            return None
        self.clock.begin_stretch(*state.progress["stretch"])
        if self.world.main():
            self.teaching.assignment_counts[:] = state.arrays["taught since"].numpy()
        return state.arrays["own"]

    def _write_checkpoint(self) -> None:
        """Write a checkpoint between validations.

        Raises:
            TrainingDivergedError: when the loss is no longer finite; a training that resumed there could not go on.
        """
        self._share_image_values()
        own = self.world.every(own_values(self._own_buffers(), self.sums))
        diverged_at = RunningMetrics.diverged_at(own)
        if diverged_at is not None:
            raise self._diverged(diverged_at)
        since = {"own": own, "taught since": torch.from_numpy(self._assignment_counts())}
        self.clock.spend("compute")
        self.observer.checkpoint(lambda: self._state(since).to_bytes())
        self.clock.spend("checkpoint")
        self.saved_step = self.step

    # -- steps ---------------------------------------------------------------------------------------------------

    def run(self) -> Trained:
        last_tick = time.monotonic()
        for group in self.loader.groups(self.step):
            self.clock.spend("data")
            self.stepper.take(group)
            self.step += len(group.batches)
            if group.batches[-1].last_of_pass:
                self._end_pass()
            self.clock.spend("compute")
            self.pace.reached(self.step, time.monotonic())
            if self.step % self.interval == 0 or self.step == self.spec.steps:
                self._validate()
            elif self.turns.has_come(self.step):
                self._write_checkpoint()
            now = time.monotonic()
            if self.world.main() and now - last_tick >= TICK_SECONDS:
                _, waiting = self.clock.stretch()
                self.observer.tick(self.step, self.spec.steps, self.pace.timing(waiting))
                last_tick = now
                self.clock.spend("report")
        return self._result()

    def _end_pass(self) -> None:
        self._share_image_values()
        self.teaching.end_pass()
        if self.learned is not None:
            self.learned.update(self.step, self.right.bool().cpu().numpy())

    def _share_image_values(self) -> None:
        """Tell every worker what was recorded of the images of this pass: each has seen its own part only."""
        recorded = [*([self.right] if self.learned is not None else []), *self.teaching.image_values()]
        if self.world.size == 1 or not recorded:
            return
        steps = range(self.plan.pass_start(self.step - 1), self.step)
        mine = to_device(np.concatenate([self.loader.numbers(self.plan.at(step)) for step in steps]), self.device)
        for values in recorded:
            shared = torch.full_like(values, -1)
            shared[mine] = values[mine]
            self.world.max_(shared)
            values.copy_(torch.where(shared >= 0, shared, values))

    def _own_buffers(self) -> list[Tensor]:
        """Returns the buffers that each worker has of its own between validations."""
        shared = self.teaching.image_values()
        every = [*self.network.buffers(), *self.teaching.buffers()]
        return [buffer for buffer in every if all(buffer is not values for values in shared)]

    def _assignment_counts(self) -> npt.NDArray[np.int64]:
        """Returns, added up over the workers, which expert taught which stratum since the last validation."""
        counts = to_device(self.teaching.assignment_counts.copy(), self.device)
        self.world.sum_(counts)
        return counts.cpu().numpy()

    def _validate(self) -> None:
        self.norm.share()
        self._share_image_values()
        self.world.share_buffers(self.network)
        self.world.share_buffers(self.teaching)
        counts = self._assignment_counts()
        self.assignment_counts += counts
        self.teaching.assignment_counts[:] = 0
        sums = self.sums.read(self.world)
        if sums.diverged_at is not None:
            raise self._diverged(sums.diverged_at)
        stretch = self.clock.stretch()  # here, where the device has caught up
        self.pace.reached(self.step, time.monotonic())
        accuracy, validation_loss = evaluate(self.network, self.data, self.data.validation, self.bf16, self.world)
        if not math.isfinite(validation_loss):
            raise self._diverged(self.step - 1)
        if not is_finite(self.network):
            raise self._diverged(self.step - 1, "a weight or running statistic")
        progress = min(1.0, self.step / self.spec.steps)
        row: HistoryRow = {
            "step": self.step,
            "training_loss": sums.loss,
            "training_accuracy": sums.accuracy,
            "validation_accuracy": accuracy,
            "validation_loss": validation_loss,
            "learning_rate": optim.learning_rate(self.spec.optimizer, self.step - 1, self.spec.steps),
            "seconds": self.clock.seconds(),
        }
        curriculum = self.teaching.curriculum
        if curriculum is not None:
            row["active_fraction"] = curriculum.active_count(progress) / len(self.images)
            row["expert_limit"] = curriculum.expert_limit(progress) + 1
        self.history.append(row)
        self.keeping.validated(row, self.network)
        self.clock.spend("validation")
        also = telemetry(self.keeping.kept_row(row), self.spec.guidance.experts, counts, sums.images, *stretch)
        reported: ReportedRow = {**row, **also}  # type: ignore[dict-item]  # a row's values are numbers
        written = self.observer.evaluated(reported, lambda: self._state().to_bytes())
        self.clock.spend("checkpoint" if written else "report")
        if written:
            self.saved_step = self.step
        self.pace.validated(time.monotonic())
        self.clock.begin_stretch()

    def _diverged(self, step: int, what: str = "the loss") -> TrainingDivergedError:
        return divergence(self.spec, step, self.saved_step, self.teaching, self.loader, self.world, self.device, what)

    def _result(self) -> Trained:
        kept, other = self.keeping.result(self.history[-1], self.network)
        return Trained(
            weights=kept.tensors,
            history=self.history,
            validation_accuracy=kept.row["validation_accuracy"],
            validation_loss=kept.row["validation_loss"],
            kept_step=kept.row["step"],
            seconds=self.clock.seconds(),
            spent=self.clock.spent,
            bf16=self.bf16,
            assignment_counts=self.assignment_counts,
            learned_step=self.learned.learned_step() if self.learned is not None else None,
            other=other,
            snapshots=self.snapshots.taken,
        )
