"""The student's last prediction of each training image, as state of its teaching."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from curricula.readiness import UNSEEN

IntArray = npt.NDArray[np.int64]


class LastPredictions(nn.Module):
    """Probabilities of the label by the student's last prediction of each of N training images, for a selector.

    Predictions are recorded on the device in every step, and read at the start of each pass. A pass shows an image once
    at most, so what is read for it is its last prediction. Each worker records its part of a pass; the training loop
    shares them at the end of the pass and before it writes a checkpoint, so what is read is the same for any number of
    workers, and the same in a training that goes on from a checkpoint.

    Attributes:
        confidence: float32 (N,), ``UNSEEN`` for an image that was not shown yet; part of every checkpoint.
    """

    confidence: Tensor

    def __init__(self, images: int) -> None:
        super().__init__()
        self.register_buffer("confidence", torch.full((images,), UNSEEN))
        self._read: npt.NDArray[np.float32] | None = None

    def record(self, images: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Record predictions of images: their numbers (B,), logits (B, C), labels (B,)."""
        with torch.no_grad():
            of_label = logits.detach().float().softmax(dim=1).gather(1, labels[:, None])[:, 0]
            self.confidence.index_copy_(0, images, of_label)

    def of(self, images: IntArray) -> npt.NDArray[np.float32]:
        """Returns the probabilities (B,) of images as they were when the pass began."""
        if self._read is None:
            self._read = self.confidence.cpu().numpy().copy()
        return self._read[images]

    def end_pass(self) -> None:
        """Read them anew."""
        self._read = None
