"""Plain CNNs of 2 to 10 layers, the ladder of TAKD (Mirzadeh et al., AAAI 2020, arXiv 1902.03393).

The layer tables are those of the authors' repository, which the paper's text does not give in full. Weights start from
PyTorch's defaults, as there.
"""

from functools import partial

from torch import nn

from models.registry import register

# C<n>: 3x3 convolution to n channels with bias, batch norm, ReLU. M: 2x2 max pooling. F<n>: linear to n, ReLU.
# Each table is followed by a linear layer of one logit per class, which is left out.
TABLES_TO_10_CLASSES = {
    2: "C16 M C16 M",
    4: "C16 C16 M C32 C32 M",
    6: "C16 C16 M C32 C32 M C64 C64 M",
    8: "C16 C16 M C32 C32 M C64 C64 M C128 C128 M F64",
    10: "C32 C32 M C64 C64 M C128 C128 M C256 C256 C256 C256 M F128",
}
TABLES_FROM_11_CLASSES = {
    2: "C32 M C32 M",
    4: "C32 C32 M C64 C64 M",
    6: "C32 C32 M C64 C64 M C128 C128",  # as published: no pooling before the last layer
    8: "C32 C32 M C64 C64 M C128 C128 M C256 C256 M F64",
    10: "C32 C32 M C64 C64 M C128 C128 M C256 C256 C256 C256 M F512",
}


def plain_cnn(depth: int, num_classes: int, in_channels: int = 3, image_size: int = 32) -> nn.Sequential:
    """Returns a plain CNN: images (batch, in_channels, image_size, image_size) -> logits (batch, num_classes).

    The narrower tables (CIFAR-10) are used up to 10 classes, the wider ones (CIFAR-100) beyond. Odd sizes are pooled
    down to the floor.

    Args:
        depth: one of 2, 4, 6, 8, 10.

    Raises:
        ValueError: for another depth, and for images too small for the network's poolings.
    """
    tables = TABLES_TO_10_CLASSES if num_classes <= 10 else TABLES_FROM_11_CLASSES
    if depth not in tables:
        raise ValueError(f"depth: found {depth} for a plain CNN; take one of {', '.join(map(str, tables))}")
    table = tables[depth].split()
    smallest = 2 ** table.count("M")
    if image_size < smallest:
        raise ValueError(
            f"image_size: found {image_size}, but plain_cnn_{depth} halves it down to nothing; "
            f"give images of at least {smallest} pixels or take a network with fewer layers"
        )

    features: list[nn.Module] = []
    classifier: list[nn.Module] = [nn.Flatten()]
    channels, size, width = in_channels, image_size, None
    for entry in table:
        kind, number = entry[0], int(entry[1:] or 0)
        if kind == "C":
            features += [nn.Conv2d(channels, number, 3, padding=1), nn.BatchNorm2d(number), nn.ReLU(inplace=True)]
            channels = number
        elif kind == "M":
            features.append(nn.MaxPool2d(2))
            size //= 2
        else:
            classifier += [nn.Linear(channels * size * size, number), nn.ReLU(inplace=True)]
            width = number
    classifier.append(nn.Linear(width or channels * size * size, num_classes))
    return nn.Sequential(*features, *classifier)


for _depth in TABLES_TO_10_CLASSES:
    register(f"plain_cnn_{_depth}")(partial(plain_cnn, _depth))
