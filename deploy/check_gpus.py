"""Check of a node's GPUs by a computation on each; exit code 1 and a line that says what to do if one fails.

``nvidia-smi`` also succeeds with a driver that is too old for the CUDA of PyTorch's wheels. A node without a GPU
passes; one with a GPU and no driver does not.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import torch

DRIVER = Path("/proc/driver/nvidia/version")
NVIDIA, DISPLAY = "0x10de", "0x03"  # vendor and class on the PCI bus


def fault() -> str | None:
    """Returns why networks can't be trained on this node's GPUs; None if they can, or there are none."""
    if not Path("/dev/nvidiactl").exists():
        return "it has an NVIDIA GPU, but no driver is loaded; take an image with one" if _has_nvidia_device() else None
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


def _has_nvidia_device() -> bool:
    """Whether a display or compute device of NVIDIA is on the PCI bus."""
    for device in Path("/sys/bus/pci/devices").glob("*"):
        try:
            vendor, kind = (device / "vendor").read_text().strip(), (device / "class").read_text().strip()
        except OSError:
            continue
        if vendor == NVIDIA and kind.startswith(DISPLAY):
            return True
    return False


if __name__ == "__main__":
    found = fault()
    sys.exit(f"error: {socket.gethostname()}: {found}" if found else 0)
