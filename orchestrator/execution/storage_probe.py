"""Probe of the storage: every node of the cluster reads and writes a file there before any stage runs.

A storage that is another folder on some nodes would cost minutes and end in tracebacks of whatever came first.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.artifacts.store import StorageError, Store
from orchestrator.interruption import Interruption

ANSWER_SECONDS = 15.0  # a node is waited for so long
READ_SECONDS = 3.0  # a file that another node has just written may be seen a little later
POLL_SECONDS = 0.2
DRIVER = "driver"


class StorageProbe:
    """Probe of a run's storage on all nodes, and on those that join later. Needs a connection to Ray."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: set[str] = set()  # ids of nodes that were probed
        self._round: _Round | None = None

    def check(self, nodes: Mapping[str, str], interruption: Interruption) -> list[str]:
        """Check that all nodes see the same storage; a single node is not probed.

        Args:
            nodes: the name of each node that is up, by its id in Ray.
            interruption: checked while nodes are waited for.

        Returns:
            The names of nodes that did not answer in time.

        Raises:
            StorageError: naming the nodes that see another storage, or can't read or write it.
        """
        self._known.update(nodes)
        if len(nodes) < 2:
            return []
        probing = _Round(self.store, nodes)
        try:
            deadline = time.monotonic() + ANSWER_SECONDS
            while probing.waiting and time.monotonic() < deadline:
                interruption.check()
                probing.collect(POLL_SECONDS)
        finally:
            probing.close()
        if probing.faults:
            raise StorageError(
                f"storage '{self.store.uri}' can't be used by every node of the cluster ({probing.faults_by_node()}); "
                "give one that all nodes reach with --storage: a folder that they mount at the same path (NFS), or "
                "s3://bucket/path"
            )
        return [name for _, name in probing.waiting.values()]

    def look(self, nodes: Mapping[str, str]) -> list[str]:
        """Probe nodes that have joined, without waiting for them. Returns a line if some can't use the storage."""
        joined = {key: name for key, name in nodes.items() if key not in self._known}
        try:
            if self._round is None and joined:
                self._known.update(joined)
                self._round = _Round(self.store, joined)
            if self._round is None or not self._round.is_over():
                return []
        except StorageError:  # of this node, passing perhaps: stages tell of it if it lasts
            self.close()
            return []
        faults = self._round.faults_by_node()
        self.close()
        return [f"stages will fail on nodes that can't use the storage '{self.store.uri}' ({faults})"] if faults else []

    def close(self) -> None:
        """Give up a probe that is not over, and remove its files."""
        if self._round:
            self._round.close()
            self._round = None


@dataclass
class _Round:
    """One probe of some nodes: a file of the driver that each is to see, and one of each that the driver is to see."""

    store: Store
    nodes: Mapping[str, str]  # their names by their ids
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    faults: dict[str, str] = field(default_factory=dict)  # by the node's name
    waiting: dict[Any, tuple[str, str]] = field(default_factory=dict)  # id and name by reference
    started: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> str:
        return f".probe-{self.key}"

    def __post_init__(self) -> None:
        self.store.write_text(self.key, self.folder, DRIVER)
        for key, name in self.nodes.items():
            task = _probe.options(scheduling_strategy=NodeAffinitySchedulingStrategy(key, soft=False))
            self.waiting[task.remote(self.store.location, self.folder, self.key, key)] = (key, name)

    def collect(self, seconds: float) -> None:
        """Take the answers that are there, or come within some seconds."""
        for reference in ray.wait(list(self.waiting), num_returns=len(self.waiting), timeout=seconds)[0]:
            key, name = self.waiting.pop(reference)
            try:
                fault = ray.get(reference) or self._unseen(key)
            except ray.exceptions.RayTaskError as error:  # such as one of an import: the project is not there
                fault = str(error.cause).strip().splitlines()[-1]
            except ray.exceptions.RayError:  # the node was lost meanwhile
                continue
            if fault:
                self.faults[name] = fault

    def is_over(self) -> bool:
        """Whether every node has answered, or had its time to; does not wait for them."""
        self.collect(0)
        return not self.waiting or time.monotonic() > self.started + ANSWER_SECONDS

    def _unseen(self, node: str) -> str | None:
        """Returns a fault if what a node wrote is not seen here."""
        return None if _appears(self.store, self.folder, node, self.key) else "writes to another folder"

    def faults_by_node(self) -> str:
        return "; ".join(f"{name}: {fault}" for name, fault in sorted(self.faults.items()))

    def close(self) -> None:
        """Cancel what has not answered, and remove the files."""
        for reference in self.waiting:
            ray.cancel(reference, force=True)
        with suppress(StorageError):
            self.store.remove_folder(self.folder)


@ray.remote(num_cpus=0, max_retries=0)
def _probe(storage: str, folder: str, key: str, name: str) -> str | None:
    """Read what the driver wrote, and write a file for it to read. Returns the fault, if any."""
    try:
        store = Store(storage)
        if not _appears(store, folder, DRIVER, key):
            return "sees another folder there"
        store.write_text(key, folder, name)
    except StorageError as error:
        return str(error.__cause__ or error)
    return None


def _appears(store: Store, folder: str, name: str, content: str) -> bool:
    """Whether a file is there with its content, or comes within ``READ_SECONDS``."""
    deadline = time.monotonic() + READ_SECONDS
    while store.read_text(folder, name) != content:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
