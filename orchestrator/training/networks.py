"""Networks from specs and from artifacts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from models import registry
from models.scaled_input import ScaledInput
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.choices import NormalisationSpec
from orchestrator.training.weights.files import Weights, WeightsError, read_safetensors
from orchestrator.training.weights.fitting import fit


@dataclass(frozen=True)
class Opened:
    """A network with the weights of a file, on the CPU.

    ``notes`` say what was changed in the weights so that they fit; ``class_names`` are those that the file has.
    """

    network: nn.Module
    notes: tuple[str, ...]
    class_names: tuple[str, ...] | None


def new_network(spec: NetworkSpec, seed: int) -> nn.Module:
    """Returns a network whose initial weights are a function of the seed.

    A renormalised one scales its input by 1 and shifts it by 0 until weights are loaded.
    """
    torch.manual_seed(seed)
    network = registry.create(
        spec.name, num_classes=spec.classes, in_channels=spec.channels, image_size=spec.image_size
    )
    if not spec.renormalised:
        return network
    return ScaledInput(network, torch.ones(spec.channels), torch.zeros(spec.channels))


def renormalised(network: nn.Module, data: NormalisationSpec, wanted: NormalisationSpec) -> ScaledInput:
    """Returns a network for images that are normalised as ``data`` says, of one for images as ``wanted`` says."""
    mean, std, wanted_mean, wanted_std = map(torch.tensor, (data.mean, data.std, wanted.mean, wanted.std))
    return ScaledInput(network, std / wanted_std, (mean - wanted_mean) / wanted_std)


def open_network(spec: NetworkSpec, path: Path) -> Opened:
    """Returns a network with the weights of a safetensors file.

    Raises:
        WeightsError: naming file and network, when the weights can't be read, do not fit or are not finite.
    """
    return fill(spec, read_safetensors(path), path)


def load_network(spec: NetworkSpec, path: Path) -> nn.Module:
    """Returns the network of ``open_network`` alone."""
    return open_network(spec, path).network


def fill(spec: NetworkSpec, weights: Weights, path: Path) -> Opened:
    """Returns a new network with the weights that were read from ``path``.

    Raises:
        WeightsError: as ``open_network``.
    """
    network = new_network(spec, seed=0)
    try:
        return Opened(network, fit(network, weights.tensors), weights.class_names)
    except WeightsError as error:
        raise WeightsError(
            f"weights {path} can't be loaded into {spec.name} with {spec.classes} classes, {spec.channels} channels "
            f"at {spec.image_size} pixels: {error}"
        ) from error
