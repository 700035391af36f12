"""The model card: its numbers are the report's, and its code works as it stands."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.export.__main__ import main
from orchestrator.export.selection import Chosen, Run
from orchestrator.report.words import hundredths
from orchestrator.training.data.images import ImageFiles
from orchestrator.training.data.views import CLEAN
from tests.export.conftest import FORMATS, each_case, each_student
from tests.report.written import rows_of
from tests.test_structure import ROOT

pytestmark = pytest.mark.long

Exports = Callable[[str], tuple[Run, Chosen, Path]]


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text()


def front_matter(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def code_in(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run_code(code: str, folder: Path) -> str:
    """Returns the output of a program run in the folder, with the project at the end of its path for `models`."""
    script = f"import sys; sys.path.append({str(ROOT)!r})\n" + code
    done = subprocess.run([sys.executable, "-I", "-c", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@each_case
def test_the_front_matter_is_what_model_hubs_read(case: str, exported: Exports) -> None:
    run, chosen, folder = exported(case)
    found = front_matter(card_of(folder))
    assert found["pipeline_tag"] == "image-classification"
    assert {"image-classification", "knowledge-distillation", "int8", "onnx"} <= set(found["tags"])
    assert found["datasets"] == [run.report["recipe"]["dataset"]["name"]]
    assert found["metrics"] == ["accuracy"]
    metric = found["model-index"][0]["results"][0]["metrics"][0]
    assert metric["value"] == chosen.row["test_accuracy"]


def test_the_license_is_left_to_the_person_and_that_is_said(exported: Exports) -> None:
    text = card_of(exported("plain CNN, grey")[2])
    assert re.search(r"^license: unknown  # fill this in before you publish", text, re.MULTILINE)
    assert "Not chosen yet: fill in `license`" in text.partition("## License\n")[2]


@each_student
def test_accuracies_are_those_of_the_report(case: str, exported: Exports) -> None:
    run, chosen, folder = exported(case)
    rows = rows_of(card_of(folder), "Accuracy")
    seeds = [row for row in run.report["methods"] if row["method"] == chosen.method]
    teacher = run.report["networks"][0]
    for row, name in (
        (chosen.row, f"this network, `{chosen.network.name}`"),
        (teacher, f"teacher `{teacher['name']}`"),
        *((row, f"seed {row['seed']}") for row in seeds),
    ):
        assert rows[name] == [hundredths(row["validation_accuracy"]), hundredths(row["test_accuracy"])]
    values = [[row["validation_accuracy"] or 0.0 for row in seeds], [row["test_accuracy"] or 0.0 for row in seeds]]
    assert rows[f"`{chosen.method}`, mean of {len(seeds)} seed{'s' * (len(seeds) != 1)}"] == [
        hundredths(statistics.fmean(it)) for it in values
    ]
    spread = [hundredths(statistics.stdev(it)) if len(it) > 1 else "-" for it in values]
    assert rows["sample standard deviation over seeds"] == spread


@each_case
def test_the_card_names_the_network_and_its_run(case: str, exported: Exports) -> None:
    run, chosen, folder = exported(case)
    text = card_of(folder)
    size = next(row for row in run.report["networks"] if row["name"] == chosen.network.name)
    about = run.about_data
    wanted = [
        f"{size['parameters']:,} parameters, {size['multiply_adds']:,} multiply-adds",
        f"float32 (N, {chosen.network.channels}, {chosen.network.image_size}, {chosen.network.image_size})",
        f"{about.counts.train:,} training, {about.counts.validation:,} validation",
        run.id,
        run.data.spec["fingerprint"],
        chosen.artifact.identity,
        chosen.artifact.files[WEIGHTS]["sha256"],
        *about.class_names,
        *(f"{name} {number}" for name, number in chosen.artifact.versions.items()),
    ]
    assert [part for part in wanted if part not in text] == []


def test_the_card_describes_how_the_student_was_taught(exported: Exports) -> None:
    text = card_of(exported("CIFAR ResNet, colour")[2]).partition("## How it was taught\n")[2]
    assert "Taught by `resnet14`" in text
    assert (
        "Temperature 3, weight of distillation 0.7: loss = 0.3 x cross-entropy + 0.7 x distillation loss, kd:" in text
    )
    assert "No curriculum" in text


@each_case
def test_its_code_works_as_it_stands(case: str, exported: Exports) -> None:
    _, chosen, folder = exported(case)
    blocks = code_in(card_of(folder))
    assert len(blocks) == 1 + len(FORMATS) + 1
    size = chosen.network.image_size
    picture = folder / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 40, 3), dtype=np.uint8)).save(picture)
    try:
        shape = run_code(blocks[0] + "\nprint(images.dtype, images.shape, images.max() <= 1)", folder)
    finally:
        picture.unlink()
    assert shape == f"float32 (1, {chosen.network.channels}, {size}, {size}) True"
    for block in blocks[1:]:
        label = int(re.sub(r"\D", "", run_code(block, folder).removeprefix("tensor")))
        assert 0 <= label < chosen.network.classes


@pytest.mark.parametrize("kind", ["EXIF", "transparent", "16 bits", "palette", "rotated 16-bit TIFF", "float"])
def test_its_code_reads_a_photo_as_the_run_did(kind: str, exported: Exports, tmp_path: Path) -> None:
    _, chosen, folder = exported("torchvision student, photos")
    draw, exif, size = np.random.default_rng(0), Image.Exif(), chosen.network.image_size
    exif[274] = 6  # orientation
    colour = Image.fromarray(draw.integers(0, 256, (50, 40, 4), dtype=np.uint8))
    grey = draw.integers(0, 65536, (50, 40)).astype(np.uint16)
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "EXIF": (colour.convert("RGB"), "PNG", {"exif": exif}),
        "transparent": (colour, "PNG", {}),
        "16 bits": (Image.fromarray(grey), "PNG", {}),
        "palette": (colour.convert("RGB").quantize(16), "GIF", {"transparency": 3}),
        "rotated 16-bit TIFF": (Image.fromarray(grey), "TIFF", {"exif": exif}),
        "float": (Image.fromarray((grey / 65535).astype(np.float32)), "TIFF", {}),
    }
    image, form, options = kinds[kind]
    image.save(tmp_path / "picture.png", format=form, **options)
    photos = ImageFiles(
        FolderPhotos("", [str(tmp_path / "picture.png")]),
        size,
        [0.0] * 3,
        [1.0] * 3,
        "none",
        0,
        torch.device("cpu"),
    )
    run_code(code_in(card_of(folder))[0] + "\nnumpy.save('images.npy', images)", tmp_path)
    expected = photos.views(np.array([0]), [CLEAN])[0].numpy()
    step = 1 / 255  # Pillow, which the code resizes with, rounds otherwise
    np.testing.assert_allclose(np.load(tmp_path / "images.npy"), expected, atol=step + 1e-6)


def test_int8_is_told_with_what_it_cost_and_that_test_images_were_used_again(exported: Exports) -> None:
    text = card_of(exported("plain CNN, grey")[2])
    rows = rows_of(text, "int8")
    assert {"validation", "test"} == set(rows)
    assert [rows[part][0] for part in rows] == ["64", "48"]
    for _, before, after, drop, _ in rows.values():
        assert float(drop) == pytest.approx(float(before) - float(after), abs=0.011)
    assert "second use of the test images" in text


def test_files_are_listed_with_their_sizes_and_timed_against_the_teacher(exported: Exports) -> None:
    _, _, folder = exported("CIFAR ResNet, colour")
    listed, timed = rows_of(card_of(folder), "Files"), rows_of(card_of(folder), "Speed and size")
    names = {*FORMATS.values(), "model-int8.onnx"}
    assert {name.strip("`") for name in listed} == {name.strip("`") for name in timed} == names
    for name in names:
        size = f"{(folder / name).stat().st_size:,}"
        assert listed[f"`{name}`"][1] == timed[f"`{name}`"][3] == size
        assert int(timed[f"`{name}`"][4].replace(",", "")) > int(size.replace(",", ""))  # the teacher is larger


def test_a_file_of_an_earlier_export_is_named_as_such(finished: Callable[[str], Run], tmp_path: Path) -> None:
    run = finished("plain")
    for form in ("torch-export", "safetensors"):
        assert main(["--storage", run.store.uri, "--format", form, "--out", str(tmp_path)]) == 0
    text = card_of(tmp_path)
    assert "from an earlier export and not described here: model.pt2" in text
    assert "int8" not in text.replace("uint8", "")  # the code that reads images names the latter
