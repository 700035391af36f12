"""Opens exported files without this project; run as a script it proves that they can be opened so.

As a script (``python -I standalone.py FORMAT FILE INPUTS.npz OUTPUTS.npz NAME ...``) it refuses to import the packages
NAME ... and runs each array of INPUTS through the file. Nothing of this project may be imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Runner = Callable[[FloatArray], FloatArray]
"""Images (N, channels, height, width) -> logits (N, classes)."""


def open_torch_export(path: Path) -> Runner:
    """A file of ``torch.export.save``, on the CPU, with as many threads as torch is set to."""
    import torch

    network: Any = torch.export.load(path).module()

    def run(images: FloatArray) -> FloatArray:
        with torch.inference_mode():
            logits: FloatArray = network(torch.from_numpy(images)).numpy()
        return logits

    return run


def open_onnx(path: Path, threads: int = 0) -> Runner:
    """An ONNX file, on the CPU. ``threads``: 0 for one a core."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: FloatArray) -> FloatArray:
        logits: FloatArray = session.run(["logits"], {"images": images})[0]
        return logits

    return run


OPEN: dict[str, Callable[[Path], Runner]] = {"torch-export": open_torch_export, "onnx": open_onnx}


class Refusing(MetaPathFinder):
    """Makes packages impossible to import, wherever they are installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = packages

    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname.partition(".")[0] in self.packages:
            raise ModuleNotFoundError(f"{fullname} is refused in this process", name=fullname)


def main(arguments: Sequence[str]) -> None:
    form, file, inputs, outputs, *refused = arguments
    sys.meta_path.insert(0, Refusing(refused))
    run = OPEN[form](Path(file))
    with np.load(inputs) as batches:
        found = {name: run(batches[name]) for name in batches.files}
    np.savez(outputs, **found)  # type: ignore[arg-type]  # numpy's stub takes any name for its own option


if __name__ == "__main__":
    main(sys.argv[1:])
