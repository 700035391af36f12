"""The network as it is shipped: normalisation inside, batch norm folded, and the images that it is compared on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from models.scaled_input import ScaledInput
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.export.selection import Chosen, ExportError, Run
from orchestrator.export.standalone import FloatArray, Runner
from orchestrator.training.data.images import Images, TrainingData, load
from orchestrator.training.data.views import CLEAN
from orchestrator.training.guidance.inference import fold_batch_norm
from orchestrator.training.networks import load_network

IntArray = npt.NDArray[np.int64]
CPU = torch.device("cpu")


class Deployable(ScaledInput):
    """A network behind its normalisation: images (N, channels, height, width) in [0, 1] -> logits (N, classes)."""

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        deviation = torch.tensor(std)
        super().__init__(network, 1 / deviation, -torch.tensor(mean) / deviation)


@dataclass(frozen=True)
class RunImages:
    """A run's images twice: as the run's networks see them, and as an exported graph does (pixels in [0, 1])."""

    normalised: TrainingData
    plain: TrainingData

    def pixels(self, images: IntArray) -> FloatArray:
        """(N, channels, height, width) in [0, 1], without augmentation."""
        return _clean(self.plain.images, images)

    def prepared(self, images: IntArray) -> FloatArray:
        """The same images as the run prepared them for its networks."""
        return _clean(self.normalised.images, images)


def open_images(run: Run, root: str | None = None) -> RunImages:
    """The run's images. ``root`` is where the photos of an image_folder lie now, if not where the recipe says.

    Raises:
        ExportError: when photos are not there.
    """
    folder = run.store.fetch(run.data)
    root = root or run.report["recipe"]["dataset"]["root"]

    def opened(normalised: bool) -> TrainingData:
        return load(folder, root=root, augmentation="none", views_seed=0, device=CPU, normalised=normalised)

    images = RunImages(opened(True), opened(False))
    if run.about_data.layout == "files":
        try:
            images.pixels(images.plain.validation[:1])
        except (OSError, ValueError) as error:
            raise ExportError(
                f"dataset.root: the run's photos can't be read below '{root}' ({error}); "
                "say where they lie now with --dataset-root"
            ) from error
    return images


def trained_network(run: Run, chosen: Chosen) -> nn.Module:
    """The network with its trained weights, in evaluation mode, on the CPU.

    Raises:
        ExportError: when the network of a ``module:callable`` can't be made here.
    """
    try:
        return load_network(chosen.network, weights_file(run, chosen)).eval().requires_grad_(False)
    except (ValueError, ImportError) as error:
        raise ExportError(f"{chosen.name}: {error}") from error


def weights_file(run: Run, chosen: Chosen) -> Path:
    """The artifact's weights on this machine."""
    return FolderFiles(run.store.fetch(chosen.artifact)).path(WEIGHTS)


def deployable(run: Run, chosen: Chosen) -> Deployable:
    """The chosen network as its graph is exported."""
    about = run.about_data
    return Deployable(fold_batch_norm(trained_network(run, chosen)), about.mean, about.std).eval()


def as_runner(network: nn.Module) -> Runner:
    """A PyTorch network with numpy in and out."""

    def run(images: FloatArray) -> FloatArray:
        with torch.inference_mode():
            logits: FloatArray = network(torch.from_numpy(images)).numpy()
        return logits

    return run


def _clean(images: Images, chosen: IntArray) -> FloatArray:
    found: FloatArray = images.views(chosen, [CLEAN])[0].contiguous().numpy()
    return found
