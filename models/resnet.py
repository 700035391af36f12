"""ResNets for small images: ``resnet8`` to ``resnet110`` (He et al., CVPR 2016, arXiv 1512.03385, section 4.2).

Three groups of basic blocks, 16, 32 and 64 channels wide; depth = 6 n + 2 for n blocks a group. Where the shape changes
the shortcut is a 1x1 convolution with batch norm. torchvision's ``resnet18``, ``resnet34``, ``resnet50`` and so on are
other networks, made for ImageNet; no depth occurs in both, so each name is unique.
"""

from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from models.registry import register

DEPTHS = (8, 14, 20, 26, 32, 44, 56, 110)
WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (batch, inputs, H, W) -> (batch, outputs, H / stride, W / stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, features: Tensor) -> Tensor:
        residual = F.relu(self.norm1(self.conv1(features)), inplace=True)
        return F.relu(self.norm2(self.conv2(residual)).add_(self.shortcut(features)), inplace=True)


class ResNet(nn.Module):
    """A ResNet of ``depth`` layers: images (batch, in_channels, H, W) of any size -> logits (batch, num_classes).

    Raises:
        ValueError: unless depth = 6 n + 2 with n >= 1.
    """

    def __init__(self, depth: int, num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"depth: found {depth} for a small-image ResNet; take one of 8, 14, 20, 26, 32, ...")
        blocks_per_group = (depth - 2) // 6
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1, bias=False),
            nn.BatchNorm2d(WIDTHS[0]),
            nn.ReLU(inplace=True),
        )
        blocks: list[nn.Module] = []
        channels = WIDTHS[0]
        for width in WIDTHS:
            for _ in range(blocks_per_group):
                blocks.append(BasicBlock(channels, width, stride=1 if width == channels else 2))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        features = self.blocks(self.stem(images))
        return self.classifier(F.avg_pool2d(features, features.shape[2:]).flatten(1))


for _depth in DEPTHS:
    register(f"resnet{_depth}")(partial(ResNet, _depth))
