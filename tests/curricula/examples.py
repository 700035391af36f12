"""Small evidence and rank arrays, made from a seed, that several test modules share."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from curricula.difficulty import Evidence, rank

IMAGES, CLASSES, EXPERTS, FOLDS = 40, 5, 3, 4

seeds = st.integers(0, 2**32 - 1)


def evidence(seed: int = 0, images: int = IMAGES, experts: int = EXPERTS, **changes: Any) -> Evidence:
    """Complete evidence of random logits; larger experts are surer of the labels. ``changes`` replaces fields."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, CLASSES, images)
    logits = generator.normal(0, 2, (experts, images, CLASSES))
    logits[:, np.arange(images), labels] += np.arange(experts)[:, None]
    fields: dict[str, Any] = {
        "labels": labels,
        "logits": logits,
        "fold_logits": generator.normal(0, 2, (FOLDS, images, CLASSES)),
        "fold": generator.integers(0, FOLDS, images),
        "learned_step": generator.integers(0, 100, images),
    }
    return Evidence(**(fields | changes))


def random_ranks(seed: int, images: int) -> np.ndarray:
    """Ranks of random difficulties."""
    return rank(np.random.default_rng(seed).random(images))
