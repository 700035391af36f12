"""Classes of failure: a result of the recipe, a fault of a machine, or a defect.

Only a ``result`` says something of the recipe: a loss that diverged, a broken image, weights that do not fit. A fault
of a ``machine`` (storage, memory, device, network, a lost process) says nothing of the work, which is tried again
elsewhere, in another process. Anything else is a ``defect``, of the program or of user-defined code.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from orchestrator.artifacts.store import StorageError, Store
from orchestrator.errors import UserError
from orchestrator.stages.errors import MachineFaultError, StageError
from orchestrator.storage.full_disk import is_full_disk
from orchestrator.training.errors import TrainingDivergedError

MOST_RETRIES = 3  # of work that makes no progress
RETRY_SECONDS = 5.0  # before the first of them; each further one comes after twice as long
FaultClass = Literal["result", "machine", "defect"]
# Libraries below Python raise RuntimeError, or classes of their own, for what the machine did.
WORDS = re.compile(
    r"out of memory|CUDA error|CUDA driver|device-side assert|cuda runtime error|CUBLAS_STATUS|CUDNN_STATUS"
    r"|NCCL|uncorrectable ECC|unable to open shared memory|bus error|can't allocate memory|cannot allocate memory"
    r"|gloo|connection (was )?(closed|reset|refused)|timed out waiting for clients|No space left",
    re.IGNORECASE,
)
TYPES_BY_NAME = {
    # of torch
    "OutOfMemoryError", "AcceleratorError", "DistBackendError", "DistNetworkError", "DistStoreError",
    # of Ray: the process or its node is gone
    "WorkerCrashedError", "NodeDiedError", "ActorDiedError", "ActorUnavailableError", "RayActorError",
    "LocalRayletDiedError", "ObjectLostError", "ObjectFetchTimedOutError", "OwnerDiedError", "OutOfDiskError",
    "RaySystemError", "TaskPlacementGroupRemoved", "ActorPlacementGroupRemoved", "ReferenceCountingAssertionError",
    "ObjectReconstructionFailedError", "ObjectReconstructionFailedMaxAttemptsExceededError",
    # of Ray Train: a worker does not answer
    "WorkerHealthCheckTimeoutError",
}  # fmt: skip


@dataclass
class Attempts:
    """Faults that one piece of work met since its last checkpoint.

    Attributes:
        faults: their number.
        checkpoint: when the checkpoint was written that the last attempt began with, or left.
    """

    faults: int = 0
    checkpoint: float | None = None

    def may_go_on(self, checkpoint: float | None) -> bool:
        """Count a fault; returns whether the work is to be tried again.

        Args:
            checkpoint: when its last checkpoint was written; a later one than at the last fault starts a new count.
        """
        if checkpoint is not None and (self.checkpoint is None or checkpoint > self.checkpoint):
            self.faults, self.checkpoint = 0, checkpoint
        self.faults += 1
        return self.faults <= MOST_RETRIES

    @property
    def pause(self) -> float:
        """Seconds before the next attempt: a fault of the storage is one of every place at once, and passes."""
        return float(RETRY_SECONDS * 2 ** (self.faults - 1))

    def __str__(self) -> str:
        return f"tried again ({self.faults} of {MOST_RETRIES})"


def checkpoint_time(store: Store, identity: str) -> float | None:
    """Returns when the last checkpoint of a training was written; None without one, or where that can't be read."""
    try:
        return store.impatient().checkpoint_time(identity)
    except StorageError:  # the fault itself, perhaps; what asks must not wait until that has passed
        return None


def fault_class(error: BaseException) -> FaultClass:
    """Returns the class of an error, by the outermost of it and its causes that decides.

    A full disk is no fault to be tried again: it is reported as ``full_disk_message`` says.
    """
    if is_full_disk(error):
        return "result"
    for item in _chain(error):
        if isinstance(item, TrainingDivergedError):
            return "result"
        if isinstance(item, UserError) and not isinstance(item, StorageError):
            return "result"
        if _is_of_machine(item):
            return "machine"
    return "result" if isinstance(error, StageError) else "defect"


def one_line(error: BaseException) -> str:
    """Returns the innermost decisive error on one line, without a stack trace."""
    found = next((item for item in _chain(error) if _is_of_machine(item)), error)
    text, kind = str(found).strip().partition("\n")[0], type(found).__name__
    if not text:
        return kind
    return text if isinstance(found, StorageError | StageError) or WORDS.search(text) else f"{kind}: {text}"


def this_place() -> str:
    """Returns the host of this process, with the GPU that Ray gave it, if any."""
    import ray

    gpus = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    return socket.gethostname() + (f" (GPU {', '.join(gpus)})" if gpus else "")


def _is_of_machine(error: BaseException) -> bool:
    names = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, MachineFaultError | StorageError | OSError | MemoryError) or names & TYPES_BY_NAME:
        return True
    if isinstance(error, StageError) or hasattr(error, "cause") or hasattr(error, "worker_failures"):
        return False  # their texts hold the traces of other errors
    return isinstance(error, RuntimeError) and bool(WORDS.search(str(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and its explicit causes, outermost first.

    Ray keeps the error of a worker in ``cause``, Ray Train those of its workers, of its controller and of a worker that
    is gone likewise.
    """
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        of_workers = sorted(
            getattr(error, "worker_failures", {}).values(),
            key=lambda failure: fault_class(failure) == "machine",  # the others lose their connection to one that fails
        )
        of_ray = (getattr(error, name, None) for name in ("cause", "controller_failure", "health_check_failure"))
        error = error.__cause__ or next(filter(None, of_ray), None) or next(iter(of_workers), None)
