"""Trainings on a GPU: close to those on the CPU, and resumed without a difference. Skipped without a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from PIL import Image
from safetensors.torch import load_file, save_file

from orchestrator.artifacts.scores import WholeViews
from orchestrator.datasets.photos import FolderPhotos
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.data.images import ImageFiles, ResidentImages, TrainingData
from orchestrator.training.guidance.experts import CachedExperts, Experts, OnlineExperts, Shown
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import Trained, train
from orchestrator.training.networks import new_network
from orchestrator.training.precision import kind_of_machine, measure
from orchestrator.training.world import World
from tests.training import examples
from tests.training.examples import (
    CPU,
    LADDER,
    VIEWS_SEED,
    Keeper,
    Killed,
    arrays,
    assert_same_training,
    curriculum_of,
    expert_network,
    network_spec,
    optimizer,
    pacing,
    stored_logits,
    teaching,
    training,
)
from tests.training.networks import DROPOUT

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
GPU = torch.device("cuda", 0)

CASES: dict[str, dict[str, Any]] = {
    "labels": {},
    "single": {"guidance": teaching("single")},
    "dense with drop": {"guidance": teaching("dense", stochastic_drop=0.5)},
    "selected, online": {"guidance": teaching("selected"), "curriculum": pacing("both")},
    "selected, cached": {"guidance": teaching("selected", "cached"), "curriculum": pacing("promote"), "views": 3},
    "learned step": {"record_learned_step": True},
    "norm groups": {"norm_batch": 8},
}
RESUMED: dict[str, dict[str, Any]] = CASES | {
    "dropout": {"network": DROPOUT},
    "adamw, keep best": {"optimizer": optimizer(name="adamw", learning_rate=1e-3), "keep": "best"},
}

TOGETHER = training(steps=6, optimizer=optimizer(learning_rate=1e-3), guidance=teaching("single"))


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    """Kernels whose sums are taken in one order, in full fp32."""
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32 = before


def data_on(device: torch.device, augmentation: str = "crop_flip") -> TrainingData:
    on_cpu = examples.data(augmentation)
    pixels = torch.from_numpy(arrays().images).to(device)
    images = ResidentImages(pixels, [0.45], [0.25], augmentation, VIEWS_SEED, device)
    return replace(on_cpu, images=images, labels=on_cpu.labels.to(device))


def experts_on(device: torch.device, spec: TrainSpec) -> Experts | None:
    if spec.guidance.source == "online":
        return OnlineExperts([expert_network(name) for name in spec.guidance.experts], device, bf16=False)
    if spec.guidance.source == "cached":
        return CachedExperts([WholeViews(stored_logits(name, 8)) for name in spec.guidance.experts], device)
    return None


def learn_on(
    device: torch.device, spec: TrainSpec, observer: Keeper | None = None, world: World | None = None
) -> Trained:
    curriculum, strata = None, None
    if spec.curriculum is not None:
        curriculum, strata = curriculum_of(spec.curriculum, len(spec.guidance.experts))
    taught_by = new_teaching(spec.guidance, experts_on(device, spec), curriculum, strata, spec.seed)
    network = new_network(spec.network, spec.seed)
    images = data_on(device)
    return train(spec, network, images, taught_by, device=device, observer=observer or Keeper(), world=world)


@pytest.mark.parametrize("case", CASES)
def test_a_training_on_a_gpu_is_close_to_the_one_on_the_cpu(case: str) -> None:
    spec = training(steps=6, optimizer=optimizer(learning_rate=1e-3), **CASES[case])
    found, wanted = learn_on(GPU, spec), learn_on(CPU, spec)
    for name, value in wanted.weights.items():
        torch.testing.assert_close(found.weights[name], value, rtol=1e-2, atol=2e-4)
    np.testing.assert_array_equal(found.assignment_counts, wanted.assignment_counts)


@pytest.mark.parametrize("case", RESUMED)
def test_killed_and_resumed_on_a_gpu_it_ends_in_the_same_training(case: str) -> None:
    changes = dict(RESUMED[case])
    spec = training(changes.pop("network", "plain_cnn_2"), **changes)
    lost = Keeper(kill_at=8)
    with pytest.raises(Killed):
        learn_on(GPU, spec, lost)
    assert_same_training(learn_on(GPU, spec, Keeper(lost.kept)), learn_on(GPU, spec))


def test_a_compiled_training_is_close_to_one_that_is_not() -> None:
    spec = training(steps=6, optimizer=optimizer(learning_rate=1e-3), guidance=teaching("single"))
    found, wanted = learn_on(GPU, spec.model_copy(update={"compile": True})), learn_on(GPU, spec)
    for name, value in wanted.weights.items():
        torch.testing.assert_close(found.weights[name], value, rtol=1e-2, atol=2e-4)


@pytest.mark.parametrize("size", range(1, torch.cuda.device_count() + 1))
def test_workers_with_a_gpu_each_end_where_one_does(size: int, tmp_path: Path) -> None:
    mp.spawn(learn_together, (size, str(tmp_path)), nprocs=size)
    alone = learn_on(GPU, TOGETHER).weights
    found = load_file(tmp_path / "weights.safetensors")
    for name, value in alone.items():
        torch.testing.assert_close(found[name], value, rtol=1e-2, atol=2e-4)


def learn_together(rank: int, size: int, folder: str) -> None:
    """Train ``TOGETHER`` as one of ``size`` workers that meet by NCCL; the first one keeps the weights."""
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = True, False
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl", init_method=f"file://{folder}/meeting", rank=rank, world_size=size, device_id=device
    )
    counted = torch.ones(1, device=device)
    dist.all_reduce(counted)
    assert counted.item() == size
    trained = learn_on(device, TOGETHER, world=World(rank, size))
    if rank == 0:
        save_file(trained.weights, f"{folder}/weights.safetensors")
    dist.destroy_process_group()


def test_bf16_learns_about_what_fp32_does() -> None:
    full, half = (learn_on(GPU, training(steps=40, evaluate_every=40, precision=it)) for it in ("fp32", "bf16"))
    assert half.bf16
    assert half.validation_loss == pytest.approx(full.validation_loss, rel=0.2)


@pytest.mark.parametrize("augmentation", ["none", "crop", "crop_flip"])
def test_views_on_a_gpu_are_those_on_the_cpu(augmentation: str) -> None:
    numbers = np.arange(40)
    on_gpu, on_cpu = (data_on(device, augmentation).images.views(numbers, [-1, 0, 3]) for device in (GPU, CPU))
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-6)


def test_photos_on_a_gpu_are_those_on_the_cpu(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{number}.png") for number in range(6)]
    for number, path in enumerate(paths):
        pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    mean = std = (0.5, 0.4, 0.3)
    on_gpu, on_cpu = (
        ImageFiles(FolderPhotos("", paths), 16, mean, std, "resized_crop_flip", 1, device, 2).views(
            np.arange(6), [0, 1]
        )
        for device in (GPU, CPU)
    )
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-6)


def test_cached_logits_are_those_of_an_online_expert_up_to_fp16() -> None:
    shown_numbers = np.arange(50)
    view = data_on(GPU).images.views(data_on(GPU).train[shown_numbers], [2])[0]
    shown = Shown(shown_numbers, 2, view)
    online = OnlineExperts([expert_network(name) for name in LADDER], GPU, bf16=False)
    cached = CachedExperts([WholeViews(stored_logits(name, 8)) for name in LADDER], GPU)
    chosen = shown_numbers % len(LADDER)
    torch.testing.assert_close(
        online.chosen(chosen, shown), cached.chosen(chosen, shown).float(), rtol=5e-3, atol=5e-3, check_dtype=False
    )


def test_the_precision_is_measured_on_the_gpu() -> None:
    times = measure(network_spec("plain_cnn_4"), optimizer(), 64, GPU)
    assert times.batch_size == 64 and min(times.bf16, times.fp32) > 0
    assert "NVIDIA" in kind_of_machine(GPU) or "AMD" in kind_of_machine(GPU)
