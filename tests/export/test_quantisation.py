"""int8: computed in int8, calibrated on training images, and its cost measured before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from orchestrator.export.deployable import open_images
from orchestrator.export.options import FORMATS, chosen_formats
from orchestrator.export.quantisation import CALIBRATION_IMAGES, calibration_images, compare
from orchestrator.export.selection import Chosen, ExportError, Run
from orchestrator.export.standalone import FloatArray, Runner, open_onnx

pytestmark = pytest.mark.long

Exports = Callable[[str], tuple[Run, Chosen, Path]]


@pytest.mark.parametrize(
    ("case", "convolutions"), [("plain CNN, grey", 2), ("CIFAR ResNet, colour", 9), ("torchvision expert, photos", 20)]
)
def test_convolutions_and_linear_layers_are_computed_in_int8(
    case: str, convolutions: int, exported: Exports, tmp_path: Path
) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as_run.onnx")
    options.log_severity_level = 3  # it warns that this file is for this machine, which is what is wanted
    onnxruntime.InferenceSession(exported(case)[2] / "model-int8.onnx", options, providers=["CPUExecutionProvider"])
    run_as = Counter(node.op_type for node in onnx.load(tmp_path / "as_run.onnx").graph.node)
    assert run_as["QLinearConv"] == convolutions
    assert run_as["QGemm"] == 1
    assert run_as["Conv"] == run_as["Gemm"] == run_as["MatMul"] == 0


@pytest.mark.parametrize("case", ["CIFAR ResNet, colour", "torchvision expert, photos"])
def test_int8_is_less_than_half_the_size(case: str, exported: Exports) -> None:
    folder = exported(case)[2]
    sizes = [(folder / name).stat().st_size for name in ("model-int8.onnx", "model.onnx")]
    assert 2 * sizes[0] < sizes[1]


def test_normalisation_stays_in_fp32(exported: Exports) -> None:
    graph = onnx.load(exported("plain CNN, grey")[2] / "model-int8.onnx").graph
    first = next(node for node in graph.node if "images" in node.input)
    second = next(node for node in graph.node if first.output[0] in node.input)
    assert [first.op_type, second.op_type] == ["Mul", "Add"]


def test_calibration_is_on_training_images_alone_and_reaches_over_all_of_them(finished: Callable[[str], Run]) -> None:
    images = open_images(finished("plain"))
    chosen, training = calibration_images(images), images.plain.train
    assert len(set(chosen)) == len(chosen) == min(CALIBRATION_IMAGES, len(training))
    assert set(chosen) <= set(training)
    assert (chosen[0], chosen[-1]) == (training[0], training[-1])


def answering(predictions: FloatArray) -> Runner:
    """A file that predicts these classes, whatever it is shown."""
    remaining = iter(predictions)
    return lambda images: np.stack([np.eye(4, dtype=np.float32)[int(next(remaining))] for _ in images])


def test_accuracies_drop_and_agreement_are_counted_over_all_images_of_the_part(finished: Callable[[str], Run]) -> None:
    images = open_images(finished("plain"))
    part = images.plain.test
    labels = images.plain.labels.numpy()[part].astype(np.float32)
    before, after = labels.copy(), labels.copy()
    before[:6] = (labels[:6] + 1) % 4  # six wrong before
    after[:3] = (labels[:3] + 1) % 4  # three of them wrong in the same way after,
    after[6:16] = (labels[6:16] + 1) % 4  # and ten others
    found = compare(answering(before), answering(after), images, part)
    assert found.images == len(part) == 48
    assert (found.before, found.after) == pytest.approx((42 / 48, 35 / 48))
    assert found.drop == pytest.approx(7 / 48)
    assert found.agreement == pytest.approx(35 / 48)


def test_int8_loses_little_on_a_trained_network(exported: Exports) -> None:
    run, _, folder = exported("plain CNN, grey")
    images = open_images(run)
    runners = open_onnx(folder / "model.onnx"), open_onnx(folder / "model-int8.onnx")
    found = compare(*runners, images, images.plain.test)
    assert found.agreement > 0.9


@pytest.mark.parametrize("form", ["safetensors", "torch-export"])
def test_int8_is_refused_for_a_format_that_can_not_hold_it(form: str) -> None:
    with pytest.raises(ExportError, match=rf"not for format {form}: .* Give --format onnx"):
        chosen_formats([form, "onnx"], "int8")


def test_int8_with_all_formats_is_for_onnx() -> None:
    assert chosen_formats(None, "int8") == chosen_formats(["all"], "int8") == FORMATS
    assert chosen_formats(["onnx"], "int8") == ("onnx",)
