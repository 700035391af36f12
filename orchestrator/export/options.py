"""Options of the command: formats, the packages that each needs, and those that can hold int8. No torch here."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Literal, get_args

from orchestrator.export.selection import ExportError
from orchestrator.recipe.messages import nearest

Format = Literal["safetensors", "torch-export", "onnx"]
FORMATS: tuple[Format, ...] = get_args(Format)
ALL = "all"
FILES: dict[Format, str] = {"safetensors": "model.safetensors", "torch-export": "model.pt2", "onnx": "model.onnx"}
INT8_FILE = "model-int8.onnx"
PACKAGES: dict[Format, tuple[str, ...]] = {
    "safetensors": (), "torch-export": (), "onnx": ("onnx", "onnxscript", "onnxruntime")
}  # fmt: skip
NO_INT8: dict[Format, str] = {
    "safetensors": "it holds the weights as they were trained, and no graph that could compute in int8",
    "torch-export": "what PyTorch's quantisation (torchao) writes loads only where torchao is imported too, and "
    "computes in fp32 there unless it is compiled",
}


def chosen_formats(asked: Sequence[str] | None, quantize: str | None) -> tuple[Format, ...]:
    """The formats to write, in their order here; all of them where none is named.

    Raises:
        ExportError: for an unknown format or quantisation, and for int8 with a format named that can't hold it.
    """
    known = (*FORMATS, ALL)
    for name in asked or []:
        if name not in known:
            raise ExportError(f"--format: found '{name}'{nearest(name, known)}; there are: {', '.join(known)}")
    if quantize not in (None, "int8"):
        raise ExportError(f"--quantize: found '{quantize}'; there is: int8")
    everything = not asked or ALL in asked
    chosen = tuple(form for form in FORMATS if everything or form in (asked or []))
    for form in chosen:
        if quantize and not everything and form in NO_INT8:
            raise ExportError(
                f"--quantize int8: not for format {form}: {NO_INT8[form]}. Give --format onnx, or --format all, which "
                "writes the other formats in fp32"
            )
    return chosen


def check_packages(formats: Sequence[Format]) -> None:
    """Raise ExportError, with the command that installs them, unless the formats' packages are there."""
    for form in formats:
        missing = [package for package in PACKAGES[form] if not _importable(package)]
        if missing:
            raise ExportError(
                f"--format {form}: needs {', '.join(missing)}, not installed here; "
                f"run: pip install {' '.join(PACKAGES[form])}"
            )


def _importable(package: str) -> bool:
    try:
        importlib.import_module(package)
    except ImportError:
        return False
    return True
