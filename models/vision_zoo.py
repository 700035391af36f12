"""torchvision's classification networks under their own names: ``resnet50``, ``mobilenet_v2``, ``vit_b_16``, ...

They are made for ImageNet and start from random weights. Most of them accept small images, but the last layers then see
one or few pixels. Importing this module registers them. It alone imports torchvision; ``models.registry`` imports it
when it is first needed.
"""

from functools import partial
from typing import Any

import torchvision
from torch import nn

from models.registry import register

NAMES: tuple[str, ...] = tuple(torchvision.models.list_models(module=torchvision.models))


def vision_network(name: str, num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """Returns a torchvision network: images (batch, 3, image_size, image_size) -> logits (batch, num_classes).

    Raises:
        ValueError: unless ``in_channels`` is 3, and for an ``image_size`` that a transformer can't cut into patches.
    """
    if in_channels != 3:
        raise ValueError(
            f"in_channels: found {in_channels}, but {name!r} takes RGB images only; "
            "give 3, or choose a plain_cnn, resnet8 to resnet110 or wrn network"
        )
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # Auxiliary classifiers would turn the training output into a tuple of three logits.
        options = {"aux_logits": False, "init_weights": True}
    elif name.startswith("vit_"):
        options = {"image_size": image_size}
    elif name.startswith("maxvit_"):
        options = {"input_size": (image_size, image_size)}
    try:
        return torchvision.models.get_model(name, weights=None, num_classes=num_classes, **options)
    except (AssertionError, ValueError) as error:
        raise ValueError(f"image_size: {name!r} cannot take images of {image_size} pixels: {error}") from error


for _name in NAMES:
    register(_name)(partial(vision_network, _name))
