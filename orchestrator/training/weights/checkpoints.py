"""State dicts in checkpoints that torch.save wrote, read without running code from them."""

from __future__ import annotations

import argparse
import pathlib
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from orchestrator.training.weights.files import Weights, WeightsError, check_is_file, instead, kind_of, read_safetensors

WHOLE = "."  # names the file's own content, where that is a state dict
# Taken before others, in this order; averaged copies last, so that they are asked for by name.
PREFERRED = (WHOLE, "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights", "params")
AVERAGED = ("ema", "average", "swa")
DEEPEST = 3  # mappings within mappings that are looked into
CLASS_FIELDS = ("class_names", "classes")  # lists of names that a checkpoint may have beside its tensors
# Settings and numbers that training scripts leave in checkpoints; to make one runs nothing else.
_SCALAR = np.float64(0).__reduce__()[0]  # makes a NumPy number
HARMLESS: list[Any] = [
    argparse.Namespace,
    pathlib.PosixPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    (_SCALAR, "numpy.core.multiarray.scalar"),  # before NumPy 2
    (_SCALAR, "numpy._core.multiarray.scalar"),
]


@dataclass(frozen=True)
class StateDict:
    """Tensors by name, found at ``key`` (dotted, ``.`` for the whole file), and the names of other entries there."""

    key: str
    tensors: dict[str, Tensor]
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """Content of a file: state dicts, the preferred one first, and the names of the classes where it has them."""

    state_dicts: tuple[StateDict, ...]
    class_names: tuple[str, ...] | None

    def choose(self, key: str | None) -> StateDict:
        """Returns the state dict of a key; without one, the first.

        Raises:
            WeightsError: for a key that is not there, with those that are.
        """
        for found in self.state_dicts:
            if key in (None, found.key):
                return found
        there = ", ".join(f"'{found.key}'" for found in self.state_dicts)
        raise WeightsError(f"--key: there is no state dict '{key}' in the file; there is {there}")


def read_checkpoint(path: Path) -> Checkpoint:
    """Returns the state dicts of a checkpoint of PyTorch, or the tensors of a safetensors file as one.

    Raises:
        WeightsError: when the file is neither, holds no state dict, or can't be read without running code from it.
    """
    check_is_file(path)
    try:
        kind = kind_of(path)
    except OSError as error:
        raise WeightsError(f"{path} can't be read: {error.strerror}") from error
    if kind == "safetensors":
        weights = read_safetensors(path)
        return Checkpoint((StateDict(WHOLE, weights.tensors),), weights.class_names)
    if kind != "checkpoint":
        raise WeightsError(f"{path}: {instead(path)}")
    content = _read(path)
    found = list(_state_dicts(content, WHOLE, DEEPEST))
    if not found:
        fields = f" (it holds {', '.join(map(str, list(content)[:8]))})" if isinstance(content, Mapping) else ""
        raise WeightsError(f"{path} holds no state dict, a mapping of names to tensors{fields}")
    most = max(len(each.tensors) for each in found)
    return Checkpoint(tuple(sorted(found, key=lambda each: _rank(each, most))), _class_names(content))


def _read(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        names = _classes_in(path)
        what = f"objects of {', '.join(names)}" if names else "objects that are no weights"
        raise WeightsError(
            f"{path} holds {what} beside or in place of tensors; to read them could run any code, so it is not done. "
            "Save the weights alone where they were made: torch.save(network.state_dict(), 'weights.pth')"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path} is cut off or damaged ({reason[:200]}); copy or download it again") from error


def _classes_in(path: Path) -> list[str]:
    """Names of the classes that a checkpoint's pickle refers to and that are not read; none where it can't be told."""
    try:
        with torch.serialization.safe_globals(HARMLESS):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # it looks into a pickle that may be damaged in any way
        return []
    return [*sorted(names)[:3], *(["..."] if len(names) > 3 else [])]


def _state_dicts(content: Any, key: str, depth: int) -> Iterator[StateDict]:
    """The mappings of names to tensors in a checkpoint, but those of its optimiser."""
    if not isinstance(content, Mapping):
        return
    names = [name for name in content if isinstance(name, str)]
    tensors = {name: content[name].detach() for name in names if isinstance(content[name], Tensor)}
    if tensors:
        inner = {name for name in names if isinstance(content[name], Mapping)}
        others = tuple(name for name in names if name not in tensors and name not in inner)
        yield StateDict(key, tensors, others)
    for name in names:
        if depth > 0 and not name.startswith(("optim", "scheduler", "lr_", "scaler")):
            yield from _state_dicts(content[name], name if key == WHOLE else f"{key}.{name}", depth - 1)


def _rank(found: StateDict, most: int) -> tuple[bool, bool, int]:
    """Networks before a few tensors that lie beside them, averaged copies later, then by the usual names."""
    averaged = any(word in found.key.lower() for word in AVERAGED)
    known = PREFERRED.index(found.key) if found.key in PREFERRED else len(PREFERRED)
    return len(found.tensors) < most / 2, averaged, known


def _class_names(content: Any) -> tuple[str, ...] | None:
    """Names of the classes in the order of the logits, from the fields that training scripts use."""
    if not isinstance(content, Mapping):
        return None
    for field in CLASS_FIELDS:
        names = content.get(field)
        if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
    numbers = content.get("class_to_idx")
    if isinstance(numbers, Mapping) and sorted(map(str, numbers.values())) == sorted(map(str, range(len(numbers)))):
        return tuple(str(name) for name, _ in sorted(numbers.items(), key=lambda item: int(item[1])))
    return None


def weights_of(found: StateDict, class_names: tuple[str, ...] | None) -> Weights:
    """Returns a state dict as weights, every tensor in its own memory.

    Raises:
        WeightsError: for a tensor that is quantised or sparse.
    """
    odd = [name for name, value in found.tensors.items() if value.is_quantized or value.layout != torch.strided]
    if odd:
        raise WeightsError(f"tensor '{odd[0]}' is quantised or sparse; take the weights from before that was done")
    return Weights({name: value.clone().contiguous() for name, value in found.tensors.items()}, class_names)
