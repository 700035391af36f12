"""Networks of the ladder: ``create`` makes one by name, ``capacity`` measures it, ``check_ladder`` compares sizes.

Every network maps float images (batch, channels, height, width) to logits (batch, classes).

Additions and ReLUs work in place where nothing else reads their input, and global pooling is ``avg_pool2d``: the
gradient of a mean over height and width is not in channels-last order, which slows down the layers before it. Together
this saves 5 % of a training of ResNet-8 on two CPU cores in fp32, 3 % in bf16.
"""

from models import plain_cnn, resnet, wide_resnet  # importing a family registers its networks
from models.registry import (
    Capacity,
    ClassCountMismatch,
    LadderOrderError,
    UnknownNetwork,
    capacity,
    check_ladder,
    create,
    exists,
    names,
    register,
    register_family,
)

__all__ = [
    "Capacity",
    "ClassCountMismatch",
    "LadderOrderError",
    "UnknownNetwork",
    "capacity",
    "check_ladder",
    "create",
    "exists",
    "names",
    "plain_cnn",
    "register",
    "register_family",
    "resnet",
    "wide_resnet",
]
