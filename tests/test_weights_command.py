"""``python -m orchestrator.weights``: the list of a checkpoint's contents, and its conversion to safetensors."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from orchestrator import weights
from orchestrator.training.networks import new_network, open_network
from orchestrator.training.weights.files import read_safetensors
from tests.training.examples import assert_same_weights, network_spec

SPEC = network_spec("plain_cnn_2")
NETWORK = ["--network", "plain_cnn_2", "--classes", "4", "--channels", "1", "--image-size", "16"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def tensors(seed: int = 1, prefix: str = "") -> dict[str, Tensor]:
    return {prefix + name: value.clone() for name, value in new_network(SPEC, seed).state_dict().items()}


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert weights.main(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert weights.main(list(arguments)) == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err and printed.err.startswith("error: ")
    return printed.err


@pytest.mark.parametrize("key", ["", "state_dict", "model", "model_state_dict", "anything", "outer.inner"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_checkpoint_becomes_weights_that_a_run_takes(
    key: str, zipped: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    content: Any = tensors()
    for name in reversed(key.split(".") if key else []):
        content = {name: content, "epoch": 3}
    torch.save(content, "a.pth", _use_new_zipfile_serialization=zipped)
    text = said(capsys, "a.pth", "--out", "a.safetensors")
    assert (f"took state dict '{key}'" if key else "took the state dict that the file is") in text
    assert_same_weights(dict(open_network(SPEC, Path("a.safetensors")).network.state_dict()), tensors())


def test_of_several_state_dicts_it_prints_its_choice_and_takes_another_by_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    optimizer = {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": []}
    averaged = {"n_averaged": torch.tensor(5), **tensors(2, "module.")}
    torch.save(
        {"model_ema": averaged, "optimizer": optimizer, "best": torch.tensor(0.5), "model": tensors(1, "module."),
         "args": argparse.Namespace(lr=0.1)}, "a.pth",
    )  # fmt: skip
    text = said(capsys, "a.pth", "--out", "a.safetensors", *NETWORK)
    assert "took state dict 'model' " in text and "--key model_ema takes it" in text and "momentum" not in text
    assert_same_weights(read_safetensors(Path("a.safetensors")).tensors, tensors(1))
    text = said(capsys, "a.pth", "--key", "model_ema", "--out", "b.safetensors", *NETWORK)
    assert "took state dict 'model_ema'" in text and "the prefix 'module.'" in text and "n_averaged" in text
    assert_same_weights(read_safetensors(Path("b.safetensors")).tensors, tensors(2))
    message = refused(capsys, "a.pth", "--key", "ema", "--out", "c.safetensors")
    assert "there is no state dict 'ema'" in message and "'model_ema'" in message


def test_with_a_network_it_lists_mismatches_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(tensors(), "a.pth")
    message = refused(capsys, "a.pth", "--out", "a.safetensors", *NETWORK[:2], "--classes", "7", *NETWORK[4:])
    assert "2 of other shape" in message and "(4,) in the file, (7,) in the network" in message
    assert not Path("a.safetensors").exists()


def test_half_precision_is_reported_and_converted_for_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in tensors().items()}, "a")
    text = said(capsys, "a", "--out", "a.safetensors", *NETWORK)
    assert "of fp16" in text and "converted to fp32" in text
    assert all(value.dtype != torch.float16 for value in read_safetensors(Path("a.safetensors")).tensors.values())


@pytest.mark.parametrize(
    "fields",
    [{"class_names": ["a", "b", "c", "d"]}, {"classes": ("a", "b", "c", "d")},
     {"class_to_idx": {"b": 1, "a": 0, "d": 3, "c": 2}}],
)  # fmt: skip
def test_names_of_the_classes_are_kept(fields: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": tensors(), **fields}, "a.pth")
    assert "classes: 4, a, b, c, d" in said(capsys, "a.pth", "--out", "a.safetensors")
    assert read_safetensors(Path("a.safetensors")).class_names == ("a", "b", "c", "d")


def test_classes_can_be_named_anew(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(tensors(), "a.pth")
    Path("names.txt").write_text("cat\ndog\ncow\nhen\n")
    said(capsys, "a.pth", "--out", "a.safetensors", "--class-names", "names.txt")
    assert read_safetensors(Path("a.safetensors")).class_names == ("cat", "dog", "cow", "hen")
    Path("names.txt").write_text("cat\ncat\n")
    assert "the same name twice" in refused(capsys, "a.pth", "--class-names", "names.txt")


def test_without_out_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(tensors(), "a.pth")
    assert "nothing is written" in said(capsys, "a.pth")
    assert [path.name for path in Path().iterdir()] == ["a.pth"]


def test_tied_tensors_are_written_each_on_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    whole = torch.arange(6.0)
    torch.save({"a": whole, "b": whole, "c": whole[::2]}, "a.pth")
    said(capsys, "a.pth", "--out", "a.safetensors")
    assert_same_weights(read_safetensors(Path("a.safetensors")).tensors, {"a": whole, "b": whole, "c": whole[::2]})


def test_arguments_and_numpy_numbers_in_a_checkpoint_are_ignored(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(
        {"model": tensors(), "args": argparse.Namespace(data=Path("data")), "best": np.float64(0.5), "n": np.int64(3)},
        "a.pth",
    )
    assert "took state dict 'model'" in said(capsys, "a.pth")


class Opaque:
    """Something that a checkpoint of a training script may hold."""


def test_code_in_a_checkpoint_is_never_run(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": tensors(), "config": Opaque()}, "a.pth")
    message = refused(capsys, "a.pth", "--out", "a.safetensors")
    assert "Opaque" in message and "torch.save(network.state_dict()" in message
    torch.save(new_network(SPEC, 0), "whole.pth")
    assert "Sequential" in refused(capsys, "whole.pth")


def test_values_that_are_not_finite_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    bad = tensors()
    bad["0.weight"][0] = float("nan")
    torch.save(bad, "a.pth")
    assert "tensor '0.weight' holds" in refused(capsys, "a.pth", "--out", "a.safetensors")


@pytest.mark.parametrize(
    ("arguments", "said_"),
    [
        (["gone.pth"], "No such file"),
        (["."], "is a folder"),
        (["a.pth", "--out", "b.pth"], "ends in .safetensors"),
        (["a.pth", "--out", "gone/b.safetensors"], "there is no folder gone"),
        (["a.pth", "--network", "plain_cnn_2"], "--classes"),
        (["a.pth", "--network", "plain_cnn_two", "--classes", "4"], "--network: network 'plain_cnn_two' is unknown"),
        (["a.pth", "--network", "plain_cnn_2", "--classes", "0"], "--network: num_classes"),
        (["a.pth", "--class-names", "gone.txt"], "gone.txt"),
        (["cut.pth"], "cut off or damaged"),
        (["numbers.pth"], "holds no state dict"),
        (["a.pth", "--out", "x" * 300 + ".safetensors"], "--out"),
    ],
)
def test_invalid_arguments_are_refused(arguments: list[str], said_: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(tensors(), "a.pth")
    torch.save(tensors(), "cut.pth", _use_new_zipfile_serialization=False)
    Path("cut.pth").write_bytes(Path("cut.pth").read_bytes()[:900])
    torch.save({"epoch": 3}, "numbers.pth")
    assert said_ in refused(capsys, *arguments)


def test_it_can_be_called_as_a_module() -> None:
    root = str(Path(weights.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.weights", "--help"], env={"PYTHONPATH": root}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert "--key" in done.stdout and "--out" in done.stdout
