"""Code for the model card: how each file is loaded, short and complete."""

from __future__ import annotations

import json

from orchestrator.export.exported import Exported, File
from orchestrator.export.formats import create_words

TORCH_EXPORT = """\
import torch

network = torch.export.load("{file}").module()
images = torch.rand({shape})  # your images: pixels in [0, 1]
logits = network(images)
print(logits.argmax(dim=1))"""

ONNX = """\
import numpy
import onnxruntime

session = onnxruntime.InferenceSession("{file}", providers=["CPUExecutionProvider"])
images = numpy.random.rand({shape}).astype(numpy.float32)  # your images: pixels in [0, 1]
(logits,) = session.run(["logits"], {{"images": images}})
print(logits.argmax(axis=1))"""

SAFETENSORS = """\
import models
import safetensors.torch
import torch

network = {create}.eval()
network.load_state_dict(safetensors.torch.load_file("{file}"))
mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in ({mean}, {std}))
images = torch.rand({shape})  # your images: pixels in [0, 1]
logits = network((images - mean) / std)
print(logits.argmax(dim=1))"""

NEEDS = {
    "torch-export": "needs torch alone",
    "onnx": "needs numpy and onnxruntime",
    "safetensors": "needs torch, safetensors and the network's definition, which comes with the project that trained "
    "it (`models`)",
}
CODE = {"torch-export": TORCH_EXPORT, "onnx": ONNX, "safetensors": SAFETENSORS}


def code_of(file: File, exported: Exported) -> str:
    """A sentence and a block of Python for one file."""
    about, network = exported.run.about_data, exported.chosen.network
    code = CODE[file.form].format(
        file=file.name,
        shape=f"1, {network.channels}, {network.image_size}, {network.image_size}",
        create=create_words(exported.chosen),
        mean=json.dumps(about["mean"]),
        std=json.dumps(about["std"]),
    )
    return f"`{file.name}` {NEEDS[file.form]}:\n\n```python\n{code}\n```"
