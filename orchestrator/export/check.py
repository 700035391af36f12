"""Agreement of an exported file with the network, measured in a process that can't import this project."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch

from orchestrator.export import standalone
from orchestrator.export.deployable import Deployable, IntArray, RunImages, as_runner, trained_network
from orchestrator.export.formats import ExportFailedError
from orchestrator.export.options import Format
from orchestrator.export.reasons import reason_in
from orchestrator.export.selection import Chosen, Run
from orchestrator.export.standalone import FloatArray
from orchestrator.training.networks import new_network

TOLERANCE = 1e-4  # of the largest logit: fp32 sums taken in another order
BATCH_SIZES = (1, 1, 2, 5, 8, 16, 31)
OURS = ("orchestrator", "models", "curricula")
# Packages that a file must do without: this project's, and those that the model card does not ask for.
REFUSED: dict[Format, tuple[str, ...]] = {
    "torch-export": (*OURS, "torchvision"),
    "onnx": (*OURS, "torchvision", "torch"),
}


@dataclass(frozen=True)
class Agreement:
    """Differences of a file's logits from the network's, over all images: ``largest`` and ``allowed`` are absolute."""

    images: int
    batch_sizes: tuple[int, ...]
    largest: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"largest difference of a logit {self.largest:.1e}, allowed {self.allowed:.1e} "
            f"({self.images} validation images, batches of {', '.join(map(str, sorted(set(self.batch_sizes))))})"
        )


def check(form: Format, run: Run, chosen: Chosen, path: Path, images: RunImages) -> Agreement:
    """Compare the file with the network on images of the run's validation part.

    Raises:
        ExportFailedError: when it can't be opened, or a logit differs by more than is allowed.
    """
    batches = _batches(images.plain.validation)
    network = as_runner(trained_network(run, chosen))
    expected = [network(images.prepared(batch)) for batch in batches]
    pixels = [images.pixels(batch) for batch in batches]
    if form == "safetensors":
        about = run.about_data
        again = new_network(chosen.network, seed=0).eval()
        again.load_state_dict(safetensors.torch.load_file(path))
        runner = as_runner(Deployable(again, about.mean, about.std).eval())
        found = [runner(batch) for batch in pixels]
    else:
        found = run_outside(form, path, pixels)
    return agreement(path.name, found, expected)


def check_int8(path: Path, images: RunImages) -> Agreement:
    """Compare an int8 file run elsewhere with the same file run here: quantised logits are not the network's.

    Raises:
        ExportFailedError: as ``check``.
    """
    pixels = [images.pixels(batch) for batch in _batches(images.plain.validation)]
    runner = standalone.open_onnx(path)
    return agreement(path.name, run_outside("onnx", path, pixels), [runner(batch) for batch in pixels])


def agreement(name: str, found: list[FloatArray], expected: list[FloatArray]) -> Agreement:
    """Compare logits batch by batch.

    Raises:
        ExportFailedError: when they have another shape, or differ by more than is allowed.
    """
    shapes = [batch.shape for batch in found]
    wanted = [batch.shape for batch in expected]
    if shapes != wanted:
        raise ExportFailedError(f"{name}: returns logits of shapes {shapes}, the network {wanted}")
    mine, its = np.concatenate(found), np.concatenate(expected)
    allowed = TOLERANCE * float(np.abs(its).max())
    result = Agreement(len(its), tuple(shape[0] for shape in wanted), float(np.abs(mine - its).max()), allowed)
    if not result.largest <= allowed:  # not a number is no agreement either
        raise ExportFailedError(f"{name} does not do what the network does: {result}; it was not kept")
    return result


def run_outside(form: Format, path: Path, batches: list[FloatArray]) -> list[FloatArray]:
    """The logits of each batch, from a fresh Python process that can't import this project.

    Raises:
        ExportFailedError: with the process's error, when it fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.npz"), Path(folder, "outputs.npz")
        np.savez(inputs, **{str(number): batch for number, batch in enumerate(batches)})  # type: ignore[arg-type]
        done = subprocess.run(
            [sys.executable, "-I", standalone.__file__, form, str(path.absolute()), inputs, outputs, *REFUSED[form]],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            reason = reason_in(done.stderr) or f"it ended with code {done.returncode}"
            raise ExportFailedError(f"{path.name} does not run in a process without this project: {reason}")
        with np.load(outputs) as found:
            return [found[str(number)] for number in range(len(batches))]


def _batches(images: IntArray) -> list[IntArray]:
    """Disjoint batches of the sizes above, as far as the images reach."""
    ends = np.cumsum(BATCH_SIZES)
    parts = np.split(images[: ends[-1]], ends[:-1])
    return [part for part in parts if len(part)]
