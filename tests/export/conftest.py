"""Runs and exports that several tests look at. Each is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from orchestrator.artifacts.store import Store
from orchestrator.export.__main__ import main
from orchestrator.export.selection import Chosen, Run, find_expert, find_student, open_run
from tests.export import runs

# Each kind of network that is exported: the run that it is of, and what the command is told to find it.
CASES = {
    "plain CNN, grey": ("plain", ()),
    "CIFAR ResNet, colour": ("resnet", ("--method", "kd", "--seed", "1")),
    "torchvision student, photos": ("torchvision", ()),
    "torchvision expert, photos": ("torchvision", ("--expert", "resnet18")),
    "timm student": ("timm", ()),
    "timm transformer": ("transformer", ()),
}
# Exports take half a minute each; those of these kinds run last, and not where time is short.
RARER = {"CIFAR ResNet, colour", "torchvision expert, photos", "timm student"}


def each(cases: Iterable[str]) -> pytest.MarkDecorator:
    """Returns the decorator of a test that takes each ``case``."""
    marks = {case: [pytest.mark.thorough] if case in RARER else [] for case in cases}
    return pytest.mark.parametrize("case", [pytest.param(case, marks=marks[case]) for case in marks])


each_case = each(CASES)
each_student = each(case for case, (_, asked) in CASES.items() if "--expert" not in asked)
FORMATS = {"safetensors": "model.safetensors", "torch-export": "model.pt2", "onnx": "model.onnx"}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """A finished run by its name."""

    @cache
    def make(name: str) -> Run:
        folder = tmp_path_factory.mktemp(name)
        recipe = {
            "plain": lambda: runs.recipe(["plain_cnn_4", "plain_cnn_2"], runs.generated(1, 16)),
            "resnet": lambda: runs.recipe(["resnet14", "resnet8"], runs.generated(3, 16)),
            "torchvision": lambda: runs.recipe(
                ["resnet18", "shufflenet_v2_x0_5"], runs.photos(folder / "photos"), methods=["labels"], seeds=[0]
            ),
            "timm": lambda: runs.recipe(
                ["timm:test_resnet", "timm:test_efficientnet"], runs.generated(3, 32), methods=["labels"], seeds=[0]
            ),
            "transformer": lambda: runs.recipe(
                ["timm:test_vit2", "timm:test_vit"], runs.generated(3, 32), methods=["labels"], seeds=[0]
            ),
        }[name]()
        store = Store(str(folder / "runs"))
        runs.finish(recipe, store)
        return open_run(store, None)

    return make


@pytest.fixture(scope="session")
def exported(
    finished: Callable[[str], Run], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], tuple[Run, Chosen, Path]]:
    """Returns a function that exports a case in every format and in int8: the run, the network and the folder."""

    @cache
    def make(case: str) -> tuple[Run, Chosen, Path]:
        name, asked = CASES[case]
        run, folder = finished(name), tmp_path_factory.mktemp("exported")
        assert main([run.id, "--storage", run.store.uri, "--quantize", "int8", "--out", str(folder), *asked]) == 0
        chosen = find_expert(run, asked[1]) if "--expert" in asked else find_student(run, *_student(asked))
        return run, chosen, folder

    return make


def _student(asked: tuple[str, ...]) -> tuple[str | None, int | None]:
    return (asked[1], int(asked[3])) if asked else (None, None)
