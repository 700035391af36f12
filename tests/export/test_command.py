"""The command as a person meets it: help, what is missing, where runs may lie."""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.export.__main__ import main
from orchestrator.export.deployable import open_images
from orchestrator.export.exporting import export
from orchestrator.export.selection import ExportError, Run, find_student, open_run
from tests.artifacts.stores import RemoteStore
from tests.export import runs
from tests.export.test_card import code_in, run_code
from tests.test_structure import ROOT

pytestmark = pytest.mark.long

# The command in a process in which packages can't be imported.
WITHOUT = """
import sys
from orchestrator.export.standalone import Refusing
sys.meta_path.insert(0, Refusing(sys.argv[1].split(",")))
from orchestrator.artifacts.store import Store
from orchestrator.export.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


def without(packages: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, packages, *arguments],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_help_names_every_option_and_needs_no_torch() -> None:
    done = without("torch,onnx,onnxruntime,ray", "--help")
    assert done.returncode == 0
    options = (
        "RUN",
        "--storage",
        "--method",
        "--seed",
        "--expert",
        "--format",
        "--quantize",
        "--out",
        "--dataset-root",
    )
    assert [option for option in options if option not in done.stdout] == []


def test_unknown_choices_are_refused_without_importing_torch(finished: Callable[[str], Run]) -> None:
    done = without("torch", "no-such-run", "--storage", finished("plain").store.uri)
    assert done.returncode == 2
    assert "run 'no-such-run' is not in storage" in done.stderr


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    package: str, finished: Callable[[str], Run], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = without(package, "--storage", finished("plain").store.uri, "--format", "onnx", "--out", str(out))
    assert done.returncode == 2
    assert package in done.stderr and "run: pip install onnx onnxscript onnxruntime" in done.stderr
    assert done.stderr.count("\n") == 1 and not out.exists()


def test_an_export_does_not_need_ray(finished: Callable[[str], Run], tmp_path: Path) -> None:
    arguments = ("--storage", finished("plain").store.uri, "--format", "safetensors", "--out", str(tmp_path))
    done = without("ray,onnx,onnxruntime,onnxscript", *arguments)
    assert done.returncode == 0, done.stderr
    assert "checked: largest difference of a logit" in done.stdout and "allowed" in done.stdout


def test_a_folder_that_can_not_be_written_is_named(
    finished: Callable[[str], Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--storage", finished("plain").store.uri, "--out", str(tmp_path / "file")]) == 2
    assert "error: --out: can't write to" in capsys.readouterr().err


def test_a_run_in_an_object_store_is_exported(finished: Callable[[str], Run], tmp_path: Path) -> None:
    shutil.copytree(finished("plain").store.uri, tmp_path / "remote" / "bucket")
    run, out, said = open_run(RemoteStore(tmp_path / "remote"), None), tmp_path / "out", list[str]()
    export(run, find_student(run), ("torch-export",), out, int8=False, dataset_root=None, say=said.append)
    assert {path.name for path in out.iterdir()} == {"model.pt2", "README.md"}


def test_a_run_that_is_not_whole_is_exported_with_a_card_that_says_what_is_missing(
    finished: Callable[[str], Run], tmp_path: Path
) -> None:
    whole = finished("plain")
    report = copy.deepcopy(whole.report)
    for row in report["methods"]:
        row["test_accuracy"] = None
        if row["seed"] == 1:
            row["validation_accuracy"] = None
    run = Run(whole.id, whole.store, report)
    export(run, find_student(run), ("safetensors",), tmp_path, int8=False, dataset_root=None, say=lambda _: None)
    card = (tmp_path / "README.md").read_text()
    assert "not finished, so not compared: labels (seed 1), kd (seed 1)" in card
    assert "mean of 1 seed " in card and "Its test accuracy is not known" in card


def test_photos_that_have_moved_are_asked_for_and_found_where_they_are(
    finished: Callable[[str], Run], tmp_path: Path
) -> None:
    run = finished("torchvision")
    root = run.report["recipe"]["dataset"]["root"]
    content = copy.deepcopy(run.report)
    content["recipe"]["dataset"]["root"] = str(tmp_path / "gone")
    moved = Run(run.id, run.store, content)
    with pytest.raises(ExportError, match=r"can't be read below .*gone.*; say where they lie now with --dataset-root"):
        open_images(moved)
    images = open_images(moved, root)
    assert images.pixels(images.plain.validation[:2]).shape == (2, 3, 64, 64)


def test_the_code_in_the_docs_works_as_it_stands(tmp_path: Path) -> None:
    store, out = Store(str(tmp_path / "runs")), tmp_path / "out"
    runs.finish(
        runs.recipe(["plain_cnn_4", "plain_cnn_2"], runs.generated(1, 28), methods=["labels"], seeds=[0]), store
    )
    assert main(["--storage", store.uri, "--out", str(out)]) == 0
    blocks = code_in((ROOT / "docs" / "export.md").read_text())
    assert len(blocks) == 3
    for block in blocks:
        assert len(re.findall(r"\d", run_code(block, out))) == 5  # a class for each of five images
