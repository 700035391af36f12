"""Decoder processes: views of photos are made outside the interpreter that trains, several pieces at once.

Each process is driven by a thread, which sends it a piece of a batch, waits, and copies the pixels out of the memory
that both share. The processes are programs of their own rather than torch's ``DataLoader`` workers, because those
import torch and, in a Ray worker, ray again, serve one iteration at a time (a validation begins while training images
are being prepared), live on for seconds when their parent is killed, and need room in /dev/shm. These end with the
pipe from their parent, and their memory is anonymous.
"""

from __future__ import annotations

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from orchestrator.training.data.crops import Crops, IntArray, Pixels

PIECE = 16
"""Views, at most, that a process makes at a time."""

PROGRAM = "orchestrator.training.data.decoder_process"


@dataclass(frozen=True)
class Pending:
    """Views that are being made, by pieces."""

    pieces: list[Future[None]]
    crops: int

    def wait(self) -> None:
        """Return when all are made.

        Raises:
            BrokenImageError: naming a photo that can't be decoded.
            OSError: naming a photo that can't be read, or when a process died.
        """
        for piece in self.pieces:
            piece.result()

    def cancel(self) -> None:
        """Drop the pieces that no process has begun."""
        for piece in self.pieces:
            piece.cancel()


class Decoders:
    """A number of processes, each started when it is first needed."""

    def __init__(self, crops: Crops, count: int) -> None:
        self.count = count
        self._start = pickle.dumps(crops)
        self._room = int(np.prod(crops.shape(PIECE, 1)))
        self._threads = ThreadPoolExecutor(max_workers=count, thread_name_prefix="decoder")
        self._own = threading.local()
        self._processes: list[_Process] = []
        self._end = weakref.finalize(self, _end, self._processes)  # also where nobody closes it

    def begin(self, out: Pixels, images: IntArray, numbers: Sequence[int]) -> Pending:
        """Begin to fill ``out`` with views, as ``Crops.fill`` does."""
        at_once = max(1, min(PIECE // len(numbers), -(-len(images) // self.count)))
        pieces = [
            self._threads.submit(
                self._fill, out[view : view + PIECE, first : first + at_once], images[first : first + at_once],
                numbers[view : view + PIECE],
            )
            for first in range(0, len(images), at_once)
            for view in range(0, len(numbers), PIECE)
        ]  # fmt: skip
        return Pending(pieces, len(images) * len(numbers))

    def close(self) -> None:
        """End the processes; what they were making is lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._end()

    def _fill(self, out: Pixels, images: IntArray, numbers: Sequence[int]) -> None:
        process: _Process | None = getattr(self._own, "process", None)
        if process is None:
            process = self._own.process = _Process(self._start, self._room)
            self._processes.append(process)
            if not self._end.alive:  # closed meanwhile
                process.end()
        process.fill(out, images, numbers)


class _Process:
    """One decoder process, as the thread sees it that drives it."""

    def __init__(self, start: bytes, room: int) -> None:
        descriptor = _memory(room)
        try:
            self._program = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(descriptor)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[descriptor], env=_environment(),
            )  # fmt: skip
            self._pixels = np.frombuffer(mmap.mmap(descriptor, room), np.uint8)
        finally:
            os.close(descriptor)
        assert self._program.stdin is not None and self._program.stdout is not None
        self._requests, self._replies = self._program.stdin, self._program.stdout
        self._requests.write(start)

    def fill(self, out: Pixels, images: IntArray, numbers: Sequence[int]) -> None:
        try:
            self._requests.write(pickle.dumps((images, list(numbers))))
            self._requests.flush()
            error = pickle.load(self._replies)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as gone:
            status = self._program.wait()
            raise OSError(f"a decoder of photos ended with status {status} while it was at work") from gone
        if error is not None:
            raise error
        out[...] = self._pixels[: out.size].reshape(out.shape)

    def end(self) -> None:
        self._program.kill()
        self._program.wait()


def _end(processes: list[_Process]) -> None:
    for process in processes:
        process.end()


def _memory(size: int) -> int:
    """Returns a descriptor of memory that another process can map; it is no file in /dev/shm, which may be small."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("views")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def _environment() -> dict[str, str]:
    # Ray puts the paths of a job's code into sys.path alone. One thread each: there is a process for every core.
    paths = os.pathsep.join(path for path in sys.path if path)
    return os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
