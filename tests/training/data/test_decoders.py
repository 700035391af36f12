"""Decoder processes: the pixels of one process, its errors, and an end in every case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.datasets.decoding import BrokenImageError
from orchestrator.datasets.photos import FolderPhotos, Photos, read_patiently
from orchestrator.stages.faults import fault_class
from orchestrator.training.data.images import ImageFiles
from orchestrator.training.data.views import CLEAN
from tests.training.examples import CPU

COUNT, SIZE = 70, 24
EVERY = np.arange(COUNT)
REQUESTS = [(EVERY[start : start + 9], [CLEAN, 0]) for start in range(0, COUNT, 9)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> FolderPhotos:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number in range(COUNT):
        size = random.integers(20, 90, 2)
        Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / f"{number}.jpg")
    return FolderPhotos(str(folder), [f"{number}.jpg" for number in range(COUNT)])


def images_of(photos: Photos, decoders: int) -> ImageFiles:
    return ImageFiles(photos, SIZE, [0.5] * 3, [0.3] * 3, "resized_crop_flip", 0, CPU, decoders)


def children(of: int | None = None) -> set[int]:
    """Returns the processes that a process, by default this one, has started and that run."""
    found: set[int] = set()
    for thread in Path(f"/proc/{of or os.getpid()}/task").iterdir():
        with suppress(FileNotFoundError):  # a thread of another test's may end meanwhile
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def gone(process: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def two(photos: FolderPhotos) -> Iterator[ImageFiles]:
    with closing(images_of(photos, 2)) as images:
        yield images


@pytest.mark.parametrize("decoders", [1, 2, 4])
def test_any_number_of_processes_makes_the_same_views(decoders: int, photos: FolderPhotos) -> None:
    with closing(images_of(photos, decoders)) as images:
        for found, request in zip(images.stream(REQUESTS), REQUESTS, strict=True):
            assert torch.equal(found, images_of(photos, 0).views(*request))


def test_more_views_of_an_image_than_a_piece_holds_are_all_made(two: ImageFiles, photos: FolderPhotos) -> None:
    request = (np.array([3, 60]), [CLEAN, *range(40)])
    assert torch.equal(two.views(*request), images_of(photos, 0).views(*request))


def test_two_streams_and_single_batches_may_be_asked_for_in_any_order(two: ImageFiles, photos: FolderPhotos) -> None:
    alone = images_of(photos, 0)
    outer = two.stream(REQUESTS)
    for request in REQUESTS[:2]:
        assert torch.equal(next(outer), alone.views(*request))
        for found, inner in zip(two.stream(REQUESTS[::-1]), REQUESTS[::-1], strict=True):
            assert torch.equal(found, alone.views(*inner))
        assert torch.equal(two.views(*REQUESTS[5]), alone.views(*REQUESTS[5]))
    outer.close()
    assert torch.equal(two.views(*REQUESTS[6]), alone.views(*REQUESTS[6]))


def test_a_broken_photo_is_named_as_it_is_without_processes(photos: FolderPhotos, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    bad = FolderPhotos(str(tmp_path), ["bad.jpg"])
    said = []
    for decoders in (0, 1):
        with closing(images_of(bad, decoders)) as images, pytest.raises(BrokenImageError) as caught:
            images.views(np.array([0]), [CLEAN])
        said.append(str(caught.value))
    assert said[0] == said[1]


@dataclass(frozen=True)
class Failing:
    """Photos whose file system fails as often as there are files left in ``faults``."""

    photos: FolderPhotos
    faults: str

    def __len__(self) -> int:
        return len(self.photos)

    def name(self, index: int) -> str:
        return self.photos.name(index)

    def read(self, index: int) -> bytes:
        for fault in Path(self.faults).iterdir():
            fault.unlink()
            raise OSError(5, "Input/output error")
        return self.photos.read(index)


def test_a_photo_that_fails_for_a_moment_is_read_again(photos: FolderPhotos, tmp_path: Path) -> None:
    (tmp_path / "1").touch()
    with closing(images_of(Failing(photos, str(tmp_path)), 1)) as images:
        assert torch.equal(images.views(EVERY[:3], [0]), images_of(photos, 0).views(EVERY[:3], [0]))


def test_a_photo_that_goes_on_failing_is_a_fault_of_the_machine(photos: FolderPhotos, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).touch()
    with pytest.raises(OSError, match=r"7\.jpg: not read in 3 tries: .*Input/output error") as caught:
        read_patiently(Failing(photos, str(tmp_path)), 7, pauses=(0, 0))
    assert fault_class(caught.value) == "machine"


def test_a_process_that_is_killed_is_a_fault_of_the_machine(photos: FolderPhotos) -> None:
    before = children()
    with closing(images_of(photos, 1)) as images:
        images.views(EVERY[:3], [0])
        (process,) = children() - before
        os.kill(process, signal.SIGKILL)
        with pytest.raises(OSError, match="a decoder of photos ended with status -9") as caught:
            images.views(EVERY[:3], [0])
    assert fault_class(caught.value) == "machine"


def test_closed_and_forgotten_images_leave_no_process(photos: FolderPhotos) -> None:
    before = children()
    images = images_of(photos, 2)
    stream = images.stream(REQUESTS)
    next(stream)
    assert len(children() - before) == 2
    images.close()
    assert children() == before
    stream.close()
    images.views(EVERY[:3], [0])  # opens it again
    assert children() != before
    del images
    assert children() == before


PARENT = """
import sys, numpy, torch
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.training.data.images import ImageFiles
photos = FolderPhotos(sys.argv[1], [f"{number}.jpg" for number in range(70)])
images = ImageFiles(photos, 24, [0.5] * 3, [0.3] * 3, "none", 0, torch.device("cpu"), 2)
stream = images.stream((numpy.arange(70), [0, 1]) for _ in range(10**6))
for views in stream:
    print("one", flush=True)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_their_parent(how: signal.Signals, photos: FolderPhotos) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, photos.root], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None and parent.stdout.readline()
        decoders = children(parent.pid)
        assert len(decoders) == 2
        parent.send_signal(how)
        parent.stdout.read()
    assert all(map(gone, decoders))


def test_a_process_starts_without_torch_and_ray() -> None:
    program = "import sys, orchestrator.training.data.decoder_process; print({'torch', 'ray'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
