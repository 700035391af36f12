"""Fidelity of the taught students, and calibration of every network; of students as means over seeds."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from orchestrator.report.content.schema import Fidelity, NetworkRow, StudentRow
from orchestrator.report.content.statistics import mean, method_rows


class FidelityRow(TypedDict):
    """A method's students beside one expert: means over the seeds that have been measured."""

    method: str
    expert: str
    seeds: int
    agreement: float | None
    kl_t1: float | None
    kl_t4: float | None


class CalibrationRow(TypedDict):
    """A network's calibration error beside its test accuracy."""

    name: str
    test_accuracy: float | None
    calibration_error: float


def fidelity_rows(students: Sequence[StudentRow]) -> list[FidelityRow]:
    """One row for each method and expert, both in the order in which they first occur."""
    found: dict[tuple[str, str], list[Fidelity]] = {}
    for row in students:
        for expert, measured in row["fidelity"].items():
            found.setdefault((row["method"], expert), []).append(measured)
    return [
        {
            "method": method, "expert": expert, "seeds": len(each),
            "agreement": mean(one["agreement"] for one in each), "kl_t1": mean(one["kl_t1"] for one in each),
            "kl_t4": mean(one["kl_t4"] for one in each),
        }
        for (method, expert), each in found.items()
    ]  # fmt: skip


def calibration_rows(networks: Sequence[NetworkRow], students: Sequence[StudentRow]) -> list[CalibrationRow]:
    """One row for each expert, then one for each method's students, of those that have been measured."""
    experts = [
        (row["name"], row["test_accuracy"], row["calibration_error"]) for row in networks if row["role"] != "student"
    ]
    methods = [
        (f"student, {row['method']}", row["test_mean"], row["calibration_error"]) for row in method_rows(students)
    ]
    return [
        {"name": name, "test_accuracy": accuracy, "calibration_error": error}
        for name, accuracy, error in (*experts, *methods)
        if error is not None
    ]
