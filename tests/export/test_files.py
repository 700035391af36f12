"""Every file does what the network does, for someone who has the file and not this project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import safetensors
import safetensors.torch
import torch

from orchestrator.export.selection import Chosen, Run
from orchestrator.training.data.images import load
from orchestrator.training.networks import load_network
from tests.export.conftest import FORMATS, each_case
from tests.test_structure import PARTS, ROOT

pytestmark = pytest.mark.long

Exports = Callable[[str], tuple[Run, Chosen, Path]]

# Written as a stranger would; nothing of this project is used, and nothing of it can be.
STRANGER = """
import sys
for name in ("orchestrator", "models", "curricula"):
    sys.modules[name] = None
import numpy
form, file, inputs, output = sys.argv[1:]
batches = [numpy.load(inputs)[name] for name in ("one", "three")]
if form == "torch-export":
    import torch
    network = torch.export.load(file).module()
    logits = [network(torch.from_numpy(batch)).detach().numpy() for batch in batches]
else:
    import onnxruntime
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    logits = [session.run(["logits"], {"images": batch})[0] for batch in batches]
numpy.save(output, numpy.concatenate(logits))
"""


def as_a_stranger(form: str, file: Path, pixels: npt.NDArray[np.float32], folder: Path) -> npt.NDArray[np.float32]:
    """Logits of four images, as a batch of one and a batch of three."""
    np.savez(folder / "inputs.npz", one=pixels[:1], three=pixels[1:])
    subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, form, file, folder / "inputs.npz", folder / "logits.npy"],
        check=True, cwd=folder,
    )  # fmt: skip
    logits: npt.NDArray[np.float32] = np.load(folder / "logits.npy")
    return logits


def images_of(run: Run, normalised: bool) -> torch.Tensor:
    """Four validation images."""
    data = load(
        run.store.fetch(run.data), root=run.report["recipe"]["dataset"]["root"], augmentation="none", views_seed=0,
        device=torch.device("cpu"), normalised=normalised,
    )  # fmt: skip
    return data.images.views(data.validation[-4:], [-1])[0]


@each_case
@pytest.mark.parametrize("form", ["torch-export", "onnx"])
def test_a_graph_gives_the_networks_logits_where_this_project_is_not(
    case: str, form: str, exported: Exports, tmp_path: Path
) -> None:
    run, chosen, folder = exported(case)
    network = load_network(chosen.network, run.store.fetch(chosen.artifact) / "weights.safetensors").eval()
    with torch.inference_mode():
        wanted = network(images_of(run, normalised=True)).numpy()
    pixels = images_of(run, normalised=False).contiguous().numpy()
    assert 0 <= pixels.min() < pixels.max() <= 1
    found = as_a_stranger(form, folder / FORMATS[form], pixels, tmp_path)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    assert np.ptp(wanted, axis=0).max() > 100 * np.abs(found - wanted).max()  # the images are told apart


@each_case
def test_safetensors_holds_the_weights_bit_for_bit(case: str, exported: Exports) -> None:
    run, chosen, folder = exported(case)
    found = safetensors.torch.load_file(folder / "model.safetensors")
    trained = safetensors.torch.load_file(run.store.fetch(chosen.artifact) / "weights.safetensors")
    assert found.keys() == trained.keys()
    assert all(torch.equal(found[name], trained[name]) for name in trained)


@each_case
def test_every_file_says_which_network_it_holds(case: str, exported: Exports) -> None:
    run, chosen, folder = exported(case)
    with safetensors.safe_open(folder / "model.safetensors", "pt") as file:
        header: dict[str, str] = file.metadata()
    assert header["network"] == chosen.network.name
    assert [int(header[name]) for name in ("classes", "channels", "image_size")] == [
        chosen.network.classes, chosen.network.channels, chosen.network.image_size
    ]  # fmt: skip
    assert json.loads(header["mean"]) == list(run.about_data.mean)
    assert json.loads(header["std"]) == list(run.about_data.std)
    assert json.loads(header["class_names"]) == list(run.about_data.class_names)
    for name in ("model.onnx", "model-int8.onnx"):
        assert {item.key: item.value for item in onnx.load(folder / name).metadata_props} == header
    extra: dict[str, Any] = {"about.json": ""}
    torch.export.load(folder / "model.pt2", extra_files=extra)
    assert json.loads(extra["about.json"]) == header


@pytest.mark.parametrize("name", ["model.onnx", "model-int8.onnx"])
@each_case
def test_onnx_has_one_input_and_one_output_of_any_batch_size(case: str, name: str, exported: Exports) -> None:
    _, chosen, folder = exported(case)
    onnx.checker.check_model(str(folder / name), full_check=True)
    graph, shape = onnx.load(folder / name).graph, chosen.network
    found = {
        value.name: [part.dim_param or part.dim_value for part in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert found == {
        "images": ["batch", shape.channels, shape.image_size, shape.image_size],
        "logits": ["batch", shape.classes],
    }


@each_case
def test_no_file_tells_where_it_was_made(case: str, exported: Exports) -> None:
    run, _, folder = exported(case)
    places = [str(ROOT), run.store.uri, str(Path(torch.__file__).parent)]
    for file in folder.iterdir():
        content = file.read_bytes()
        assert not [place for place in places if place.encode() in content], file.name


def test_the_folder_holds_the_files_and_the_card_and_everyone_may_read_them(exported: Exports) -> None:
    _, _, folder = exported("plain CNN, grey")
    names = {"model.safetensors", "model.pt2", "model.onnx", "model-int8.onnx", "README.md"}
    assert {path.name for path in folder.iterdir()} == names
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in folder.iterdir())


def test_the_check_blocks_every_package_of_the_project() -> None:
    assert all(f'"{part}"' in STRANGER for part in PARTS)
