"""A file that does not do what the network does is not kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.artifacts.store import Store
from orchestrator.export.__main__ import main
from orchestrator.export.check import TOLERANCE, agreement, run_outside
from orchestrator.export.formats import ExportFailedError
from orchestrator.export.selection import Run, open_run
from tests.export import runs

pytestmark = pytest.mark.long

Logits = list[np.ndarray[Any, np.dtype[np.float32]]]


def logits(scale: float = 1.0) -> Logits:
    return [scale * np.linspace(-1, 1, 4 * rows, dtype=np.float32).reshape(rows, 4) for rows in (1, 3)]


def off(values: Logits, by: float) -> Logits:
    """One logit of the last image is another."""
    changed = [batch.copy() for batch in values]
    changed[-1][-1, 0] += by
    return changed


@pytest.mark.parametrize(("scale", "allowed"), [(0.01, 0.01 * TOLERANCE), (30.0, 30 * TOLERANCE)])
def test_the_tolerance_grows_with_the_logits(scale: float, allowed: float) -> None:
    found = agreement("file", off(logits(scale), 0.9 * allowed), logits(scale))
    assert (found.images, found.batch_sizes) == (4, (1, 3))
    assert found.allowed == pytest.approx(allowed)
    assert found.largest == pytest.approx(0.9 * allowed, rel=0.05)
    with pytest.raises(ExportFailedError, match="file does not do what the network does"):
        agreement("file", off(logits(scale), 1.2 * allowed), logits(scale))


def test_not_a_number_and_another_shape_are_no_agreement() -> None:
    with pytest.raises(ExportFailedError, match="does not do"):
        agreement("file", off(logits(), float("nan")), logits())
    with pytest.raises(ExportFailedError, match=r"shapes \[\(1, 4\)\]"):
        agreement("file", logits()[:1], logits())


def test_a_file_that_does_not_open_elsewhere_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ExportFailedError, match=r"model\.onnx does not run in a process without this project: .*"):
        run_outside("onnx", tmp_path / "model.onnx", logits())


def run_of(network: str, folder: Path) -> Run:
    """A run whose student is a user-defined network."""
    store = Store(str(folder / "runs"))
    wanted = runs.recipe(
        ["plain_cnn_4", f"tests.export.networks:{network}"], runs.generated(1, 16), methods=["labels"], seeds=[0]
    )
    return open_run(store, runs.finish(wanted, store).run_id)


@pytest.mark.parametrize("form", ["torch-export", "onnx"])
@pytest.mark.parametrize(
    ("network", "reason"), [("restless", "does not do what the network does"), ("branching", "--format safetensors")]
)
def test_a_network_whose_graph_is_another_is_not_exported(
    network: str, reason: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = run_of(network, tmp_path), tmp_path / "out"
    assert main(["--storage", run.store.uri, "--format", form, "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and reason in error
    assert "\x1b" not in error and "Next steps" not in error
    assert list(out.iterdir()) == []


def test_a_network_that_can_not_be_a_graph_is_exported_as_weights(tmp_path: Path) -> None:
    run, out = run_of("branching", tmp_path), tmp_path / "out"
    assert main(["--storage", run.store.uri, "--format", "safetensors", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"model.safetensors", "README.md"}


def test_a_failed_export_leaves_an_earlier_one_as_it_was(finished: Callable[[str], Run], tmp_path: Path) -> None:
    good, out = finished("plain"), tmp_path / "out"
    assert main(["--storage", good.store.uri, "--format", "torch-export", "--out", str(out)]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    bad = run_of("restless", tmp_path)
    assert main(["--storage", bad.store.uri, "--format", "torch-export", "--out", str(out)]) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
