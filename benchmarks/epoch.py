"""epoch: the cost of one pass of the student under each guidance, as a multiple of plain training in fp32.

In bf16, oneDNN's weight gradient of a strided 3x3 convolution ran at one of two speeds (1.9 or 4.5 ms for 128 x 32 x 16
x 16 on two cores of an AMD EPYC; the unstrided ones 2.0 or 2.2), for ten seconds to minutes at a time, in one process
on the same tensors, most likely because of other load on the core. The floor's and the program's bf16 passes are both
about 15 % slower then, and fp32 hardly. A round may take as long as such a period, so the medians of two sides over
five rounds can be of different speeds: see ``selected``.

``floor online`` is the floor with each image run through one expert, batch by batch. Online routed guidance can be
below it, because it runs the experts over several steps' images at once.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import workload
from benchmarks.floor import Floor, prepare
from benchmarks.measure import interleave, ratios
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.report.markdown import table
from orchestrator.training.guidance.experts import CachedExperts, Experts, OnlineExperts
from orchestrator.training.guidance.inference import ready_to_teach
from orchestrator.training.guidance.kinds import new_teaching
from orchestrator.training.loop import train
from orchestrator.training.networks import new_network
from orchestrator.training.process import set_up_process

CPU = torch.device("cpu")
KINDS = (
    ("labels", "none"), ("single", "cached"), ("dense", "cached"), ("selected", "cached"),
    ("single", "online"), ("dense", "online"), ("selected", "online"),
)  # fmt: skip


def run(
    rounds: int, short: bool, threads: int, kinds: Sequence[tuple[str, str]] = KINDS, device: torch.device = CPU,
    count: int | None = None, compiled: bool = False,
) -> str:  # fmt: skip
    """Returns the table of the benchmark.

    Args:
        rounds: that count.
        short: fewer images, where ``count`` does not say how many.
        threads: of the processor.
        kinds: guidances and their sources.
        device: of both sides.
        count: images of a pass.
        compiled: whether each of the program's passes is run with ``training.compile`` as well.
    """
    count = count or (1280 if short else 5120)
    set_up_process(threads)
    images, labels = (tensor.to(device) for tensor in workload.pixels(count))
    with tempfile.TemporaryDirectory() as folder:
        steps = -(-count // workload.BATCH)
        arrays = workload.logits_table(Path(folder), count, views=2)
        sides: dict[str, Callable[[], object]] = {
            "floor fp32": _floor(images, labels, bf16=False), "floor bf16": _floor(images, labels, bf16=True),
        }  # fmt: skip
        for precision in ("fp32", "bf16"):
            bf16 = precision == "bf16"
            networks = [new_network(workload.network_spec(name), 0) for name in workload.EXPERTS]
            if ("selected", "online") in kinds:
                sides[f"floor online {precision}"] = _floor(images, labels, bf16, networks)
            for kind, source in kinds:
                first = -1 if kind == "single" else 0  # one expert: the largest
                experts: Experts | None = None
                if source == "online":
                    experts = OnlineExperts([copy.deepcopy(network) for network in networks[first:]], device, bf16)
                elif source == "cached":
                    experts = CachedExperts(arrays[first:], device)
                for name in ("", " compiled") if compiled else ("",):
                    also = {"compiled": bool(name)}
                    spec = workload.train_spec(steps, kind, source, precision, threads, **also)  # type: ignore[arg-type]
                    sides[f"{kind} {source} {precision}{name}"] = _ours(images, labels, spec, experts)
        found = interleave(sides, rounds)
    speed = {name: count / sorted(values)[len(values) // 2] for name, values in found.items()}
    rows = [(name, ratio, f"{speed[name]:,.0f}") for name, ratio in ratios(found, "floor fp32").items()]
    return table(("student pass", "x floor fp32", "images/s"), rows)


def _floor(
    images: torch.Tensor, labels: torch.Tensor, bf16: bool, experts: Sequence[torch.nn.Module] = ()
) -> Callable[[], object]:
    floor = Floor(images, labels, workload.BATCH, bf16)
    network, optimizer = prepare(new_network(workload.network_spec(workload.STUDENT), 0), images.device)
    frozen = [ready_to_teach(copy.deepcopy(expert), images.device) for expert in experts]
    return lambda: floor.epoch(network, optimizer, frozen)


def _ours(
    images: torch.Tensor, labels: torch.Tensor, spec: TrainSpec, experts: Experts | None
) -> Callable[[], object]:  # fmt: skip
    data = workload.data(images, labels)
    curriculum = workload.static_curriculum(len(images)) if spec.guidance.kind == "selected" else None

    def work() -> object:
        teaching = new_teaching(spec.guidance, experts, curriculum)
        network = new_network(spec.network, spec.seed)
        return train(spec, network, data, teaching, device=images.device, observer=workload.Silent())

    return work
