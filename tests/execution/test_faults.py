"""Classes of failure, and how often work is tried again."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest
import ray.exceptions
import torch
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError, WorkerHealthCheckTimeoutError
from ray.train.v2.api.exceptions import WorkerGroupError

from orchestrator.artifacts.store import StorageError
from orchestrator.datasets.spec import DatasetError
from orchestrator.stages.errors import MachineFaultError, StageError
from orchestrator.stages.faults import MOST_RETRIES, Attempts, checkpoint_time, fault_class, one_line
from orchestrator.stages.job import storage_faults
from orchestrator.training.errors import TrainingDivergedError
from tests.artifacts.stores import DownStore


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def of_workers(*errors: Exception) -> WorkerGroupError:
    return WorkerGroupError("a trace that names CUDA error", dict(enumerate(errors)))


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        ConnectionResetError("Connection reset by peer"),
        TimeoutError("S3 does not answer"),
        FileNotFoundError("not the same storage on this node"),
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("NCCL communicator was aborted on rank 1."),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("DataLoader worker (pid 7) is killed by signal: Bus error."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
        StorageError("storage 's3://b' can't be written: reset"),
        caused(StageError("the stage"), StorageError("storage 's3://b' can't be read: reset")),
        caused(StageError("the stage"), torch.OutOfMemoryError("CUDA out of memory.")),
        ray.exceptions.WorkerCrashedError(),
        ray.exceptions.NodeDiedError("the node died"),
        ray.exceptions.RayTaskError("score", "traceback", OSError("reset")),
        of_workers(OSError("reset"), RuntimeError("[gloo] Connection closed by peer")),
        of_workers(
            WorkerHealthCheckFailedError("a worker", ray.exceptions.ActorDiedError()), RuntimeError("[gloo] reset")
        ),
        of_workers(WorkerHealthCheckTimeoutError("a worker")),
        pickle.loads(pickle.dumps(MachineFaultError("storage 's3://b' can't be read: reset"))),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:50],
)
def test_faults_of_a_machine(error: BaseException) -> None:
    assert fault_class(error) == "machine"


@pytest.mark.parametrize(
    "error",
    [
        caused(StageError("the loss was no longer finite"), TrainingDivergedError("nan")),
        StageError("the logits are too large for fp16"),
        caused(DatasetError("photo a.jpg is broken"), OSError("truncated")),
        OSError(errno.ENOSPC, "No space left on device"),  # it would be full again
        caused(StageError("storage is full"), OSError(errno.ENOSPC, "No space left on device")),
        StageError("the network of the user says: out of memory"),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:50],
)
def test_results_of_the_recipe(error: BaseException) -> None:
    assert fault_class(error) == "result"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        RuntimeError("shapes differ"),
        AssertionError(),
        TypeError("no"),
        of_workers(RuntimeError("[gloo] Connection closed by peer"), KeyError("a")),  # the second has failed first
        ray.exceptions.RayTaskError("score", "a trace that names NCCL", RuntimeError("shapes differ")),
    ],
    ids=lambda error: f"{type(error).__name__}: {error}"[:50],
)
def test_anything_else_is_a_defect(error: BaseException) -> None:
    assert fault_class(error) == "defect"


def test_a_fault_is_told_in_one_line() -> None:
    memory = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nMore words")
    assert one_line(caused(StageError("the stage"), memory)) == "CUDA out of memory. Tried to allocate 20.00 MiB."
    assert one_line(OSError("reset")) == "OSError: reset"
    assert one_line(MemoryError()) == "MemoryError"


def test_work_without_progress_is_tried_again_three_times() -> None:
    attempts = Attempts()
    assert [attempts.may_go_on(None) for _ in range(MOST_RETRIES + 1)] == [True] * MOST_RETRIES + [False]


def test_a_later_checkpoint_starts_a_new_count() -> None:
    attempts = Attempts()
    assert all(attempts.may_go_on(checkpoint=float(n)) for n in range(100))
    assert [attempts.may_go_on(checkpoint=99.0) for _ in range(MOST_RETRIES)] == [True] * (MOST_RETRIES - 1) + [False]


def test_the_number_of_retries_is_told() -> None:
    attempts = Attempts()
    attempts.may_go_on(None)
    assert str(attempts) == "tried again (1 of 3)"


def test_a_fault_of_the_storage_keeps_its_class_on_the_way_to_another_process() -> None:
    with pytest.raises(MachineFaultError, match="can't be read: reset"), storage_faults("s3://b"):
        raise caused(StageError("storage 's3://b' can't be read: reset"), StorageError("reset"))
    with pytest.raises(MachineFaultError, match="reset"), storage_faults("s3://b"):
        raise StorageError("reset")


def test_retries_outlast_a_storage_that_is_down_for_half_a_minute() -> None:
    attempts, pauses = Attempts(), []
    while attempts.may_go_on(None):
        pauses.append(attempts.pause)
    assert pauses == [5.0, 10.0, 20.0]


def test_a_checkpoint_in_a_storage_that_does_not_answer_is_as_good_as_none(tmp_path: Path) -> None:
    assert checkpoint_time(DownStore(tmp_path), "train-0") is None
