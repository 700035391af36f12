"""The state of an unfinished training as one safetensors file: resuming from it gives bitwise the same weights."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor


@dataclass
class TrainingState:
    """Where a training stands after ``step`` steps. Batches, views and learning rate follow from the step alone."""

    step: int
    network: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    arrays: dict[str, Tensor] = field(default_factory=dict)  # learned steps, which expert taught what
    progress: dict[str, Any] = field(default_factory=dict)  # history, best accuracy: plain values

    def to_bytes(self) -> bytes:
        """The state as a safetensors file; plain values go into its metadata as JSON."""
        tensors = {
            f"{group}/{name}": value.detach().cpu().contiguous()
            for group in ("network", "optimizer", "best", "arrays")
            for name, value in getattr(self, group).items()
        }
        return safetensors.torch.save(tensors, {"state": json.dumps({"step": self.step, "progress": self.progress})})

    @classmethod
    def from_bytes(cls, content: bytes) -> TrainingState:
        """The state that ``to_bytes`` gave.

        Raises:
            ValueError: when the bytes are no such file.
        """
        try:
            length = int.from_bytes(content[:8], "little")
            plain = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["state"])
            tensors = safetensors.torch.load(content)
        except (SafetensorError, ValueError, KeyError) as error:
            raise ValueError(f"the checkpoint is damaged: {error}") from error
        groups: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}, "best": {}, "arrays": {}}
        for key, value in tensors.items():
            group, name = key.split("/", 1)
            groups[group][name] = value
        return cls(step=plain["step"], progress=plain["progress"], **groups)
