"""The weights that a training keeps: the best on validation, or the last; and, for a comparison, the others.

Equal accuracies are decided by the lower loss, and equal losses by the earlier validation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from orchestrator.artifacts.trained import HistoryRow
from orchestrator.pipeline.specs import TrainSpec


@dataclass(frozen=True)
class Weights:
    """A network's weights, on the CPU, and the validation that they were measured by."""

    tensors: dict[str, Tensor]
    row: HistoryRow


class Keeping:
    """The best weights on validation so far, where the training has a use for them."""

    def __init__(self, spec: TrainSpec) -> None:
        self.keeps_best, self.has_both = spec.keep == "best", spec.both_weights
        self.best: dict[str, Tensor] = {}
        self.best_row: HistoryRow | None = None

    def restore(self, best: Mapping[str, Tensor], best_row: HistoryRow | None, device: torch.device) -> None:
        """Take over the attributes of a checkpoint."""
        self.best = {name: value.to(device) for name, value in best.items()}
        self.best_row = best_row

    def validated(self, row: HistoryRow, network: nn.Module) -> None:
        """Copy the network's weights if they are the best so far."""
        if not (self.keeps_best or self.has_both):
            return
        if self.best_row is None or _rank(row) > _rank(self.best_row):
            self.best_row = row
            self.best = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def kept_row(self, last: HistoryRow) -> HistoryRow:
        """Returns the row of the weights that are kept if the training ends with the validation ``last``."""
        return self.best_row if self.keeps_best and self.best_row else last

    def result(self, last: HistoryRow, network: nn.Module) -> tuple[Weights, Weights | None]:
        """Returns the weights to keep, and the others where the training has both and they are of another step."""
        final = Weights(_on_cpu(network.state_dict()), last)
        if self.best_row is None:
            return final, None
        best = Weights(_on_cpu(self.best), self.best_row)
        kept, other = (best, final) if self.keeps_best else (final, best)
        return kept, other if self.has_both and best.row["step"] != last["step"] else None


def _rank(row: HistoryRow) -> tuple[float, float]:
    return row["validation_accuracy"], -row["validation_loss"]


def _on_cpu(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in weights.items()}
