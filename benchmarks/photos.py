"""photos: decoding, the loader and a training of ResNet-18 at 224 x 224 on JPEGs.

``BENCHMARK_PHOTOS=FOLDER`` names a folder with JPEGs somewhere below it; without it pictures are made. They are taken
as they are, and as mosaics of 4 and 16, so that there are some of about ImageNet's size and larger ones.

The first table is CPU time on one core. ``before`` is Pillow's way of it: a whole decode, a conversion to an array, one
back, and a resize of the box. Sides whose package is not installed are left out. What else was tried: PyTurboJPEG needs
a library of the system; torchcodec decodes JPEGs (no scaled or cropped decoding) and torch resizes, but importing torch
costs a process 1.7 s of CPU time; OpenCV's bilinear resize is not antialiased; no decoder that pip installs decodes a
part of a JPEG.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.measure import Spread, interleave, ratios
from benchmarks.workload import Silent
from orchestrator.datasets.decoding import decode_content
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.pipeline.specs import GuidanceSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import OptimizerSpec
from orchestrator.report.markdown import table
from orchestrator.training.data.crops import Crops, IntArray, Pixels, resized
from orchestrator.training.data.images import ImageFiles, TrainingData
from orchestrator.training.data.views import crop_box
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process

SIZE, CLASSES, BATCH = 224, 10, 32
AUGMENTATION: Final = "resized_crop_flip"
SEED = 0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PROCESSES = (1, 2, 4)

Decode = Callable[[bytes, int], Pixels]


def run(rounds: int, short: bool, threads: int) -> str:
    """Returns the benchmark's tables."""
    set_up_process(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        single = _contents(192 if short else 512)
        sets = {"as they are": single} | {f"{side * SIZE} px": _mosaics(single, side) for side in (2, 4)}
        photos = _written(Path(folder), single)
        tables = [_decoding(sets, rounds), _loading(photos, rounds, device), _start(photos), _training(photos, device)]
    return "\n\n".join(tables)


# -- photos ----------------------------------------------------------------------------------------------------------


def _contents(count: int) -> list[bytes]:
    folder = os.environ.get("BENCHMARK_PHOTOS")
    if folder:
        paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
        return [path.read_bytes() for path in paths[:: max(1, len(paths) // count)][:count]]
    random, made = np.random.default_rng(0), []
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (28, 28, 3), dtype=np.uint8))
        made.append(_encoded(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC)))
    return made


def _mosaics(contents: list[bytes], side: int) -> list[bytes]:
    """Returns JPEGs of ``side`` x ``side`` photos each."""
    found = []
    for first in range(0, len(contents) - side**2 + 1, side**2):
        canvas = Image.new("RGB", (side * SIZE, side * SIZE))
        for place, content in enumerate(contents[first : first + side**2]):
            photo = Image.open(io.BytesIO(content)).convert("RGB").resize((SIZE, SIZE))
            canvas.paste(photo, (place % side * SIZE, place // side * SIZE))
        found.append(_encoded(canvas))
    return found


def _encoded(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _written(folder: Path, contents: list[bytes]) -> FolderPhotos:
    names = [f"{number}.jpg" for number in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)
    return FolderPhotos(str(folder), names)


# -- one core --------------------------------------------------------------------------------------------------------


def _decoding(sets: dict[str, list[bytes]], rounds: int) -> str:
    sides = _sides()
    rows = []
    for name, contents in sets.items():
        work = {side: _over(decode, contents) for side, decode in sides.items()}
        found = interleave(work, rounds, clock=time.process_time)
        for side, ratio in ratios(found, "before").items():
            milliseconds = Spread.of([1000 * took / len(contents) for took in found[side]])
            rows.append((name, side, f"{milliseconds.median:.2f}", f"{1 / ratio.median:.2f}"))
    return table(("photos", "decoded, and a random box of it resized", "ms of CPU a view", "x as fast"), rows)


def _over(decode: Decode, contents: list[bytes]) -> Callable[[], object]:
    return lambda: [decode(content, number) for number, content in enumerate(contents)]


def _sides() -> dict[str, Decode]:
    sides: dict[str, Decode] = {
        "before": lambda content, number: _by_pillow(Image.fromarray(_whole(content)), number),
        "Pillow, drafted": _drafted,
        "libjpeg-turbo, Pillow's resize": lambda content, number: _by_pillow(
            Image.fromarray(decode_content(content, "")), number
        ),
        "libjpeg-turbo whole, vector resize": _whole_and_resized,
        "the program": _program,
    }
    try:
        from torchvision.io import ImageReadMode
        from torchvision.io import decode_jpeg as of_torchvision
    except ImportError:
        pass
    else:
        sides["torchvision.io, torch's resize"] = lambda content, number: _by_torch(
            of_torchvision(torch.frombuffer(bytearray(content), dtype=torch.uint8), ImageReadMode.RGB), number
        )
    return sides


def _whole(content: bytes) -> Pixels:
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def _by_pillow(image: Image.Image, number: int, reduction: int = 1) -> Pixels:
    box, mirror = crop_box(SEED, number, 0, image.width * reduction, image.height * reduction)
    left, upper, right, lower = (edge / reduction for edge in box)
    crop = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=(left, upper, right, lower))
    return np.asarray(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirror else crop)


def _drafted(content: bytes, number: int) -> Pixels:
    image = Image.open(io.BytesIO(content))
    width, height = image.size
    left, upper, right, lower = crop_box(SEED, number, 0, width, height)[0]
    share = min(1.0, max(SIZE / (right - left), SIZE / (lower - upper)))
    image.draft("RGB", (int(width * share), int(height * share)))
    return _by_pillow(image.convert("RGB"), number, round(width / image.width))


def _whole_and_resized(content: bytes, number: int) -> Pixels:
    pixels = decode_content(content, "")
    box, mirror = crop_box(SEED, number, 0, pixels.shape[1], pixels.shape[0])
    return resized(pixels, box, SIZE)[:, :: -1 if mirror else 1]


def _by_torch(pixels: torch.Tensor, number: int) -> Pixels:
    (left, upper, right, lower), mirror = crop_box(SEED, number, 0, pixels.shape[2], pixels.shape[1])
    box = pixels[None, :, int(upper) : round(lower), int(left) : round(right)]  # it knows no fractions of a pixel
    crop = torch.nn.functional.interpolate(box, size=(SIZE, SIZE), mode="bilinear", antialias=True)[0]
    return (crop.flip(2) if mirror else crop).permute(1, 2, 0).numpy()


class _Held:
    """One photo in memory, under any number."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __len__(self) -> int:
        return 1

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> bytes:
        return self.content


def _program(content: bytes, number: int) -> Pixels:
    out = np.empty((1, 1, SIZE, SIZE, 3), np.uint8)
    Crops(_Held(content), SIZE, AUGMENTATION, SEED).fill(out, np.array([number]), [0])
    return out


# -- processes -------------------------------------------------------------------------------------------------------


def _images(photos: FolderPhotos, decoders: int, device: torch.device) -> ImageFiles:
    return ImageFiles(photos, SIZE, MEAN, STD, AUGMENTATION, SEED, device, decoders)


def _batches(count: int, passes: int = 4) -> Iterator[tuple[IntArray, list[int]]]:
    for view in range(passes):
        for start in range(0, count, BATCH):
            yield np.arange(start, min(start + BATCH, count)), [view]


def _loading(photos: FolderPhotos, rounds: int, device: torch.device) -> str:
    """Views a second of the whole loader, in wall time: it needs an idle machine."""
    opened = {count: _images(photos, count, device) for count in PROCESSES}
    try:
        sides = {f"{count}": _loaded(images, len(photos)) for count, images in opened.items()}
        found = interleave(sides, rounds)
    finally:
        for images in opened.values():
            images.close()
    rows = [
        (name, f"{4 * len(photos) / Spread.of(found[name]).median:,.0f}", f"{1 / ratio.median:.2f}")
        for name, ratio in ratios(found, "1").items()
    ]
    return table(("decoder processes", "views/s", "x one process"), rows)


def _loaded(images: ImageFiles, count: int) -> Callable[[], object]:
    return lambda: [None for _ in images.stream(_batches(count))]


class _Rows(Dataset[Pixels]):
    """The same views as a map-style data set."""

    def __init__(self, crops: Crops) -> None:
        self.crops = crops

    def __len__(self) -> int:
        return len(self.crops.photos)

    def __getitem__(self, index: int) -> Pixels:
        out = np.empty(self.crops.shape(1, 1), np.uint8)
        self.crops.fill(out, np.array([index]), [0])
        return out[0, 0]


def _start(photos: FolderPhotos) -> str:
    """Time from nothing to the first batch; both start two processes."""

    def own() -> None:
        with closing(_images(photos, 2, torch.device("cpu"))) as images:
            next(images.stream(_batches(len(photos))))

    def of_torch() -> None:
        rows = _Rows(Crops(photos, SIZE, AUGMENTATION, SEED))
        next(iter(DataLoader(rows, BATCH, num_workers=2, multiprocessing_context="spawn")))

    found = interleave({"decoder processes": own, "DataLoader (spawn)": of_torch}, 3)
    rows = [(name, f"{Spread.of(took).median:.1f}") for name, took in found.items()]
    return table(("first batch by two processes", "seconds"), rows)


# -- a training ------------------------------------------------------------------------------------------------------


def _training(photos: FolderPhotos, device: torch.device) -> str:
    steps = 400 if device.type == "cuda" else 12
    rows = []
    for decoders in (0, 1, 2, *((4, 8, 16) if device.type == "cuda" else ())):
        spent, images = trained(photos, device, decoders, steps)
        share = spent["data"] / (spent["data"] + spent["compute"])
        rows.append((str(decoders or "none: in the training's process"), f"{images:,.0f}", f"{share:.1%}"))
    return table((f"decoder processes, ResNet-18 on {device.type}", "images/s", "waits for images"), rows)


def trained(photos: FolderPhotos, device: torch.device, decoders: int, steps: int) -> tuple[dict[str, float], float]:
    """Returns the clock of a training of ResNet-18 (``Clock.spent``), and its images a second."""
    spec = TrainSpec(
        network=NetworkSpec(name="resnet18", classes=CLASSES, channels=3, image_size=SIZE),
        guidance=GuidanceSpec(kind="labels", experts=(), source="none"), optimizer=OptimizerSpec(learning_rate=0.01),
        steps=steps, batch_size=BATCH, augmentation=AUGMENTATION, views=0, views_seed=SEED,
        precision="bf16" if device.type == "cuda" else "fp32", evaluate_every=steps, keep="last", seed=0,
        threads=torch.get_num_threads(),
    )  # fmt: skip
    everything = np.arange(len(photos))
    labels = torch.arange(len(photos), device=device) % CLASSES
    images = _images(photos, decoders, device)
    with closing(TrainingData(images, labels, everything, everything[:16], everything[:16], CLASSES)) as data:
        images.views(everything[:BATCH], [0])  # the processes run
        network = new_network(spec.network, 0)
        result = train(spec, network, data, new_teaching(spec.guidance, None), device=device, observer=Silent())
    return result.spent, steps * BATCH / (result.spent["data"] + result.spent["compute"])
