"""Networks from specs and from artifacts."""

from __future__ import annotations

import re
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from models import registry
from orchestrator.specs import NetworkSpec

WEIGHTS = "weights.safetensors"


def new_network(spec: NetworkSpec, seed: int) -> nn.Module:
    """A network whose first weights are a function of the seed."""
    torch.manual_seed(seed)
    return registry.create(spec.name, num_classes=spec.classes, in_channels=spec.channels, image_size=spec.image_size)


def load_network(spec: NetworkSpec, weights: Path) -> nn.Module:
    """A network with the weights of a safetensors file, on the CPU.

    Raises:
        ValueError: naming file and network, when the weights do not fit.
    """
    network = new_network(spec, seed=0)
    try:
        network.load_state_dict(safetensors.torch.load_file(weights))
    except (SafetensorError, OSError) as error:
        raise ValueError(f"weights {weights} can't be read as safetensors: {error}") from error
    except RuntimeError as error:
        differences = re.sub(r"\s+", " ", str(error).split(":", 1)[-1]).strip()
        raise ValueError(
            f"weights {weights} do not fit {spec.name} with {spec.classes} classes, {spec.channels} channels "
            f"at {spec.image_size} pixels: {differences[:400]}"
        ) from error
    return network
