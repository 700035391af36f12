"""peers: one pass of a student taught by a teacher, in this program and in other implementations.

Every side trains the same ResNet-8 with the same batches, augmentation, optimiser settings and, but for the floor, on
the same loss: (1 - weight) cross-entropy + weight T² KL to the expert, a ResNet-56 (to each of four experts, for DGKD).

- ``floor``: plain training without a teacher, in a minimal loop (``floor.py``).
- ``ours``: the program's training. ``cached`` reads stored logits; its figure excludes the cost of storing them, one
  forward pass of the expert over each view, once for all students. ``online`` runs the expert beside the student.
- ``plain loop``: the loop of most tutorials and papers' scripts: PIL images and torchvision's transforms in two loader
  workers, the teacher in evaluation mode under ``no_grad``.
- ``torchdistill``: the framework's ``DistillationBox``, configured as its sample for CIFAR-10 and driven as by its
  example for image classification. The box leaves the teacher in the mode that it was given in: here, evaluation mode.
- ``DGKD script``: the public script of DGKD (github.com/wonchulSon/DGKD) runs all experts on every batch with gradients
  on and lets the loss flow back into them; ``no_grad`` is the same without. Its stochastic drop is off: it drops terms
  of the loss after the experts have run.

The others keep network, optimiser and loader workers from one pass to the next, so that their start is part of the
warm-up; ours starts anew each time.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torchvision import transforms

from benchmarks import workload
from benchmarks.epoch import CPU, _floor, _ours
from benchmarks.measure import interleave, ratios
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.report.markdown import table
from orchestrator.training.guidance.experts import CachedExperts, OnlineExperts
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process

FLOOR, CACHED = "floor fp32", "ours, cached fp32"
TEACHER = workload.EXPERTS[-1]
TEMPERATURE, WEIGHT = 4.0, 0.9  # what the program's guidance has by default
SGD = {"lr": 0.01, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
LOADER = {"batch_size": workload.BATCH, "num_workers": 2, "persistent_workers": True}
MISSING = "not installed (pip install .[peers])"
_OUTPUT = {"path": ".", "io": "output"}  # where the logits of a model are, in torchdistill's words

Loader = DataLoader[tuple[Tensor, Tensor]]


class Pictures(Dataset[tuple[Tensor, int]]):
    """Images as torchvision's CIFAR-10 returns them: a PIL image each, then the transforms, one image at a time."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images.numpy(), [int(label) for label in labels]
        self.transform = transforms.Compose([
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(workload.MEAN, workload.STD),
        ])  # fmt: skip

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    count = 1280 if short else 5120
    set_up_process(threads)
    images, labels = workload.pixels(count)
    pictures = Pictures(images, labels)
    loader: Loader = DataLoader(pictures, shuffle=True, **LOADER)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        cached = CachedExperts(workload.logits_table(Path(folder), count, views=2)[-1:], CPU)
        online = OnlineExperts([_network(TEACHER)], CPU, bf16=False)
        sides: dict[str, Callable[[], object]] = {
            FLOOR: _floor(images, labels, bf16=False),
            CACHED: _ours(images, labels, _spec(count, "cached", "fp32", threads), cached),
            "ours, cached bf16": _ours(images, labels, _spec(count, "cached", "bf16", threads), cached),
            "ours, online fp32": _ours(images, labels, _spec(count, "online", "fp32", threads), online),
            "plain loop": _plain(loader, (TEACHER,), gradients=False),
        }
        missing = find_spec("torchdistill") is None
        if not missing:
            sides[f"torchdistill {version('torchdistill')}"] = _torchdistill(pictures)
        sides["DGKD script"] = _plain(loader, workload.EXPERTS, gradients=True)
        sides["DGKD script, no_grad"] = _plain(loader, workload.EXPERTS, gradients=False)
        found = interleave(sides, rounds)
    speed = {name: count / sorted(values)[len(values) // 2] for name, values in found.items()}
    to_floor, to_cached = ratios(found, FLOOR), ratios(found, CACHED)
    rows = [(name, str(to_floor[name]), f"{speed[name]:,.0f}", f"{to_cached[name].median:.2f}") for name in sides]
    if missing:
        rows.append(("torchdistill", MISSING, "-", "-"))
    return table(("student pass", "x floor fp32", "images/s", "x ours, cached"), rows)


def _network(name: str) -> nn.Module:
    return new_network(workload.network_spec(name), 0)


def _kl(student: Tensor, expert: Tensor) -> Tensor:
    log_student, soft_expert = F.log_softmax(student / TEMPERATURE, dim=1), F.softmax(expert / TEMPERATURE, dim=1)
    return F.kl_div(log_student, soft_expert, reduction="batchmean") * TEMPERATURE**2


def _spec(
    count: int, source: Literal["online", "cached"], precision: Literal["fp32", "bf16"], threads: int
) -> TrainSpec:
    """A pass of the student, taught by the largest expert."""
    return workload.train_spec(-(-count // workload.BATCH), "single", source, precision, threads)


def _plain(loader: Loader, names: tuple[str, ...], gradients: bool) -> Callable[[], object]:
    """Returns a pass of the plain loop; with ``gradients`` the backward pass includes the experts."""
    student, experts = _network(workload.STUDENT), [_network(name).eval() for name in names]
    optimizer = torch.optim.SGD(student.parameters(), **SGD)  # type: ignore[arg-type]

    def work() -> list[float]:
        student.train()
        seen = []
        for step, (images, labels) in enumerate(loader):
            with nullcontext() if gradients else torch.no_grad():
                taught = [expert(images) for expert in experts]
            logits = student(images)
            terms = torch.stack([_kl(logits, one) for one in taught])
            loss = (1 - WEIGHT) * F.cross_entropy(logits, labels) + WEIGHT * terms.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 0:
                seen.append(loss.item())
        return seen

    return work


def _torchdistill(pictures: Pictures) -> Callable[[], object]:
    """A pass of torchdistill's distillation box."""
    from torchdistill.core.distillation import get_distillation_box
    from torchdistill.misc.log import MetricLogger, SmoothedValue

    logits = {f"{side}_module_{key}": value for side in ("student", "teacher") for key, value in _OUTPUT.items()}
    distillation = {"temperature": TEMPERATURE, "alpha": 1 - WEIGHT, "reduction": "batchmean", **logits}
    term = {"criterion": {"key": "KDLoss", "kwargs": distillation}, "weight": 1.0}
    config: dict[str, Any] = {
        "num_epochs": 1,
        "train_data_loader": {
            "dataset_id": "pictures",
            "sampler": {"class_or_func": RandomSampler, "kwargs": None},
            "kwargs": {**LOADER, "drop_last": False},
        },
        "teacher": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": False},
        "student": {"forward_proc": "forward_batch_only", "sequential": [], "requires_grad": True},
        "optimizer": {"key": "SGD", "kwargs": dict(SGD)},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": term}}},
    }
    teacher, student = _network(TEACHER).eval(), _network(workload.STUDENT)
    box = get_distillation_box(teacher, student, {"pictures": pictures}, config, CPU, None, False, 1)

    def work() -> object:
        box.pre_epoch_process(epoch=0)
        metrics = MetricLogger(delimiter="  ")
        metrics.add_meter("img/s", SmoothedValue(window_size=10, fmt="{value}"))
        for images, labels, more in metrics.log_every(box.train_data_loader, 100, "Epoch:"):
            start = time.perf_counter()
            loss = box.forward_process(images, labels, more)
            box.post_forward_process(loss=loss)
            metrics.update(loss=loss.item(), lr=box.optimizer.param_groups[0]["lr"])
            metrics.meters["img/s"].update(len(images) / (time.perf_counter() - start))
        box.post_epoch_process()
        return metrics

    return work
