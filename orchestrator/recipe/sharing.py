"""Checks on trainings whose workers share a batch, one for each network of a recipe. Imports neither torch nor ray."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.recipe.workers import Workers


@dataclass(frozen=True)
class SharedTraining:
    """A training as workers share it; the fields that say so are named in messages.

    Attributes:
        network: the network's name.
        batch: field and number of images a step.
        workers: field and number of workers.
        gpus: field and number of GPUs of a worker.
    """

    network: str
    batch: tuple[str, int]
    workers: tuple[str, Workers]
    gpus: tuple[str, float]

    def check(self, norm_batch: int | None, micro_batch: int | None) -> None:
        """Refuse what can't be shared.

        Raises:
            ValueError: naming the fields, what was found and what to do.
        """
        (batch_field, batch), (workers_field, workers), (gpus_field, gpus) = self.batch, self.workers, self.gpus
        if batch < workers.most:
            raise ValueError(
                f"{batch_field} is {batch}, less than the {workers.most} workers that share it ({workers_field}); give "
                "every worker an image or more"
            )
        if workers.most > 1 and 0 < gpus < 1:
            raise ValueError(
                f"{gpus_field} is {gpus:g}, but {workers.most} workers train a network together, and each needs a "
                f"whole GPU; give 1, or set {workers_field} to 1"
            )
        at_once = NormGroups.of(batch, norm_batch, workers.fewest).largest_piece(batch)
        if micro_batch is not None and at_once > micro_batch:
            over = "the whole batch" if norm_batch is None else f"{norm_batch} images"
            raise ValueError(
                f"resources.micro_batch is {micro_batch}, but batch normalisation takes its statistics over {over}, of "
                f"which a worker of {self.network} has {at_once} at once; set training.norm_batch to {micro_batch} or "
                f"less, which changes what networks compute, or micro_batch to {at_once} or more"
            )
