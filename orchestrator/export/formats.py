"""Writers of a network, one a format.

No file tells where it was made: PyTorch's tracers note the source lines of every operation, paths included, and these
notes are taken out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch.export import Dim, ExportedProgram

from orchestrator.export.deployable import Deployable, deployable, weights_file
from orchestrator.export.options import Format
from orchestrator.export.reasons import reason_of
from orchestrator.export.selection import Chosen, Run
from orchestrator.export.warnings import quietly


class ExportFailedError(RuntimeError):
    """A network could not be written, or what was written does not do what the network does."""


def describe(run: Run, chosen: Chosen) -> dict[str, str]:
    """Facts written into every file beside the network: text by name, lists and numbers as JSON."""
    about = run.about_data
    shape = chosen.network
    return {
        "network": shape.name,
        "classes": str(shape.classes),
        "channels": str(shape.channels),
        "image_size": str(shape.image_size),
        "mean": json.dumps(about.mean),
        "std": json.dumps(about.std),
        "class_names": json.dumps(about.class_names),
        "run": run.id,
        "artifact": chosen.artifact.identity,
    }


def write(form: Format, run: Run, chosen: Chosen, path: Path) -> None:
    """Write the chosen network's file.

    Raises:
        ExportFailedError: when the network can't be written down as a graph.
    """
    if form == "safetensors":
        weights = safetensors.torch.load_file(weights_file(run, chosen))
        safetensors.torch.save_file(weights, path, describe(run, chosen))
        return
    network, shape = deployable(run, chosen), chosen.network
    # Two images: a batch of one would be taken for a constant.
    example = torch.rand(2, shape.channels, shape.image_size, shape.image_size)
    try:
        with quietly():
            if form == "torch-export":
                write_torch_export(network, example, path, describe(run, chosen))
            else:
                write_onnx(network, example, path, describe(run, chosen))
    except Exception as error:  # tracing runs user-defined code on stand-ins: it may raise anything
        raise ExportFailedError(
            f"{chosen.name} can't be written as a graph for {form} ({reason_of(error)}); "
            "--format safetensors takes any network"
        ) from error


def write_torch_export(network: Deployable, example: torch.Tensor, path: Path, about: Mapping[str, str]) -> None:
    """``torch.export``: loads with torch alone. ``example`` is a batch of two images or more."""
    program = torch.export.export(network, (example,), dynamic_shapes=({0: Dim("batch")},))
    _forget_sources(program)
    torch.export.save(program, path, extra_files={"about.json": json.dumps(dict(about))})


def write_onnx(network: Deployable, example: torch.Tensor, path: Path, about: Mapping[str, str]) -> None:
    """ONNX with the input ``images`` and the output ``logits``, everything in one file, passed by ONNX's checker."""
    import onnx

    torch.onnx.export(
        network, (example,), path, input_names=["images"], output_names=["logits"], external_data=False,
        dynamo=True, dynamic_shapes={"images": {0: "batch"}}, verbose=False,
    )  # fmt: skip
    model = onnx.load(path)
    for nodes in (model.graph.node, *(function.node for function in model.functions)):
        for node in nodes:
            del node.metadata_props[:]
            node.doc_string = ""
    onnx.helper.set_model_props(model, dict(about))
    onnx.save(model, path)
    check_onnx(path)


def check_onnx(path: Path) -> None:
    """ONNX's own checker, with shape inference. Raises onnx.checker.ValidationError or a shape inference error."""
    import onnx

    onnx.checker.check_model(str(path), full_check=True)


def _forget_sources(program: ExportedProgram) -> None:
    for node in program.graph.nodes:
        for note in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn"):
            node.meta.pop(note, None)
