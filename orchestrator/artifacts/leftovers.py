"""Checkpoints that were left behind by a process that was killed after it had committed its training's artifact."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from orchestrator.artifacts.store import StorageError, Store


def drop_leftovers(store: Store, committed: Iterable[str]) -> None:
    """Remove the checkpoints of trainings whose artifacts exist.

    Costs one listing. A storage that fails is left alone: the next run removes them.

    Args:
        store: the storage.
        committed: identities of stages with an artifact.
    """
    once = store.impatient()
    with suppress(StorageError):
        for identity in {info.base_name for info in once.list("checkpoints")} & set(committed):
            once.drop_checkpoint(identity)
