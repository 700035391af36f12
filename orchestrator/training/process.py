"""Set-up of a process that computes with torch: number of threads, and memory allocation."""

from __future__ import annotations

import ctypes
import os
import sys

import torch

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h
_KEPT_BYTES = 2**30
_HEAP_BYTES = 2**26  # of a thread that is not the process's first; Ray runs trainings in such
_OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def set_up_process(threads: int) -> None:
    """Prepare this process to train or to run networks.

    The number of threads is fixed, since sums are taken in another order with another number.
    """
    torch.set_num_threads(threads)
    torch.backends.cudnn.benchmark = True  # on a GPU, the fastest kernels for a size are found by trying; sizes are few
    keep_freed_memory()


def keep_freed_memory() -> None:
    """Keep what torch frees for its next step, where memory comes from glibc; elsewhere do nothing.

    A step on a CPU frees and asks again for the same tensors of some MB. By default glibc hands such sizes back to the
    system, which clears every page of them again: about a sixth of the time of a small network's fp32 step
    (``benchmarks/results.md``, memory). Does nothing where glibc's variables for this are set.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _OWN_CHOICE):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_TOP_PAD, _HEAP_BYTES)  # else a thread's heap is unmapped whenever it is empty
