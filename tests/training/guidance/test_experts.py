"""Every source of experts' logits: what each must hold, and the stored ones against the experts themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from orchestrator.artifacts.scores import ShortenedViews, WholeViews
from orchestrator.artifacts.top_k import shorten
from orchestrator.training.guidance.experts import CachedExperts, Experts, OnlineExperts, Shown
from tests.training.examples import CLASSES, CPU, LADDER, data, expert_network, stored_logits

VIEWS, TOP_K = 4, 2
NUMBERS = np.array([8, 90, 3, 41, 42, 0, 17])
CHOSEN = np.array([2, 0, 0, 1, 2, 2, 0])


def online() -> Experts:
    return OnlineExperts([expert_network(name) for name in LADDER], CPU, bf16=False)


def whole() -> Experts:
    return CachedExperts([WholeViews(stored_logits(name, VIEWS)) for name in LADDER], CPU)


def largest() -> Experts:
    records = [shorten(stored_logits(name, VIEWS), TOP_K) for name in LADDER]
    return CachedExperts([ShortenedViews(its, CLASSES) for its in records], CPU)


SOURCES: dict[str, Callable[[], Experts]] = {"online": online, "cached": whole, "cached, the largest": largest}


def shown(numbers: npt.NDArray[np.int64] = NUMBERS, view: int = 1) -> Shown:
    return Shown(numbers, view, data().images.views(data().train[numbers], [view])[0])


@pytest.mark.parametrize("source", SOURCES)
class TestEverySource:
    def test_an_expert_has_a_finite_row_of_logits_for_each_image(self, source: str) -> None:
        for expert in range(len(LADDER)):
            found = SOURCES[source]().one(expert, shown())
            assert found.shape == (len(NUMBERS), CLASSES)
            assert torch.isfinite(found).all() and not found.requires_grad

    def test_chosen_logits_are_those_of_each_image_s_expert(self, source: str) -> None:
        experts = SOURCES[source]()
        found = experts.chosen(CHOSEN, shown())
        every = torch.stack([experts.one(expert, shown()) for expert in range(len(LADDER))])
        torch.testing.assert_close(found, every[torch.from_numpy(CHOSEN), torch.arange(len(NUMBERS))])

    def test_one_expert_for_all_images_is_that_expert_bit_for_bit(self, source: str) -> None:
        experts = SOURCES[source]()
        assert torch.equal(experts.chosen(np.full(len(NUMBERS), 1), shown()), experts.one(1, shown()))

    def test_logits_are_those_of_the_image_and_of_the_view(self, source: str) -> None:
        experts = SOURCES[source]()
        turned = experts.one(0, shown(NUMBERS[::-1].copy()))
        torch.testing.assert_close(turned.flip(0), experts.one(0, shown()))
        assert not torch.equal(experts.one(0, shown(view=2)), experts.one(0, shown(view=1)))

    def test_the_largest_logits_are_the_expert_s_own(self, source: str) -> None:
        for expert in range(len(LADDER)):
            found, wanted = (each().one(expert, shown()).float() for each in (SOURCES[source], online))
            torch.testing.assert_close(
                found.topk(TOP_K).values, wanted.topk(TOP_K).values, rtol=2e-3, atol=2e-3
            )  # fmt: skip
