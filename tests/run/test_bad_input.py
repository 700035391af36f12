"""Bad input to the command: exit code 2, one message with the field, no traceback, nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import run
from orchestrator.artifacts.store import Store
from orchestrator.errors import BAD_INPUT
from orchestrator.last_resort import FAILED, UNREAD
from tests.examples import ONLY_LABELS, ROOT, TINY, make_artifacts, planned

OWN_NETWORKS = """
from torch import nn


def seven(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 7))
"""


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``python -m orchestrator.run`` with these arguments, in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.run", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def refused(folder: Path, *arguments: str) -> str:
    """The one message that a command is refused with; it must have left the folder as it was."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = command(folder, *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("error: ") == 1 and done.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"} == before
    assert not (folder / "runs").exists()
    return done.stderr.removeprefix("error: ").strip()


BAD: dict[str, tuple[list[str], list[str]]] = {
    "unknown field": (["training.stpes=3"], ["training.stpes: unknown field", "did you mean 'steps'?"]),
    "wrong type": (["training.steps=many"], ["training.steps: found 'many'; give a whole number"]),
    "unknown data set": (
        ["dataset={name: cifar11}"],
        ["dataset.name: 'cifar11' is not a data set", "cifar10, cifar100"],
    ),
    "data that are not there": (
        ["dataset={name: cifar10, root: ., download: false}"],
        ["dataset.root: cifar10 is not in '.'", "dataset.download is false", "Put the files there", "run once with"],
    ),
    "weights that are not there": (
        ["ladder.networks=[plain_cnn_8, {name: plain_cnn_6, weights: gone.safetensors}, plain_cnn_2]"],
        ["ladder.networks: weights file gone.safetensors can't be read: No such file"],
    ),
    "storage in a file": (["--storage", "own.py"], ["storage 'own.py' can't be", "--storage"]),
    "resources of no form": (["--max-resources", "64"], ["--max-resources: '64'", "CPU=64,GPU=8"]),
    "storage without a bucket": (["--storage", "s3://"], ["storage 's3://' can't be opened: it names no bucket"]),
    # The rest needs the networks, and so torch.
    "unknown network": (
        ["ladder.networks=[plain_cnn_8, plain_cnn_x, plain_cnn_2]"],
        ["ladder.networks: network 'plain_cnn_x' is unknown: did you mean plain_cnn_8"],
    ),
    "ladder out of order": (
        ["ladder.networks=[plain_cnn_4, plain_cnn_6, plain_cnn_2]"],
        ["ladder.networks: 'plain_cnn_4' (18,612 parameters, ", "'plain_cnn_6' (73,268 parameters, ", "swap the two"],
    ),
    "own network of another class count": (
        ["ladder.networks=[plain_cnn_8, own:seven, plain_cnn_2]"],
        ["ladder.networks: network 'own:seven': one image yields (1, 7), expected logits of shape (1, 4)"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_one_message_before_anything_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN_NETWORKS)
    arguments, parts = BAD[name]
    message = refused(tmp_path, TINY, *arguments)
    assert all(part in message for part in parts), message


def test_an_unknown_recipe_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    assert "recipe 'mnist5' is not known; did you mean 'mnist5k'?" in refused(tmp_path, "mnist5")


def test_brought_weights_of_another_class_count_are_refused_with_both_numbers(tmp_path: Path) -> None:
    import safetensors.torch

    from models import registry

    seven = registry.create("plain_cnn_4", num_classes=7, in_channels=1, image_size=16)
    safetensors.torch.save_file(seven.state_dict(), tmp_path / "seven.safetensors")
    message = refused(
        tmp_path, TINY, "ladder.networks=[plain_cnn_8, {name: plain_cnn_4, weights: seven.safetensors}, plain_cnn_2]"
    )
    assert message.startswith("ladder.networks: weights seven.safetensors can't be loaded into plain_cnn_4 with 4 ")
    assert "(7,) in the file, (4,) in the network" in message


def test_a_finished_run_answers_without_torch_ray_or_data(tmp_path: Path) -> None:
    chosen = planned(*ONLY_LABELS)
    make_artifacts(chosen, Store(str(tmp_path / "runs")))
    script = (
        "import sys; from orchestrator.run import main; code = main(); "
        "print('heavy:', sorted({'torch', 'ray', 'torchvision'} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, TINY, *ONLY_LABELS],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "nothing left to do" in done.stdout and "heavy: []" in done.stdout
    assert (tmp_path / "runs/reports" / chosen.run_id / "report.md").is_file()


@pytest.mark.parametrize("option", ["--help", "--dry-run"])
def test_a_reader_that_goes_away_ends_the_command_without_a_traceback(option: str, tmp_path: Path) -> None:
    unread, written = os.pipe()
    os.close(unread)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.run", TINY, option],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=written, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(written)
    assert (done.returncode, done.stderr) == (UNREAD, b"")


# -- in this process ---------------------------------------------------------------------------------------------


def test_a_broken_pipe_that_is_not_the_output_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(*_: object) -> None:
        raise BrokenPipeError("the storage hung up")

    monkeypatch.setattr(run, "_run", breaks)
    assert run.main([TINY]) == FAILED
    assert "the storage hung up" in capsys.readouterr().err


def test_two_recipes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["one", "two"]) == BAD_INPUT
    assert capsys.readouterr().err == "error: two recipes are given: one, two; give one, and overrides as field=value\n"


def test_a_rescan_of_a_set_that_is_not_listed_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main([TINY, "--rescan", "--dry-run"]) == BAD_INPUT
    said = "error: --rescan lists photos again, and synthetic has none; leave the option out\n"
    assert capsys.readouterr().err == said


def test_a_dry_run_prints_every_stage_its_folder_and_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, chosen = Store(str(tmp_path / "runs")), planned(*ONLY_LABELS)
    made = make_artifacts(chosen, store, without=["evaluate/labels/seed-0"])
    by_name = {item.name: item for item in made.values()}
    for name, file in (("train/plain_cnn_6", "taught.npy"), ("train/plain_cnn_4", "artifact.json")):
        (tmp_path / "runs/artifacts" / by_name[name].identity / file).write_bytes(b"x")
    before = sorted(tmp_path.rglob("*"))
    assert run.main([TINY, *ONLY_LABELS, "--dry-run", "--storage", str(tmp_path / "runs")]) == 0
    shown = capsys.readouterr().out
    lines = {line.split()[0]: line for line in shown.splitlines() if line}
    assert sorted(tmp_path.rglob("*")) == before
    for item in chosen.stages:
        assert lines[item.name].endswith(store.folder(item.identity))
    assert " cached " in lines["ingest"]
    assert " run " in lines["evaluate/labels/seed-0"]
    assert "run again (damaged)" in lines["train/plain_cnn_6"]
    assert "run again (damaged)" in lines["train/plain_cnn_4"]
    assert f"run {chosen.run_id}: {len(chosen.stages)} stages, 3 to do" in shown


def test_images_that_are_left_out_are_reported_once_also_when_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, count in (("train/a", 4), ("train/b", 4), ("test/a", 1)):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(count):  # planning opens none of them
            (tmp_path / folder / f"{number}.jpg").write_bytes(b"")
            (tmp_path / folder / f"{number}.heic").write_bytes(b"")
    photos = [f"dataset={{name: image_folder, root: {tmp_path}, image_size: 16}}", "training.augmentation=none"]
    options = ["--dry-run", "--quiet", "--storage", str(tmp_path / "runs")]
    assert run.main([TINY, *ONLY_LABELS, *photos, *options]) == 0
    shown = capsys.readouterr().out
    assert shown.count("dataset: files left out for their ending: 9 .heic") == 1
    assert shown.count("dataset: classes without test images: b (1 of 2)") == 1
