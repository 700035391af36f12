"""Code for the model card: how each file is loaded, short and complete."""

from __future__ import annotations

import json

from orchestrator.export.formats import create_words
from orchestrator.export.results import Exported, File

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

IMAGE_FILE = """\
import numpy
from PIL import Image, ImageOps

picture = ImageOps.exif_transpose(Image.open(open("picture.png", "rb")))
if picture.mode == "F" or picture.mode.startswith("I"):  # grey of more than 8 bits
    white = {white}
    grey = 255 * (numpy.asarray(picture).astype(float) / white).clip(0, 1)
    picture = Image.fromarray((grey + 0.5).astype(numpy.uint8))
picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA")).convert("{mode}")
{resize}
pixels = numpy.asarray(picture, numpy.float32).reshape({size}, {size}, {channels}) / 255
images = pixels.transpose(2, 0, 1)[None]  # (1, {channels}, {size}, {size}); for PyTorch: torch.from_numpy(images)"""

RESIZE = "picture = picture.resize(({size}, {size}))"
CENTRE = """\
edge = 0.875 * min(picture.size)
left, upper = (picture.width - edge) / 2, (picture.height - edge) / 2
box = (left, upper, left + edge, upper + edge)
picture = picture.resize(({size}, {size}), Image.Resampling.BILINEAR, box=box)"""

NEEDS = {
    "torch-export": "needs torch alone",
    "onnx": "needs numpy and onnxruntime",
    "safetensors": "needs torch, safetensors and the network's definition, which lies in the project that trained it, "
    "ces-kd-orchestrator (`models`)",
}
CODE = {"torch-export": TORCH_EXPORT, "onnx": ONNX, "safetensors": SAFETENSORS}


def code_of(file: File, exported: Exported) -> str:
    """A sentence and a block of Python for one file."""
    about, network = exported.run.about_data, exported.chosen.network
    code = CODE[file.form].format(
        file=file.name,
        shape=f"1, {network.channels}, {network.image_size}, {network.image_size}",
        create=create_words(exported.chosen),
        mean=json.dumps(about.mean),
        std=json.dumps(about.std),
    )
    return f"`{file.name}` {NEEDS[file.form]}:\n\n```python\n{code}\n```"


def from_image_file(exported: Exported) -> str:
    """A sentence and a block of Python that makes the input from an image file; nothing for unusual channels."""
    network = exported.chosen.network
    mode = {1: "L", 3: "RGB"}.get(network.channels)
    if mode is None:
        return ""
    files = exported.run.about_data.layout == "files"
    resize = (CENTRE if files else RESIZE).format(size=network.image_size)
    white = exported.run.about_data.white_level or '1 if picture.mode == "F" else 65535'
    code = IMAGE_FILE.format(mode=mode, white=white, resize=resize, size=network.image_size, channels=network.channels)
    return f"From an image file:\n\n```python\n{code}\n```"
