"""int8 inference with ONNX Runtime: static quantisation, calibrated on training images.

Weights are signed, by output channel; activations unsigned, by tensor, with the range that they had on the calibration
images. With signed activations ONNX Runtime 1.32 computes most convolutions of a ResNet in fp32 all the same, since it
does not fuse what follows them. Normalisation stays in fp32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.export.deployable import FloatArray, IntArray, RunImages
from orchestrator.export.formats import ExportFailedError, check_onnx
from orchestrator.export.reasons import reason_of
from orchestrator.export.standalone import Runner
from orchestrator.export.warnings import quietly
from orchestrator.training.evaluation import BATCH

CALIBRATION_IMAGES, CALIBRATION_BATCH = 512, 32


@dataclass(frozen=True)
class Accuracy:
    """Shares of right predictions before and after quantisation, and of images on which both predict the same."""

    images: int
    before: float
    after: float
    agreement: float

    @property
    def drop(self) -> float:
        """Accuracy lost by quantisation; negative for a gain."""
        return self.before - self.after

    def __str__(self) -> str:
        return (
            f"fp32 {100 * self.before:.2f} %, int8 {100 * self.after:.2f} % (drop {100 * self.drop:.2f} points); "
            f"the same prediction on {100 * self.agreement:.2f} % of {self.images:,} images"
        )


def calibration_images(images: RunImages) -> IntArray:
    """Training images, evenly over the training part: never validation or test."""
    training = images.plain.train
    places = np.linspace(0, len(training) - 1, min(CALIBRATION_IMAGES, len(training))).astype(np.int64)
    return training[places]


def quantise(source: Path, target: Path, images: RunImages) -> int:
    """Write the int8 form of an fp32 ONNX file. Returns the number of calibration images.

    Raises:
        ExportFailedError: when ONNX Runtime can't quantise the graph.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    chosen = calibration_images(images)

    class Reader(CalibrationDataReader):  # the class comes with an optional package
        def __init__(self) -> None:
            self.batches = _batches(chosen, CALIBRATION_BATCH)

        def get_next(self) -> dict[str, FloatArray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": images.pixels(batch)}

    prepared = target.with_name(f"prepared-{target.name}")
    try:
        with quietly():
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            quantize_static(
                prepared, target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                nodes_to_exclude=_normalisation(onnx.load(prepared).graph),
            )  # fmt: skip
        model, about = onnx.load(target), onnx.load(source).metadata_props
        onnx.helper.set_model_props(model, {item.key: item.value for item in about})
        onnx.save(model, target)
        check_onnx(target)
    except Exception as error:  # the quantiser has no error class of its own
        raise ExportFailedError(
            f"{source.name} can't be quantised ({reason_of(error)}); leave --quantize out"
        ) from error
    prepared.unlink()
    return len(chosen)


def compare(before: Runner, after: Runner, images: RunImages, part: IntArray) -> Accuracy:
    """Both files on the images of one part of the data."""
    found = [
        (before(pixels).argmax(1), after(pixels).argmax(1)) for pixels in map(images.pixels, _batches(part, BATCH))
    ]
    first, second = (np.concatenate(predictions) for predictions in zip(*found, strict=True))
    labels = images.plain.labels.numpy()[part]
    return Accuracy(
        len(part), float((first == labels).mean()), float((second == labels).mean()), float((first == second).mean())
    )


def _normalisation(graph: Any) -> list[str]:
    """The names of the two nodes that take images to normalised images: they come first."""
    names, tensor = [], "images"
    for kind in ("Mul", "Add"):
        for node in graph.node:
            if tensor in node.input and node.op_type == kind:
                names.append(node.name)
                tensor = node.output[0]
                break
    return names


def _batches(images: IntArray, size: int) -> Iterator[IntArray]:
    return (images[start : start + size] for start in range(0, len(images), size))
