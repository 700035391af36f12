"""Errors of a training. Without torch, so that processes which only tell errors apart need not load it."""

from __future__ import annotations


class TrainingDivergedError(RuntimeError):
    """The loss, a weight or a running statistic became NaN or infinite."""
