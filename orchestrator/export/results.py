"""Results of an export: its files and measurements, for the model card beside the run's report."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version

from orchestrator.export.check import Agreement
from orchestrator.export.latency import Latency, Timing
from orchestrator.export.options import INT8_FILE, PACKAGES, Format
from orchestrator.export.quantisation import Accuracy
from orchestrator.export.selection import Chosen, Run


@dataclass(frozen=True)
class File:
    """One exported file. ``agreement`` is with the network in fp32; with the same file run here for int8."""

    name: str
    form: Format
    bytes: int
    teacher_bytes: int
    agreement: Agreement

    @property
    def precision(self) -> str:
        """Number format of its computation."""
        return "int8" if self.name == INT8_FILE else "fp32"

    def __str__(self) -> str:
        return f"{self.name}: {self.bytes:,} bytes, teacher's {self.teacher_bytes:,}; checked: {self.agreement}"


@dataclass(frozen=True)
class Compared:
    """Latency of a file and of the teacher's file of the same format; ``ratio``: mine / its, median over rounds."""

    name: str
    mine: Latency
    teachers: Latency
    ratio: float

    def __str__(self) -> str:
        return f"{self.name}: one image {self.mine} ms, teacher {self.teachers} ms, ratio {self.ratio:.3f}"


@dataclass(frozen=True)
class Quantised:
    """Results of int8: accuracies by part of the data, and the number of calibration images."""

    calibrated_on: int
    accuracy: dict[str, Accuracy]


@dataclass(frozen=True)
class Exported:
    """An export, as the model card describes it."""

    run: Run
    chosen: Chosen
    files: tuple[File, ...]
    timing: Timing
    quantised: Quantised | None
    earlier: tuple[str, ...]  # files that an earlier export left in the folder

    @property
    def is_teacher(self) -> bool:
        """Whether the network is the teacher itself, so that there is nothing to compare it with."""
        return self.chosen.artifact.identity == self.run.teacher.artifact.identity

    @property
    def versions(self) -> dict[str, str]:
        """Of Python and of the packages that wrote the files."""
        packages = {"torch", "safetensors", *(package for file in self.files for package in PACKAGES[file.form])}
        return {"python": platform.python_version()} | {package: version(package) for package in sorted(packages)}

    def latencies(self) -> list[Compared]:
        """Each file against the teacher's."""
        timing = self.timing
        return [
            Compared(
                file.name, timing.latency(file.name), timing.latency(of_teacher(file.name)),
                timing.ratio(file.name, of_teacher(file.name)),
            )
            for file in self.files
        ]  # fmt: skip


def of_teacher(name: str) -> str:
    """Name of the teacher's file of the same format, in the timing and on the way."""
    return f"teacher-{name}"
