"""A stage's progress and outcome in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.artifacts.store import Artifact


def describe(status: Mapping[str, Any], seconds_left: float | None = None) -> str:
    """What a stage has said, the most important first."""
    if "doing" in status:
        return str(status["doing"])
    unit = status.get("unit", "step")
    words = [f"{unit} {status['step']:,} of {status['steps']:,}"]
    if seconds_left is not None:
        words.append(f"{duration(seconds_left)} left")
    if status.get("accuracy") is not None:
        words.append(f"{'best' if unit == 'trials' else 'validation'} {status['accuracy']:.1%}")
    if status.get("images_per_second"):
        words.append(f"{status['images_per_second']:,.0f} images/s")
    if status.get("best"):
        words.append(f"with {settings(status['best'])}")
    return ", ".join(words)


def settings(config: Mapping[str, Any]) -> str:
    """A point of a search in words."""
    shown = {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in config.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def duration(seconds: float) -> str:
    """``0:07``, ``12:30``, ``3:05:00``, ``2 d 04:00``: as short as it can be read."""
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02d}:{minutes:02d}"
    if hours:
        return f"{hours}:{minutes:02d}:{whole % 60:02d}"
    return f"{minutes}:{whole % 60:02d}"


def ended(artifact: Artifact) -> str:
    """What came of a stage; nothing where its time says all."""
    results = artifact.results
    if artifact.kind == "ingest":
        return ", ".join(f"{count:,} {name}" for name, count in results["counts"].items() if count)
    if artifact.kind in ("train", "pretrained"):
        return f"validation {results['validation_accuracy']:.1%}"
    if artifact.kind == "evaluate":
        return f"test {results['test_accuracy']:.1%}"
    if artifact.kind == "search":
        return f"best validation {results['best']['validation_accuracy']:.1%}"
    if artifact.kind == "score":
        return f"{results['images']:,} images, {results['views']} views stored"
    return ""
