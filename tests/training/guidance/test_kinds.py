"""Every kind of teaching from both logit sources: the target of a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from orchestrator.artifacts.scores import WholeViews
from orchestrator.pipeline.specs import GuidanceSpec
from orchestrator.training.guidance.experts import CachedExperts, OnlineExperts, Shown
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.guidance.kinds.dense import Dense
from orchestrator.training.guidance.kinds.selected import Selected
from orchestrator.training.guidance.teaching import Teaching
from tests.training.examples import (
    CLASSES,
    CPU,
    LADDER,
    TRAINING_IMAGES,
    curriculum_of,
    data,
    expert_network,
    experts_of,
    pacing,
    stored_logits,
    teaching,
)

KINDS: dict[str, dict[str, Any]] = {
    "labels": {"kind": "labels"},
    "single": {"kind": "single"},
    "dense": {"kind": "dense"},
    "dense with drop": {"kind": "dense", "stochastic_drop": 0.5},
    "selected": {"kind": "selected"},
}
SOURCES = ("online", "cached")
VIEW = 2
BATCH = np.array([8, 90, 3, 41, 42, 0, 17])


def spec_of(kind: str, source: str) -> GuidanceSpec:
    return teaching(source=source, **KINDS[kind])


def opened(spec: GuidanceSpec, mode: str = "promote", seed: int = 0) -> Teaching:
    if spec.kind != "selected":
        return new_teaching(spec, experts_of(spec), seed=seed)
    return new_teaching(spec, experts_of(spec), *curriculum_of(pacing(mode), len(spec.experts)), seed=seed)


def selected(source: str = "online", mode: str = "promote") -> Selected:
    it = opened(teaching("selected", source), mode)
    assert isinstance(it, Selected)
    return it


def dense(drop: float, seed: int = 0) -> Dense:
    it = opened(teaching("dense", stochastic_drop=drop), seed=seed)
    assert isinstance(it, Dense)
    return it


def shown(numbers: npt.NDArray[np.int64] = BATCH, view: int = VIEW) -> Shown:
    whole = data()
    return Shown(numbers, view, whole.images.views(whole.train[numbers], [view])[0])


def every_logits(numbers: npt.NDArray[np.int64] = BATCH) -> Tensor:
    """The logits of every expert for every image, each run over the whole batch: (E, B, classes)."""
    pixels = shown(numbers).pixels
    with torch.no_grad():
        return torch.stack([expert_network(name).eval()(pixels) for name in LADDER])


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
class TestEveryKindFromEverySource:
    def test_logits_are_one_row_an_image_for_each_expert_that_teaches_it(self, kind: str, source: str) -> None:
        it = opened(spec_of(kind, source))
        found = it.target(shown(), step=4, progress=0.5)
        if kind == "labels":
            assert found is None
            return
        assert found is not None
        row = (len(BATCH), CLASSES)
        assert found.shape == {"dense": (3, *row), "dense with drop": (len(dense(0.5).kept(4)), *row)}.get(kind, row)
        assert torch.isfinite(found).all()

    def test_logits_carry_no_gradient(self, kind: str, source: str) -> None:
        found = opened(spec_of(kind, source)).target(shown(), step=4, progress=0.5)
        assert found is None or not found.requires_grad

    def test_a_step_is_taught_the_same_whatever_was_taught_before(self, kind: str, source: str) -> None:
        resumed, walked = opened(spec_of(kind, source)), opened(spec_of(kind, source))
        for step in range(6):
            walked.target(shown(np.arange(20), view=step), step, step / 10)
        found, wanted = (it.target(shown(), step=6, progress=0.6) for it in (resumed, walked))
        assert (found is None) == (wanted is None) == (kind == "labels")
        if found is not None and wanted is not None:
            assert torch.equal(found, wanted)

    def test_logits_are_those_of_the_experts_that_are_said_to_teach(self, kind: str, source: str) -> None:
        it = opened(spec_of(kind, source))
        found = it.target(shown(), step=4, progress=0.5)
        if found is None:
            return
        every = every_logits()
        wanted = {
            "single": every[0],
            "dense": every,
            "dense with drop": every[dense(0.5).kept(4)],
            "selected": every[selected().choose(BATCH, 0.5), torch.arange(len(BATCH))],
        }[kind]
        torch.testing.assert_close(found.float(), wanted, rtol=2e-3, atol=2e-3)

    def test_cached_logits_are_the_online_ones_up_to_half_precision(self, kind: str, source: str) -> None:
        found, online = (opened(spec_of(kind, of)).target(shown(), 4, 0.5) for of in (source, "online"))
        if found is not None and online is not None:
            torch.testing.assert_close(found.float(), online, rtol=2e-3, atol=2e-3)


SIZES = (3, 1, 3)  # of three steps whose images are those of BATCH, in turn
STEPS_FROM = 3  # of 10; under ``pacing("promote")`` the second expert opens before it, the third at the step after it


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_steps_taught_at_once_are_taught_and_counted_as_one_by_one(kind: str, source: str) -> None:
    together, alone = (opened(spec_of(kind, source)) for _ in range(2))
    found = together.targets(shown(), SIZES, STEPS_FROM, 10)
    parts = shown().parts(SIZES)
    wanted = [alone.target(part, STEPS_FROM + i, (STEPS_FROM + i) / 10) for i, part in enumerate(parts)]
    assert len(found) == len(wanted) == len(SIZES)
    for mine, its in zip(found, wanted, strict=True):
        assert (mine is None) == (its is None) == (kind == "labels")
        if mine is not None and its is not None:
            torch.testing.assert_close(mine, its)
    np.testing.assert_array_equal(together.assignment_counts, alone.assignment_counts)
    assert together.assignment_counts.sum() == (len(BATCH) if kind == "selected" else 0)


def test_of_steps_taught_at_once_each_has_the_experts_that_are_open_at_its_own_progress() -> None:
    _, strata = curriculum_of(pacing("promote"), 3)
    hardest = np.flatnonzero(strata == 2)[:6]
    found = selected().targets(shown(hardest), (2, 2, 2), STEPS_FROM, 10)
    every = every_logits(hardest)
    wanted = [every[expert, 2 * i : 2 * i + 2] for i, expert in enumerate((1, 2, 2))]
    torch.testing.assert_close(found, wanted)


def test_a_chosen_expert_runs_once_for_all_the_steps_that_are_taught_at_once() -> None:
    it = selected(mode="static")
    assert it.steps_at_once == len(LADDER)
    assert isinstance(it.experts, OnlineExperts)
    ran: list[tuple[int, int]] = []
    for number, network in enumerate(it.experts.networks):
        network.register_forward_pre_hook(lambda _, inputs, number=number: ran.append((number, len(inputs[0]))))
    it.targets(shown(), SIZES, 0, 10)
    experts, images = np.unique(it.choose(BATCH, 0.0), return_counts=True)
    assert ran == list(zip(experts.tolist(), images.tolist(), strict=True))


@pytest.mark.parametrize(
    ("kind", "source"), [("labels", "online"), ("single", "online"), ("dense", "online"), ("selected", "cached")]
)
def test_where_no_expert_has_less_than_the_batch_steps_are_taught_one_at_a_time(kind: str, source: str) -> None:
    assert opened(spec_of(kind, source)).steps_at_once == 1


def test_online_experts_are_in_evaluation_mode_and_stay_as_they_were() -> None:
    networks = [expert_network(name).train() for name in LADDER]
    experts = OnlineExperts(networks, CPU, bf16=False)
    before = [{name: value.clone() for name, value in network.state_dict().items()} for network in experts.networks]
    for expert in range(3):
        first, second = experts.one(expert, shown()), experts.one(expert, shown())
        assert torch.equal(first, second)  # the smallest has dropout
    for network, state in zip(experts.networks, before, strict=True):
        assert not any(module.training for module in network.modules())
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("seed", range(4))
def test_chosen_experts_logits_are_picked_out_of_every_experts(source: str, seed: int) -> None:
    generator = np.random.default_rng(seed)
    numbers = generator.permutation(TRAINING_IMAGES)[:30]
    chosen = generator.integers(0, 3, len(numbers))
    experts = experts_of(teaching("selected", source))
    assert experts is not None
    wanted = every_logits(numbers)[torch.from_numpy(chosen), torch.arange(len(numbers))]
    tolerance = 2e-3 if source == "cached" else 1e-5
    found = experts.chosen(chosen, shown(numbers)).float()
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def test_only_the_chosen_expert_runs_and_on_its_own_images() -> None:
    experts = OnlineExperts([expert_network(name) for name in LADDER], CPU, bf16=False)
    ran: list[tuple[int, int]] = []
    for number, network in enumerate(experts.networks):
        network.register_forward_pre_hook(lambda _, inputs, number=number: ran.append((number, len(inputs[0]))))
    experts.chosen(np.array([2, 0, 2, 2, 0, 2, 2]), shown())
    assert ran == [(0, 2), (2, 5)]


def test_a_chosen_experts_images_come_in_channels_last_storage() -> None:
    kept: list[bool] = []
    pooling = [torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()) for _ in LADDER]
    experts = OnlineExperts(pooling, CPU, bf16=False)
    for network in experts.networks:
        network.register_forward_pre_hook(
            lambda _, inputs: kept.append(inputs[0].is_contiguous(memory_format=torch.channels_last))
        )
    pixels = torch.rand(len(BATCH), 3, 8, 8).to(memory_format=torch.channels_last)
    experts.chosen(np.array([2, 0, 2, 2, 0, 2, 2]), Shown(BATCH, VIEW, pixels))
    assert kept == [True, True]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("mode", ["static", "reveal", "promote", "both"])
def test_selected_with_one_expert_is_single_bit_for_bit(source: str, mode: str) -> None:
    one = opened(teaching("selected", source, experts=["large"]), mode)
    single = opened(teaching("single", source, experts=["large"]))
    for step in range(5):
        found, wanted = (it.targets(shown(view=step), SIZES, step, 10) for it in (one, single))
        for mine, its in zip(found, wanted, strict=True):
            assert mine is not None
            assert its is not None
            assert torch.equal(mine, its)


def test_cached_logits_are_those_of_the_view_that_is_shown() -> None:
    views = 4
    experts = CachedExperts([WholeViews(stored_logits(name, views)) for name in LADDER], CPU)
    for view in range(views):
        stored = stored_logits("large", views)[view, BATCH]
        np.testing.assert_array_equal(experts.one(2, shown(view=view)).numpy(), stored)
        np.testing.assert_array_equal(experts.chosen(np.full(len(BATCH), 2), shown(view=view)).numpy(), stored)


def test_a_network_that_experts_teach_needs_experts() -> None:
    with pytest.raises(ValueError, match="guidance 'single' is to be taught by small"):
        new_teaching(teaching("single"))


class TestStochasticDrop:
    STEPS = 4000

    def kept(self, drop: float, seed: int = 0) -> list[list[int]]:
        it = dense(drop, seed)
        return [it.kept(step) for step in range(self.STEPS)]

    @pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
    def test_each_expert_is_dropped_as_often_as_asked(self, drop: float) -> None:
        every = self.kept(drop)
        # Where all three are dropped, one of them stays after all.
        wanted = (1 - drop) + drop**3 / 3
        for expert in range(3):
            share = np.mean([expert in kept for kept in every])
            assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / self.STEPS)

    def test_never_are_all_dropped(self) -> None:
        assert min(len(kept) for kept in self.kept(0.99)) == 1

    def test_without_drop_all_teach_at_every_step(self) -> None:
        assert all(kept == [0, 1, 2] for kept in self.kept(0.0))

    def test_it_is_a_function_of_seed_and_step(self) -> None:
        every = self.kept(0.5)
        it = dense(0.5)
        for step in (3999, 0, 17):
            assert it.kept(step) == every[step]
        assert self.kept(0.5, seed=1) != every
