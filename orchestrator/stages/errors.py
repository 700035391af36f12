"""Errors of stages. They keep their class from one of Ray's processes to another; their causes are lost on the way."""

from __future__ import annotations


class StageError(RuntimeError):
    """Raised when a stage can't be run; the message has the cause and the remedy, and is shown without a traceback."""


class MachineFaultError(StageError):
    """Raised when a stage can't be run for a fault of its machine, or of the storage; it may be run elsewhere."""


class BlockedError(RuntimeError):
    """Raised when an input of the stage has no artifact; ``args[0]`` is the input's name."""
