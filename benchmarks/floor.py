"""The floor: the same arithmetic in a minimal plain PyTorch loop, without the program's code.

Images are in memory as uint8; a batch is a gather of rows and one of columns within them, for a random crop and flip,
normalised as whole rows; the network is in channels-last storage, the optimiser fused; nothing is measured, validated
or saved. With experts it is the floor of online routed guidance: each image goes through one of them, frozen and with
batch norm folded, and nothing is chosen, sorted or counted.

Until 2026-11-24 the gather was the usual one, by row and column of each pixel, and the floor about 1 % slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
PAD = 4
_CPU = torch.device("cpu")


@dataclass
class Floor:
    """Plain training on images uint8 (N, 32, 32, 3) and labels int64 (N,), on the device that they are on."""

    images: Tensor
    labels: Tensor
    batch_size: int
    bf16: bool = False

    def __post_init__(self) -> None:
        self.device = self.images.device
        std = torch.tensor(STD, device=self.device)
        self.scale = (1 / (255 * std)).repeat(32)
        self.shift = (-torch.tensor(MEAN, device=self.device) / std).repeat(32)
        self.pixel_rows = self.images.view(-1, 96)

    def batch(self, index: Tensor) -> Tensor:
        """Returns augmented, normalised images of an index, (B, 3, 32, 32) in channels-last storage."""
        count, on = len(index), self.device
        rows = torch.arange(32, device=on) + torch.randint(-PAD, PAD + 1, (count, 1), device=on)
        columns = torch.arange(32, device=on) + torch.randint(-PAD, PAD + 1, (count, 1), device=on)
        columns = torch.where(torch.rand(count, 1, device=on) < 0.5, columns.flip(1), columns)
        rows, columns = (31 - (31 - side.abs()).abs() for side in (rows, columns))
        kept = self.pixel_rows.index_select(0, (index[:, None] * 32 + rows).view(-1)).view(count, 32, 96)
        within = (columns[:, :, None] * 3 + torch.arange(3, device=on)).view(count, 1, 96)
        flat = torch.addcmul(self.shift, kept.gather(2, within.expand(-1, 32, -1)).float(), self.scale)
        return flat.view(count, 32, 32, 3).permute(0, 3, 1, 2)

    def epoch(self, network: nn.Module, optimizer: torch.optim.Optimizer, experts: Sequence[nn.Module] = ()) -> None:
        """Train for one pass on the cross-entropy, and on a KL term of experts, each on its slice of every batch.

        Experts must be ready to run under ``torch.inference_mode()``. A GPU is waited for at the end.
        """
        for index in torch.randperm(len(self.images), device=self.device).split(self.batch_size):
            images = self.batch(index)
            with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16):
                if experts:
                    with torch.inference_mode():
                        parts = zip(experts, images.chunk(len(experts)), strict=True)
                        taught_by = torch.cat([expert(part) for expert, part in parts]).float()
                logits = network(images)
            loss = F.cross_entropy(logits.float(), self.labels[index])
            if experts:
                both = F.log_softmax(logits.float(), dim=1), F.log_softmax(taught_by, dim=1)
                loss = loss + F.kl_div(*both, reduction="batchmean", log_target=True)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def prepare(network: nn.Module, device: torch.device = _CPU) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Returns a network and its optimiser as the floor trains it."""
    network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    return network, torch.optim.SGD(
        network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )
