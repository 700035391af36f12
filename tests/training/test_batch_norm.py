"""A network computes the same with any number of workers, and however a step is divided."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.norm_groups import NormGroups
from orchestrator.training.batch_norm import GroupedNormalisation
from orchestrator.training.loop import Trained
from orchestrator.training.networks import new_network
from orchestrator.training.world import World
from tests.training.examples import Shown, assert_same_training, data, learn, network_spec, training, without_times
from tests.training.workers import GROUPED, WORLD_SIZES, learn_grouped, read

GRADIENTS = [name for name in GROUPED if name.startswith("gradient")]


@cache
def alone(name: str) -> tuple[Trained, list[np.ndarray]]:
    """Returns the training by a single worker, and the images of each of its steps."""
    images = Shown(data().images)
    return learn_grouped(name, images), images.steps


def together(folder: Path, size: int, name: str) -> list[Trained]:
    return [read(folder / str(size), name, rank) for rank in range(size)]


@pytest.mark.parametrize("size", WORLD_SIZES)
@pytest.mark.parametrize("name", GROUPED)
class TestWorldSizes:
    """2, 3 and 4 workers against one, with more norm groups than workers and with fewer."""

    def test_the_same_images_are_in_the_same_batches(self, by_workers: Path, size: int, name: str) -> None:
        _, wanted = alone(name)
        of_workers = []
        for rank in range(size):
            with np.load(by_workers / str(size) / f"{name}-{rank}.npz") as steps:
                of_workers.append([steps[key] for key in steps])
        assert all(len(steps) == len(wanted) for steps in of_workers)
        for parts, batch in zip(zip(*of_workers, strict=True), wanted, strict=True):
            np.testing.assert_array_equal(np.concatenate(parts), batch)

    def test_all_workers_end_in_the_same_training(self, by_workers: Path, size: int, name: str) -> None:
        first, *others = together(by_workers, size, name)
        for other in others:
            assert_same_training(other, first)

    def test_weights_and_running_statistics_are_those_of_one_worker(
        self, by_workers: Path, size: int, name: str
    ) -> None:
        found, (wanted, _) = together(by_workers, size, name)[0], alone(name)
        assert found.weights.keys() == wanted.weights.keys()
        for tensor, weights in wanted.weights.items():
            torch.testing.assert_close(found.weights[tensor], weights, rtol=1e-4, atol=1e-5)

    def test_metrics_are_those_of_one_worker(self, by_workers: Path, size: int, name: str) -> None:
        found, (wanted, _) = together(by_workers, size, name)[0], alone(name)
        for row, other in zip(without_times(found.history), without_times(wanted.history), strict=True):
            assert row == pytest.approx(other, rel=1e-4)
        np.testing.assert_array_equal(found.assignment_counts, wanted.assignment_counts)
        np.testing.assert_array_equal(found.learned_step, wanted.learned_step)


@pytest.mark.parametrize("size", WORLD_SIZES)
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_differ_by_rounding_alone(by_workers: Path, size: int, name: str) -> None:
    case = GROUPED[name]
    before = new_network(case.spec.network, case.spec.seed).state_dict()
    found, (wanted, _) = together(by_workers, size, name)[0], alone(name)
    largest = 0.0
    for tensor, _ in new_network(case.spec.network, 0).named_parameters():
        # With a learning rate of 1 and nothing else the step is the gradient.
        gradients = [before[tensor] - trained.weights[tensor] for trained in (found, wanted)]
        torch.testing.assert_close(*gradients, rtol=0, atol=1e-5)
        largest = max(largest, gradients[1].abs().max().item())
    assert largest > 0.01


def test_the_size_of_norm_groups_changes_what_is_learned() -> None:
    whole, halves = (alone(name)[0].weights for name in ("one group", "2 groups"))
    assert any(not torch.allclose(whole[tensor], halves[tensor], atol=1e-3) for tensor in whole)


@pytest.mark.parametrize("micro_batch", [4, 8, 20])
def test_a_step_in_parts_is_a_whole_step_but_for_rounding(micro_batch: int) -> None:
    spec = training(norm_batch=4, steps=5, evaluate_every=2)
    parts, whole = learn(spec, micro_batch=micro_batch), learn(spec)
    for tensor, weights in whole.weights.items():
        torch.testing.assert_close(parts.weights[tensor], weights, rtol=1e-4, atol=1e-5)


def test_one_worker_with_whole_batches_keeps_the_plain_network() -> None:
    network = new_network(network_spec("plain_cnn_2"), 0)
    layers = list(network.modules())
    assert GroupedNormalisation(network, NormGroups(), World()).network is network
    assert list(network.modules()) == layers
    assert_same_training(learn(training(norm_batch=32)), learn(training()))


def test_names_of_weights_are_those_of_the_plain_network() -> None:
    network = new_network(network_spec("resnet8"), 0)
    names = list(network.state_dict())
    grouped = GroupedNormalisation(network, NormGroups(4), World()).network
    assert list(grouped.state_dict()) == names
    new_network(network_spec("resnet8"), 1).load_state_dict(grouped.state_dict())


@pytest.mark.parametrize("name", ["timm:test_efficientnet", "timm:test_resnet"])
def test_networks_of_timm_take_statistics_over_groups(name: str) -> None:
    spec = NetworkSpec(name=name, classes=4, channels=3, image_size=32)
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, grouped = (new_network(spec, 0).train() for _ in range(2))
    norm = GroupedNormalisation(grouped, NormGroups(2), World())
    assert list(norm.network.state_dict()) == list(plain.state_dict())
    with norm.pass_of([4, 4]):
        logits = norm.network(images)
    torch.testing.assert_close(logits, torch.cat([plain(half) for half in images.split(4)]), rtol=1e-4, atol=1e-5)


def test_running_statistics_are_the_means_over_groups() -> None:
    values = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 2 + 1
    norm = GroupedNormalisation(nn.BatchNorm2d(3), NormGroups(2), World())
    with norm.pass_of([4, 4]):
        norm.network(values)
    norm.end_step()
    by_group = [nn.BatchNorm2d(3), nn.BatchNorm2d(3)]
    for layer, group in zip(by_group, values.split(4), strict=True):
        layer(group)
    for name in ("running_mean", "running_var"):
        wanted = torch.stack([getattr(layer, name) for layer in by_group]).mean(dim=0)
        torch.testing.assert_close(getattr(norm.network, name), wanted)


def test_a_kind_of_batch_normalisation_that_is_not_known_is_refused() -> None:
    class WithActivation(nn.BatchNorm2d):
        pass

    with pytest.raises(ValueError, match=r"layer 0\.1 is a WithActivation, .*one worker and without"):
        GroupedNormalisation(nn.Sequential(nn.Sequential(nn.ReLU(), WithActivation(3))), NormGroups(2), World())


def test_a_network_that_folds_images_into_another_dimension_is_refused() -> None:
    norm = GroupedNormalisation(nn.BatchNorm1d(3), NormGroups(2), World())
    with norm.pass_of([4, 4]), pytest.raises(ValueError, match="32 items in a forward pass of 8 images"):
        norm.network(torch.zeros(32, 3))


@pytest.fixture
def group_of_one(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meeting", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(8, 3, 5, 5), (8, 3)])
@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_shared_by_one_worker_it_is_torch_s_own(
    group_of_one: None, dtype: torch.dtype, tolerance: float, device: str, shape: tuple[int, ...], affine: bool
) -> None:
    generator = torch.Generator().manual_seed(0)
    values, above = ((2 * torch.randn(shape, generator=generator) + 1).to(device, dtype) for _ in range(2))
    layers = [nn.BatchNorm1d(3, affine=affine), nn.BatchNorm1d(3, affine=affine)]
    if affine:
        for layer in layers:
            nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
            nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(2))
    plain, shared = (layer.to(device) for layer in layers)
    plain._check_input_dim = lambda input: None  # type: ignore[method-assign]  # images too
    norm = GroupedNormalisation(shared, NormGroups(1, workers=2), World())
    inputs = [values.clone().requires_grad_() for _ in range(2)]
    outputs = [plain(inputs[0])]
    with norm.pass_of([len(values)]):
        outputs.append(norm.network(inputs[1]))
    norm.end_step()
    for output in outputs:
        output.backward(above)
    assert_close = partial(torch.testing.assert_close, rtol=tolerance, atol=tolerance)
    assert_close(outputs[1], outputs[0])
    assert_close(inputs[1].grad, inputs[0].grad)
    for name, parameter in plain.named_parameters():
        found = dict(norm.network.named_parameters())[name].grad
        torch.testing.assert_close(found, parameter.grad, rtol=tolerance, atol=10 * tolerance)
    for name, buffer in plain.named_buffers():
        assert_close(dict(norm.network.named_buffers())[name], buffer)
