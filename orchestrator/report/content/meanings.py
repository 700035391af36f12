"""The description of a field of ``report.json``, which its tables in docs/report.md show."""

from __future__ import annotations

from typing import Any

from pydantic import Field


def means(text: str) -> Any:
    """Returns the meaning of a field."""
    return Field(description=text)
