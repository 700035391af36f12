"""Failures of a storage that pass: told apart from those that last, and tried again for a bounded time."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from orchestrator.storage import outages
from orchestrator.storage.outages import passes, persistently, reason
from orchestrator.storage.storage import CONNECT_SECONDS, SILENT_SECONDS, Storage, StorageError

RESET = OSError(
    "When reading information for key 'x' in bucket 'b': AWS Error NETWORK_CONNECTION during HeadObject operation: "
    "curlCode: 52, Server returned nothing (no headers, no data); Details: Empty reply from server"
)
SLOW_DOWN = OSError(
    "When initiating multiple part upload for key 'w' in bucket 'b': AWS Error SLOW_DOWN during CreateMultipartUpload "
    "operation: Please reduce your request rate. (Request ID: b6GOO4eYv0)"
)


@pytest.mark.parametrize(
    "error",
    [
        RESET,
        SLOW_DOWN,
        OSError("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation: No response body."),
        OSError("google::cloud::Status(UNAVAILABLE: Retry policy exhausted)"),
        TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
        OSError(errno.ESTALE, "Stale file handle"),
    ],
    ids=lambda error: str(error)[-40:],
)
def test_resets_time_outs_and_busy_services_pass(error: OSError) -> None:
    assert passes(error)


@pytest.mark.parametrize(
    "error",
    [
        OSError("AWS Error ACCESS_DENIED during PutObject operation: Access Denied"),
        OSError("AWS Error NO_SUCH_BUCKET during CreateMultipartUpload operation: The bucket does not exist"),
        OSError("AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 60, SSL peer certificate"),
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        FileNotFoundError(errno.ENOENT, "no such file"),
        ValueError("HTTP status 503"),
    ],
    ids=lambda error: str(error)[-40:],
)
def test_refused_access_missing_buckets_bad_certificates_and_full_disks_last(error: Exception) -> None:
    assert not passes(error)


def test_the_reason_is_one_line_without_the_request_id() -> None:
    assert reason(RESET) == "Empty reply from server"
    assert reason(SLOW_DOWN).endswith("Please reduce your request rate")


def failing(*errors: Exception) -> Callable[[], str]:
    """An operation that raises each error in turn, and then succeeds."""
    waiting = list(errors)

    def operation() -> str:
        if waiting:
            raise waiting.pop(0)
        return "done"

    return operation


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept, on a clock that only sleeping moves."""
    slept: list[float] = []
    monkeypatch.setattr(outages.time, "sleep", slept.append)
    monkeypatch.setattr(outages.time, "monotonic", lambda: sum(slept))
    return slept


def test_an_operation_is_tried_again_after_growing_pauses_while_its_failures_pass(pauses: list[float]) -> None:
    seen: list[OSError] = []
    assert persistently(failing(*[RESET] * 8), 90, seen.append) == "done"
    assert seen == [RESET] * 8 and len(pauses) == 8
    assert pauses[0] <= 0.5 and 4 <= pauses[-1] <= 8


def test_an_operation_that_fails_for_good_raises_its_last_failure_within_the_time(pauses: list[float]) -> None:
    with pytest.raises(OSError, match="Empty reply"):
        persistently(failing(*[RESET] * 1000), 90, lambda error: None)
    assert 80 < sum(pauses) <= 90


def test_a_failure_that_lasts_is_raised_at_once(pauses: list[float]) -> None:
    with pytest.raises(PermissionError):
        persistently(failing(PermissionError(errno.EACCES, "no")), 90, lambda error: None)
    assert pauses == []


@pytest.mark.parametrize("access", ["reading", "writing"])
def test_a_storage_that_does_not_answer_is_one_line_that_names_it_and_the_cause(
    access: str, pauses: list[float]
) -> None:
    said: list[str] = []
    place = Storage("/runs", warn=said.append)
    with pytest.raises(StorageError) as error:
        getattr(place, access)(failing(*[SLOW_DOWN] * 1000))
    assert str(error.value).startswith("storage '/runs' does not answer within 90 s: ")
    assert "reduce your request rate" in str(error.value) and "\n" not in str(error.value)
    assert set(said) == {f"storage '/runs' fails and is tried again for 90 s: {reason(SLOW_DOWN)}"}


def test_an_impatient_access_is_tried_once(pauses: list[float]) -> None:
    with pytest.raises(StorageError, match="does not answer: Empty reply"):
        Storage("/runs").impatient().reading(failing(RESET))
    assert pauses == []


def test_the_client_of_s3_has_time_outs_and_the_options_of_the_uri() -> None:
    place = Storage("s3://key:secret@bucket/runs?endpoint_override=localhost:9&scheme=http&region=eu-west-1")
    _, (options,) = place.filesystem.__reduce__()
    assert (options["connect_timeout"], options["request_timeout"]) == (CONNECT_SECONDS, SILENT_SECONDS)
    assert (options["endpoint_override"], options["scheme"], options["region"]) == ("localhost:9", "http", "eu-west-1")
    assert (options["access_key"], options["secret_key"]) == ("key", "secret")
    assert place.root == "bucket/runs"
