"""Checkpoints in one file: restored completely, and refused when damaged."""

from __future__ import annotations

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.training.state import TrainingState

GROUPS = ("network", "teaching", "optimizer", "best", "snapshots", "arrays")


def state() -> TrainingState:
    random = torch.Generator().manual_seed(0)
    return TrainingState(
        step=17,
        network={
            "0.weight": torch.randn(4, 3, 3, 3, generator=random).to(memory_format=torch.channels_last),
            "1.num_batches_tracked": torch.tensor(5),
        },
        optimizer={"0.momentum_buffer": torch.randn(4, 3, 3, 3, generator=random), "0.step": torch.tensor(3.0)},
        best={"0.weight": torch.randn(4, 3, 3, 3, generator=random).bfloat16()},
        teaching={"projection.weight": torch.randn(2, 4, generator=random)},
        arrays={"taught": torch.zeros(0, 0, dtype=torch.int64), "learned": torch.arange(-3, 4)},
        progress={"history": [{"step": 17, "validation_loss": 0.1 + 0.2}], "best": None, "seconds": 1.5},
    )


CONTENT = state().to_bytes()


def test_everything_comes_back_as_it_was() -> None:
    found, wanted = TrainingState.from_bytes(CONTENT), state()
    assert (found.step, found.progress) == (wanted.step, wanted.progress)
    for group in GROUPS:
        tensors, originals = getattr(found, group), getattr(wanted, group)
        assert tensors.keys() == originals.keys()
        for name, original in originals.items():
            assert tensors[name].dtype == original.dtype
            assert torch.equal(tensors[name], original)


def test_a_state_without_tensors_comes_back() -> None:
    found = TrainingState.from_bytes(TrainingState(step=0, network={}, optimizer={}).to_bytes())
    assert (found.step, found.network, found.best, found.progress) == (0, {}, {}, {})


def test_it_does_not_change_with_the_state_it_was_taken_from() -> None:
    original = state()
    content = original.to_bytes()
    original.network["0.weight"].zero_()
    assert content == CONTENT


@given(length=st.integers(0, len(CONTENT) - 1))
def test_a_file_that_was_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="the checkpoint is damaged"):
        TrainingState.from_bytes(CONTENT[:length])


@given(content=st.binary(max_size=200))
def test_any_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="the checkpoint is damaged"):
        TrainingState.from_bytes(content)


@given(place=st.integers(0, len(CONTENT) - 1), flipped=st.integers(1, 255))
def test_a_file_with_any_byte_changed_is_refused_or_still_the_same_state(place: int, flipped: int) -> None:
    changed = bytearray(CONTENT)
    changed[place] ^= flipped
    try:
        found = TrainingState.from_bytes(bytes(changed))
    except ValueError as error:
        assert "the checkpoint is damaged" in str(error)
    else:  # a space of the header, say
        assert found.to_bytes() == CONTENT


@pytest.mark.parametrize("metadata", [None, {}, {"state": "3"}, {"state": "a b"}, {"other": "a b"}], ids=str)
def test_a_safetensors_file_that_is_no_checkpoint_is_refused(metadata: dict[str, str] | None) -> None:
    content = safetensors.torch.save({"weight": torch.zeros(2)}, metadata)
    with pytest.raises(ValueError, match="the checkpoint is damaged"):
        TrainingState.from_bytes(content)
