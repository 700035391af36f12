"""The state of an unfinished training as one safetensors file: a resumed training ends in bitwise the same weights."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

GROUPS = ("network", "teaching", "optimizer", "best", "snapshots", "arrays")  # fields that hold tensors


@dataclass
class TrainingState:
    """State after ``step`` steps. Batches, views and learning rate follow from the step alone."""

    step: int
    network: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    snapshots: dict[str, Tensor] = field(default_factory=dict)  # ``snapshots.py``
    teaching: dict[str, Tensor] = field(default_factory=dict)  # parameters and buffers of the teaching
    arrays: dict[str, Tensor] = field(default_factory=dict)  # learned steps, which expert taught what
    progress: dict[str, Any] = field(default_factory=dict)  # history, best accuracy: plain values

    def to_bytes(self) -> bytes:
        """Returns the state as a safetensors file; plain values go into its metadata as JSON."""
        tensors = {
            f"{group}/{name}": value.detach().cpu().contiguous()
            for group in GROUPS
            for name, value in getattr(self, group).items()
        }
        plain = json.dumps({"step": self.step, "progress": self.progress})
        # One entry: the order of several is not fixed, and equal states should be equal bytes.
        return safetensors.torch.save(tensors, {"state": f"{_checksum(plain, tensors)} {plain}"})

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainingState:
        """Returns the state of which ``content`` is ``to_bytes()``.

        Raises:
            ValueError: when the file is damaged or of another kind.
        """
        try:
            tensors = safetensors.torch.load(content)
            length = int.from_bytes(content[:8], "little")
            checksum, plain = json.loads(content[8 : 8 + length])["__metadata__"]["state"].split(" ", 1)
            if checksum != _checksum(plain, tensors):
                raise ValueError("its checksum does not match")
        except (SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"the checkpoint is damaged: {error}") from error
        groups: dict[str, dict[str, Tensor]] = {group: {} for group in GROUPS}
        for key, value in tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = value
        saved = json.loads(plain)
        return cls(step=saved["step"], progress=saved["progress"], **groups)


def _checksum(plain: str, tensors: dict[str, Tensor]) -> str:
    """SHA-256 over everything that a state holds: a network of flipped bits would train on without a word."""
    digest = hashlib.sha256(plain.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
