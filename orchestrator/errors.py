"""Errors that bad input leads to: one base class, which ends a command with exit code 2 and without a traceback."""

from __future__ import annotations

BAD_INPUT = 2


class UserError(ValueError):
    """Bad input. The message is complete: it names the field, option or file, what was found, and what to do.

    Its kinds stand beside the code that raises them, such as ``RecipeError``, ``DatasetError`` and ``StorageError``.
    """


class OptionError(UserError):
    """Options of a command that do not fit each other, the storage or the run."""


class PortError(UserError):
    """A port that can't be opened."""
