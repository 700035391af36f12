"""Check of a node's GPUs by a computation on each; exit code 1 and a line that says what to do if one fails.

``nvidia-smi`` also succeeds with a driver that is too old for the CUDA of PyTorch's wheels. A node without a GPU
passes, unless ``--required`` is given.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import torch

DRIVER = Path("/proc/driver/nvidia/version")


def fault(required: bool) -> str | None:
    """Returns why networks can't be trained on this node's GPUs; None if they can."""
    has_gpu = Path("/dev/nvidiactl").exists() or DRIVER.exists()
    if not has_gpu:
        return "no NVIDIA driver is loaded; take an image with one" if required else None
    try:
        count = torch.cuda.device_count()
        if not count:
            torch.ones(1, device="cuda")  # raises with the reason
        for number in range(count):
            ones = torch.ones(64, 64, device=f"cuda:{number}")
            if float((ones @ ones).sum()) != 64.0**3:
                return f"GPU {number} computes wrong sums"
    except Exception as error:  # of any class; the driver's own among them
        lines = DRIVER.read_text().splitlines() if DRIVER.exists() else ["no driver"]
        return (
            f"PyTorch {torch.__version__} can't compute on the GPU: {str(error).splitlines()[0]}. It needs a driver "
            f"for CUDA {torch.version.cuda}; this node has: {lines[0]}. Take an image with a newer driver"
        )
    print(f"{socket.gethostname()}: {count} GPU(s) tried")
    return None


if __name__ == "__main__":
    found = fault("--required" in sys.argv)
    sys.exit(f"error: {socket.gethostname()}: {found}" if found else 0)
