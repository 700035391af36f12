"""A stage's job as a process receives it: spec, artifacts of its inputs, placement, and receiver of its status."""

from __future__ import annotations

import dataclasses
import platform
import socket
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from orchestrator.artifacts.cache import Cache
from orchestrator.artifacts.store import Artifact, FileRecord, StorageError, Store, short
from orchestrator.pipeline.graph import Failure
from orchestrator.pipeline.inputs import expert_role
from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.resources import Resources
from orchestrator.stages.errors import BlockedError, MachineFaultError, StageError
from orchestrator.stages.faults import fault_class
from orchestrator.stages.status import Fault, NoStatusReceiver, Status, StatusReceiver
from orchestrator.storage.full_disk import full_disk_message, is_full_disk
from orchestrator.tracking.settings import Tracking

PACKAGES = ("ray", "torch", "torchvision", "timm", "numpy", "pyarrow", "optuna")


@contextmanager
def storage_faults(storage: str) -> Iterator[None]:
    """Turns errors of the storage, and of a disk that is full, into a StageError.

    Raises:
        StageError: with one line that says what to do; a MachineFaultError where the work may be done elsewhere.
    """
    try:
        yield
    except MachineFaultError:
        raise
    except Exception as error:
        if is_full_disk(error):
            raise StageError(full_disk_message(storage)) from error
        if isinstance(error, StageError | StorageError) and fault_class(error) == "machine":
            raise MachineFaultError(str(error)) from error
        raise


def with_place(error: BaseException) -> str:
    """Returns an error's type and message with the file, line and function that raised it."""
    said = f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return said
    return f"{said} ({Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name})"


SYSTEM_RETRIES = 3  # of Ray Train, which starts all workers again when one dies or raises


@dataclass(frozen=True)
class Job:
    """One stage's work.

    ``inputs`` are artifacts by role; ``dataset_root`` is where an image_folder's files lie; ``recipe`` is its name.
    """

    kind: str
    name: str
    identity: str
    spec: dict[str, Any]
    inputs: dict[str, Artifact]
    storage: str
    dataset_root: str
    resources: Resources
    placement: Placement = field(default_factory=Placement)
    facts: Facts = field(default_factory=Facts)
    recipe: str = ""
    tracking: Tracking | None = None
    status: StatusReceiver = field(default_factory=NoStatusReceiver)
    began: float = field(default_factory=time.time)  # when the stage's task was started, its inputs being there
    processor_began: float = field(default_factory=time.process_time)  # what its process had spent by then

    def with_inputs(self, upstream: Mapping[str, Artifact | Failure | Fault], start_up: float = 0.0) -> Job:
        """The job with its inputs by role, as work that begins now, after ``start_up`` seconds for its process.

        Raises:
            BlockedError: when one of them is none.
        """
        for item in upstream.values():
            if isinstance(item, Failure):
                raise BlockedError(item.blocked_by or item.stage)
            if isinstance(item, Fault):  # it is tried again, and this stage after it
                raise BlockedError(item.stage)
        return dataclasses.replace(
            self, inputs=dict(upstream),  # type: ignore[arg-type]
            began=time.time() - start_up, processor_began=time.process_time() - start_up,
        )  # fmt: skip

    def processor_seconds(self) -> float:
        """Returns the CPU time that the stage's process has spent on it."""
        return time.process_time() - self.processor_began

    @property
    def short_identity(self) -> str:
        """A prefix of the identity that distinguishes log folders of one name."""
        return short(self.identity)

    @property
    def store(self) -> Store:
        """The store, opened in the calling process."""
        return Store(self.storage, warn=lambda text: self.note("storage", text))

    def folders(self) -> dict[str, Path]:
        """Returns folders of this node for the inputs' files (``FolderFiles``), by role."""
        store, cache = self.store, Cache.of(self.resources.cache, self.resources.cache_gb)
        return {role: store.fetch(artifact, cache) for role, artifact in self.inputs.items()}

    def networks_of(self, experts: Iterable[str]) -> dict[str, NetworkSpec]:
        """Returns the network of each expert that is an input itself, not by its score, by its label."""
        roles = {label: expert_role(label) for label in experts}
        return {
            label: NetworkSpec.from_plain(self.inputs[role].spec["network"])
            for label, role in roles.items()
            if role in self.inputs
        }

    def say(self, **status: Any) -> None:
        """Post this stage's status."""
        self.status.post(self.name, cast(Status, status | _this_node()))

    def note(self, part: str, text: str) -> None:
        """Post a warning about an error that does not fail the stage."""
        self.status.post(f"{self.name}: {part}", {"doing": text})

    def commit(
        self, scratch: Path, start: float, results: dict[str, Any], slot_seconds: float | None = None, width: int = 1,
        placed: Mapping[str, FileRecord] | None = None,
    ) -> Artifact:  # fmt: skip
        """Commit what ``scratch`` holds as this stage's artifact; ``start`` is when the work began (unix seconds).

        ``placed`` are files that lie in the artifact's folder already.

        ``slot_seconds`` is what it took, added up over the ``width`` workers that it could use at once, with the start
        of their processes; where it is not given, the stage's own process did all of it.
        """
        artifact = Artifact(
            identity=self.identity,
            kind=self.kind,
            name=self.name,
            spec=self.spec,
            inputs={role: artifact.identity for role, artifact in self.inputs.items()},
            start=start,
            end=time.time(),
            node=socket.gethostname(),
            results=results | {"cost": self._cost(slot_seconds, width)},
            versions=versions(),
        )
        return self.store.commit(artifact, scratch, placed)

    def extend(
        self, earlier: Artifact, scratch: Path, start: float, slot_seconds: float | None = None, width: int = 1
    ) -> Artifact:
        """Add the files of ``scratch`` to this stage's artifact of an earlier run.

        Its results stay, but for the cost: it is that of this work, beside ``earlier_slot_seconds``. Arguments are
        those of ``commit``.
        """
        cost = self._cost(slot_seconds, width) | {"earlier_slot_seconds": round(earlier.slot_seconds or 0.0, 3)}
        results = earlier.results | {"cost": cost}
        return self.store.extend(dataclasses.replace(earlier, start=start, end=time.time(), results=results), scratch)

    def _cost(self, slot_seconds: float | None, width: int) -> dict[str, float]:
        took = time.time() - self.began if slot_seconds is None else slot_seconds
        return {"slot_seconds": round(took, 3), "width": width}


def _this_node() -> dict[str, str]:
    found = {"node": socket.gethostname()}
    ray = sys.modules.get("ray")
    if ray and ray.is_initialized():
        found["node_id"] = ray.get_runtime_context().get_node_id()
    return found


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
