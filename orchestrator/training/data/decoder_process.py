"""Program of a decoder process: makes views of photos for the process that started it, and ends when that ends.

It is started with the number of a file descriptor, the memory that both share. Standard input brings pickled values:
the maker of crops, then pairs of images and view numbers. Their pixels are written to the start of the memory; the
reply, on standard output, is a pickled None, or the error. It imports neither torch nor ray.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import sys
import traceback
from typing import BinaryIO

import numpy as np

from orchestrator.errors import UserError
from orchestrator.training.data.crops import Crops


def main() -> None:
    """Serve until standard input ends, as it does when the other process is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; the others end this one
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # so that no library's words are taken for a reply
    try:
        _serve(requests, replies, mmap.mmap(int(sys.argv[1]), 0))
    except (EOFError, BrokenPipeError):
        os._exit(0)  # without flushing replies that nobody reads


def _serve(requests: BinaryIO, replies: BinaryIO, memory: mmap.mmap) -> None:
    crops: Crops = pickle.load(requests)
    pixels = np.frombuffer(memory, np.uint8)
    while True:
        images, numbers = pickle.load(requests)
        shape = crops.shape(len(images), len(numbers))
        error: Exception | None = None
        try:
            crops.fill(pixels[: np.prod(shape)].reshape(shape), images, numbers)
        except Exception as raised:
            if not isinstance(raised, UserError | OSError):
                traceback.print_exc()  # of a defect; it does not travel with the error
            error = raised
        replies.write(pickle.dumps(error))
        replies.flush()


if __name__ == "__main__":
    main()
