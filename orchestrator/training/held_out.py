"""Loss of each image under networks that have not seen it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from orchestrator.training.data.images import TrainingData
from orchestrator.training.data.views import CLEAN
from orchestrator.training.device import to_device
from orchestrator.training.evaluation import BATCH
from orchestrator.training.precision import autocast


@torch.inference_mode()
def mean_losses(
    networks: Sequence[nn.Module], data: TrainingData, images: npt.NDArray[np.int64], bf16: bool
) -> npt.NDArray[np.float64]:
    """Returns the mean over the networks of each image's cross-entropy, in nats, without augmentation: (N,)."""
    device = data.labels.device
    found = np.empty(len(images), np.float64)
    places = [slice(start, start + BATCH) for start in range(0, len(images), BATCH)]
    pixels = data.images.stream((images[place], [CLEAN]) for place in places)
    for network in networks:
        network.eval()
    for place, views in zip(places, pixels, strict=True):
        labels = data.labels[to_device(images[place], device)]
        with autocast(device, bf16):
            logits = [network(views[0]) for network in networks]
        losses = [F.cross_entropy(each.double(), labels, reduction="none") for each in logits]
        found[place] = torch.stack(losses).mean(dim=0).cpu().numpy()
    return found
