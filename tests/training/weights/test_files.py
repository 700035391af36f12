"""Imported weights: used whole with a report of conversions, or refused with the file's kind and the remedy."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from orchestrator.training.networks import new_network, open_network
from orchestrator.training.weights.files import WeightsError, check_classes, read_safetensors, write_safetensors
from orchestrator.training.weights.fitting import fit
from tests.training.examples import assert_same_weights, network_spec

SPEC = network_spec("plain_cnn_2")
Tensors = dict[str, Tensor]


def tensors(classes: int = 4) -> Tensors:
    state = new_network(network_spec("plain_cnn_2", classes), seed=1).state_dict()
    return {name: value.clone() for name, value in state.items()}


def saved(folder: Path, content: Tensors) -> Path:
    path = folder / "brought.safetensors"
    safetensors.torch.save_file(content, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as refused:
        open_network(SPEC, path)
    message = str(refused.value)
    assert str(path) in message
    return message


# -- what fits ---------------------------------------------------------------------------------------------------


def test_matching_weights_are_used_unchanged_without_a_message(tmp_path: Path) -> None:
    opened = open_network(SPEC, saved(tmp_path, tensors()))
    assert_same_weights(dict(opened.network.state_dict()), tensors())
    assert opened.notes == () and opened.class_names is None


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "module.module.", "model.model.backbone."]
)
def test_a_prefix_of_all_names_is_stripped_repeatedly_and_reported(prefix: str, tmp_path: Path) -> None:
    opened = open_network(SPEC, saved(tmp_path, {prefix + name: value for name, value in tensors().items()}))
    assert_same_weights(dict(opened.network.state_dict()), tensors())
    assert opened.notes == (f"the prefix '{prefix}' of all its names is stripped",)


def test_a_prefix_that_the_network_has_itself_stays() -> None:
    inner = nn.Linear(2, 3)
    network = nn.ModuleDict({"model": inner})
    assert fit(network, {name: torch.ones_like(value) for name, value in network.state_dict().items()}) == ()
    double = {f"model.{name}": torch.zeros_like(value) for name, value in network.state_dict().items()}
    assert fit(network, double) == ("the prefix 'model.' of all its names is stripped",)
    assert not inner.weight.any()


def test_the_counter_of_an_averaged_model_is_left_out_and_reported(tmp_path: Path) -> None:
    averaged = {"n_averaged": torch.tensor(7), **{f"module.{name}": value for name, value in tensors().items()}}
    assert "n_averaged is left out" in open_network(SPEC, saved(tmp_path, averaged)).notes[0]


def test_old_files_without_batch_norm_s_counters_fit(tmp_path: Path) -> None:
    old = {name: value for name, value in tensors().items() if not name.endswith("num_batches_tracked")}
    assert len(old) < len(tensors())
    assert open_network(SPEC, saved(tmp_path, old)).notes == ()


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (torch.float16, "fp16"),
        (torch.bfloat16, "bf16"),
        (torch.float64, "fp64"),
        (torch.float8_e4m3fn, "float8_e4m3fn"),
    ],
)
def test_other_floating_point_types_are_converted_and_reported(kind: torch.dtype, word: str, tmp_path: Path) -> None:
    other = {name: value.to(kind) if value.is_floating_point() else value for name, value in tensors().items()}
    opened = open_network(SPEC, saved(tmp_path, other))
    assert all(value.dtype != kind for value in opened.network.state_dict().values())
    assert any(f"of {word} converted to fp32" in note for note in opened.notes)


# -- what does not -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_refused_with_the_tensor_and_their_number(value: float, tmp_path: Path) -> None:
    bad = tensors()
    bad["0.weight"].view(-1)[:3] = value
    assert "tensor '0.weight' holds 3 values that are NaN or infinite" in refusal(saved(tmp_path, bad))


def test_infinite_values_that_the_network_has_itself_are_no_fault() -> None:
    network = nn.Linear(2, 2)
    network.register_buffer("mask", torch.tensor([0.0, -float("inf")]))
    assert fit(network, {name: value.clone() for name, value in network.state_dict().items()}) == ()


def test_values_too_large_for_the_network_s_type_are_refused(tmp_path: Path) -> None:
    large = tensors()
    large["0.weight"] = large["0.weight"].double() * 1e300
    message = refusal(saved(tmp_path, large))
    assert "tensor '0.weight' holds" in message and "too large for the network's type" in message


def test_quantised_weights_are_refused_by_name(tmp_path: Path) -> None:
    assert "tensor '0.weight' holds int8" in refusal(
        saved(tmp_path, tensors() | {"0.weight": torch.ones_like(tensors()["0.weight"], dtype=torch.int8)})
    )


def test_another_number_of_classes_is_refused_with_both_shapes(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, tensors(classes=7)))
    assert "plain_cnn_2 with 4 classes, 1 channels at 16 pixels" in message
    assert "2 of other shape" in message and "(7,) in the file, (4,) in the network" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda state: {f"net_{name}": value for name, value in state.items()},
            ["0 of its", "the file lacks", "'net_"],
        ),
        (lambda state: dict(list(state.items())[1:]), ["the file lacks 1 name ('0.weight')"]),
        (
            lambda state: state | {"loss.weight": torch.ones(1)},
            ["the file has 1 name ('loss.weight') which the network"],
        ),
        (lambda state: {"empty": torch.ones(1)}, ["0 of its"]),
    ],
)
def test_names_that_do_not_fit_are_counted_both_ways_with_examples(
    change: Callable[[Tensors], Tensors], said: list[str], tmp_path: Path
) -> None:
    message = refusal(saved(tmp_path, change(tensors())))
    assert all(part in message for part in said), message


def test_a_mismatch_behind_a_prefix_is_reported_without_the_prefix(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {f"module.{name}": value for name, value in tensors(classes=7).items()}))
    assert "2 of other shape" in message and "without the prefix 'module.'" in message


# -- files that hold something else ------------------------------------------------------------------------------


def checkpoint(**options: bool) -> bytes:
    file = io.BytesIO()
    torch.save({"state_dict": tensors()}, file, **options)
    return file.getvalue()


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, b"")
    return file.getvalue()


def safetensors_bytes() -> bytes:
    return safetensors.torch.save(tensors())


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (checkpoint, "PyTorch checkpoint; convert it with: python -m orchestrator.weights"),
        (lambda: checkpoint(_use_new_zipfile_serialization=False), "PyTorch checkpoint; convert it with"),
        (lambda: checkpoint()[:-100], "cut off; copy or download it again"),
        (lambda: archive("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"), "TorchScript archive"),
        (lambda: archive("net/archive_format", "net/models/model.json"), "torch.export"),
        (lambda: archive("weight.npy", "bias.npy"), "NumPy arrays"),
        (lambda: archive("readme.txt"), "a zip archive without weights"),
        (npy, "NumPy arrays"),
        (lambda: pickle.dumps({"a": 1}), "a Python pickle"),
        (lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (lambda: b'{"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}', "index of weights"),
        (lambda: b"<!DOCTYPE html><html><body>Sign in</body></html>", "a web page"),
        (lambda: b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (lambda: b"GGUF" + bytes(64), "GGUF"),
        (lambda: b"\x1f\x8b" + bytes(64), "an archive; unpack it"),
        (lambda: bytes(257) + b"ustar" + bytes(250), "an archive; unpack it"),
        (lambda: b"", "it is empty"),
        (lambda: b"no weights at all", "no file of weights"),
        (lambda: bytes(range(256)), "no file of weights"),
        (lambda: safetensors_bytes()[:-9], "cut off or damaged"),
        (lambda: safetensors_bytes()[:40], "cut off or damaged"),
    ],
)
def test_a_file_of_another_kind_is_described(content: Callable[[], bytes], said: str, tmp_path: Path) -> None:
    path = tmp_path / "brought.pth"
    path.write_bytes(content())
    assert said in refusal(path)


def test_a_path_that_is_no_file_is_refused_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is no plain file" in refusal(tmp_path / "pipe")
    assert "is a folder" in refusal(tmp_path)
    assert "No such file" in refusal(tmp_path / "gone.safetensors")


# -- names of the classes ----------------------------------------------------------------------------------------


def test_class_names_come_back_from_a_file(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "a", tensors(), ["cat", "a, 'dog'"])
    assert read_safetensors(tmp_path / "a").class_names == ("cat", "a, 'dog'")


@pytest.mark.parametrize("text", ["cat, dog", "[1, 2]", '{"0": "cat"}'])
def test_class_names_of_another_form_are_passed_over(text: str, tmp_path: Path) -> None:
    safetensors.torch.save_file(tensors(), tmp_path / "a", {"class_names": text})
    assert read_safetensors(tmp_path / "a").class_names is None


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        (("dog", "cat"), "another order: class 0 is 'dog' in the file, 'cat' in the data; reorder"),
        (("cat", "wolf"), "class 1 is 'wolf' in the file, 'dog' in the data"),
        (("cat", "dog", "cow"), "(3, and 2): class 2 is 'cow' in the file, nothing in the data"),
        (("cat",), "(1, and 2): class 1 is nothing in the file, 'dog' in the data"),
    ],
)
def test_classes_that_differ_by_name_are_refused_with_the_first(stored: tuple[str, ...], said: str) -> None:
    with pytest.raises(WeightsError) as refused:
        check_classes(Path("w.safetensors"), stored, ("cat", "dog"))
    assert said in str(refused.value)


def test_classes_are_compared_only_where_both_are_named() -> None:
    for stored, of_data in ((("cat", "dog"), ("cat", "dog")), (None, ("cat", "dog")), (("cat", "dog"), ())):
        check_classes(Path("w.safetensors"), stored, of_data)
