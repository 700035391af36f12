"""Wide ResNets ``wrn_<depth>_<width>`` (Zagoruyko and Komodakis, BMVC 2016, arXiv 1605.07146, table 1).

Batch norm and ReLU come before each convolution. Three groups, 16, 32 and 64 times ``width`` channels wide; depth =
6 n + 4 for n blocks a group. Without dropout, as in the distillation literature.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from models.registry import register_family

BASE_WIDTHS = (16, 32, 64)
DEEPEST = 202  # deeper than any published one; larger numbers would be slow to build
USUAL = ("wrn_16_1", "wrn_16_2", "wrn_28_2", "wrn_40_1", "wrn_40_2", "wrn_28_10")


class PreActivationBlock(nn.Module):
    """Norm, ReLU, 3x3 convolution, twice: (batch, inputs, H, W) -> (batch, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.projection: nn.Conv2d | None = None
        if stride != 1 or inputs != outputs:
            self.projection = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        activated = F.relu(self.norm1(features), inplace=True)
        residual = self.conv2(F.relu(self.norm2(self.conv1(activated)), inplace=True))
        # A projection reads the activated features, an identity the raw ones, as in the authors' code.
        return residual.add_(features if self.projection is None else self.projection(activated))


@register_family("wrn_<depth>_<width>", listed=USUAL)
class WideResNet(nn.Module):
    """A wide ResNet: images (batch, in_channels, H, W) of any size -> logits (batch, num_classes).

    Raises:
        ValueError: unless depth = 6 n + 4 with n >= 1, up to 202, and width >= 1.
    """

    def __init__(self, depth: int, width: int, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        if not 10 <= depth <= DEEPEST or depth % 6 != 4:
            raise ValueError(
                f"depth: found {depth} in wrn_{depth}_{width}; take one of 10, 16, 22, 28, 34, 40, ... {DEEPEST}"
            )
        if width < 1:
            raise ValueError(f"width: found {width} in wrn_{depth}_{width}; take at least 1")
        channels = BASE_WIDTHS[0]
        self.stem = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        for group, base_width in enumerate(BASE_WIDTHS):
            for index in range((depth - 4) // 6):
                halve = group > 0 and index == 0
                blocks.append(PreActivationBlock(channels, base_width * width, stride=2 if halve else 1))
                channels = base_width * width
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = F.relu(self.norm(self.blocks(self.stem(images))), inplace=True)
        return self.classifier(F.avg_pool2d(features, features.shape[2:]).flatten(1))
