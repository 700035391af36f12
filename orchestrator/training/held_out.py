"""Loss of each image under networks that have not seen it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from orchestrator.training.data.images import TrainingData
from orchestrator.training.evaluation import logits_by_batch


@torch.inference_mode()
def mean_losses(
    networks: Sequence[nn.Module], data: TrainingData, images: npt.NDArray[np.int64], bf16: bool
) -> npt.NDArray[np.float64]:
    """Returns the mean over the networks of each image's cross-entropy, in nats, without augmentation: (N,)."""
    found = np.empty(len(images), np.float64)
    for network in networks:
        network.eval()
    for place, labels, logits in logits_by_batch(networks, data, images, bf16):
        losses = [F.cross_entropy(each.double(), labels, reduction="none") for each in logits]
        found[place] = torch.stack(losses).mean(dim=0).cpu().numpy()
    return found
