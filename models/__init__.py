"""The networks of the ladder: `create` makes one by name, `capacity` measures it, `check_ladder` orders them.

Every network takes images (batch, channels, height, width) as floats and gives logits (batch, classes).

What is added to or cut off at zero is changed in place where nothing else reads it, and global pooling is `avg_pool2d`:
the gradient of a mean over height and width is not in channels-last order, which slows down what comes before it.
Together 5 % of a training of ResNet-8 on two CPU cores in fp32, 3 % in bf16.
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
