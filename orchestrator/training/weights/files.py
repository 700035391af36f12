"""Files of weights: safetensors with the names of the classes, and recognition of other files."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from orchestrator.errors import UserError

CLASS_NAMES = "class_names"  # of a file's metadata: a JSON list of text, in the order of the logits
Kind = Literal[
    "safetensors", "checkpoint", "torchscript", "exported", "numpy", "zip", "pickle", "cut", "lfs", "index", "html",
    "hdf5", "gguf", "compressed", "empty", "unknown",
]  # fmt: skip

_ANEW = "save them where they were made: safetensors.torch.save_file(network.state_dict(), 'network.safetensors')"
_WORDS: dict[Kind, str] = {
    "torchscript": f"it is a TorchScript archive (torch.jit.save); {_ANEW}",
    "exported": f"it is a graph written by torch.export; {_ANEW}",
    "numpy": "it holds NumPy arrays; save them with safetensors.numpy.save_file, under the names of the network",
    "zip": f"it is a zip archive without weights that PyTorch can read; {_ANEW}",
    "pickle": f"it is a Python pickle that torch.save did not write; {_ANEW}",
    "cut": "it is a zip archive, such as torch.save writes, that is cut off; copy or download it again",
    "lfs": "it is a Git LFS pointer, a few lines of text in place of the weights; fetch them with: git lfs pull",
    "index": "it is a JSON file, such as the index of weights in several parts; name a file that holds all tensors",
    "html": "it is a web page, such as a login or error page that was downloaded in place of the weights",
    "hdf5": f"it is an HDF5 file, as Keras writes it; {_ANEW}",
    "gguf": "it is a GGUF file, which holds a quantised language model",
    "compressed": "it is an archive; unpack it, and name the file of weights in it",
    "empty": "it is empty; copy or download it again",
    "unknown": "it is no file of weights that is known here; a .safetensors file is needed",
}
_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"version https://git-lfs", "lfs"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "checkpoint"),  # the pickled magic number of torch.save's old format
    (b"\x80", "pickle"),
    (b"PK\x03\x04", "cut"),
    (b"\x93NUMPY", "numpy"),
    (b"\x89HDF", "hdf5"),
    (b"GGUF", "gguf"),
    (b"\x1f\x8b", "compressed"),
    (b"BZh", "compressed"),
    (b"\xfd7zXZ", "compressed"),
    (b"\x28\xb5\x2f\xfd", "compressed"),
)
_MOST_HEADER = 100_000_000  # bytes, as the safetensors library has it


class WeightsError(UserError):
    """Weights can't be used: the message says of which file, what was found and what to do."""


@dataclass(frozen=True)
class Weights:
    """Tensors by name, and the names of the classes in the order of the logits where the file has them."""

    tensors: dict[str, Tensor]
    class_names: tuple[str, ...] | None = None


def kind_of(path: Path) -> Kind:
    """Returns the kind of a file, by its first bytes. Raises OSError where it can't be read."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(512)
    if size == 0:
        return "empty"
    if zipfile.is_zipfile(path):
        return _kind_of_archive(path)
    if 0 < int.from_bytes(start[:8], "little") <= _MOST_HEADER and start[8:9] == b"{":
        return "safetensors"
    for signature, kind in _STARTS:
        if start.startswith(signature):
            return kind
    if start[257:262] == b"ustar":
        return "compressed"
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "html"
    return "index" if text.startswith(b"{") else "unknown"


def _kind_of_archive(path: Path) -> Kind:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    leaves = {name.partition("/")[2] for name in names}
    if any(leaf.startswith("code/") for leaf in leaves) or "constants.pkl" in leaves:
        return "torchscript"
    if "archive_format" in leaves or "serialized_exported_program.json" in names:
        return "exported"
    if "data.pkl" in leaves:
        return "checkpoint"
    return "numpy" if names and all(name.endswith(".npy") for name in names) else "zip"


def read_safetensors(path: Path) -> Weights:
    """Returns the tensors of a safetensors file, on the CPU.

    Raises:
        WeightsError: for any other file, naming its kind.
    """
    check_is_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"weights {path} can't be read as safetensors: {_instead(path, error)}") from error
    return Weights(tensors, _names_in(metadata))


def check_is_file(path: Path) -> None:
    """Raise WeightsError for a path that is not there or is no plain file: reading a pipe would wait without end."""
    try:
        found = "is a folder; name the file in it" if path.is_dir() else "is no plain file; name a file"
        if path.is_file():
            return
        path.stat()
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        found = f"can't be read: {getattr(error, 'strerror', None) or error}; check the path"
    raise WeightsError(f"weights {path} {found}")


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], class_names: Sequence[str] | None) -> None:
    """Write tensors, and the names of the classes where they are known."""
    metadata = None if class_names is None else {CLASS_NAMES: json.dumps(list(class_names))}
    safetensors.torch.save_file(dict(tensors), path, metadata)


def conversion(path: Path) -> str:
    """Returns the command that converts a checkpoint to safetensors."""
    target = path.with_suffix(".safetensors")
    target = path.with_name(f"{path.stem}-converted.safetensors") if target == path else target
    return f"python -m orchestrator.weights {shlex.quote(str(path))} --out {shlex.quote(str(target))}"


def instead(path: Path) -> str:
    """Returns the kind of a file without usable weights in words, and what to do."""
    kind = kind_of(path)
    if kind == "checkpoint":
        return f"it is a PyTorch checkpoint; convert it with: {conversion(path)}"
    return _WORDS.get(kind, _WORDS["unknown"])


def _instead(path: Path, error: Exception) -> str:
    try:
        if kind_of(path) != "safetensors":
            return instead(path)
    except (OSError, zipfile.BadZipFile):
        return f"{getattr(error, 'strerror', None) or error}"
    return f"it is cut off or damaged ({error}); copy or download it again"


def _names_in(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Returns the names of the classes; None where they are not there, or not written as this program writes them."""
    try:
        names = json.loads(metadata.get(CLASS_NAMES, "null"))
    except ValueError:
        return None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def check_classes(path: Path, stored: Sequence[str] | None, of_data: Sequence[str]) -> None:
    """Compare the names of the classes, by place, where both the file and the data have them.

    Raises:
        WeightsError: with the first name that differs, and what to do.
    """
    if stored is None or not of_data or list(stored) == list(of_data):
        return
    if sorted(stored) == sorted(of_data):
        place = next(number for number, pair in enumerate(zip(stored, of_data, strict=True)) if pair[0] != pair[1])
        found, do = "the data's classes in another order", "reorder its last layer as the data's classes are"
    else:
        place = next((number for number, name in enumerate(stored) if name not in of_data), len(of_data) - 1)
        found = f"other classes than the data's ({len(stored)}, and {len(of_data)})"
        do = f"if only the words differ, name them as the data does: {conversion(path)} --class-names FILE"
    names = [f"'{names[place]}'" if place < len(names) else "nothing" for names in (stored, of_data)]
    raise WeightsError(
        f"weights {path} name {found}: class {place} is {names[0]} in the file, {names[1]} in the data; {do}"
    )
