"""Start of a local Ray on unusual machines: another temporary folder, another place for the token."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.execution.ray_connection import _messenger, _output, _reason
from orchestrator.execution.ray_folder import prepare_folder
from orchestrator.execution.ray_token import find_token, prepare_token
from orchestrator.interruption import Interruption
from orchestrator.recipe.schema import RecipeError
from tests.examples import ROOT

OTHER = f"/tmp/ray-{os.getuid()}"


# -- its folder --------------------------------------------------------------------------------------------------


@pytest.fixture
def short() -> str:
    """A folder whose path is short enough; those of tests are not."""
    import tempfile

    return tempfile.mkdtemp(prefix="t-", dir="/tmp")


def test_a_usable_folder_is_not_changed(short: str) -> None:
    for name in ("RAY_TMPDIR", "TMPDIR"):
        variables = {name: short}
        assert prepare_folder(variables) is None and variables == {name: short}


def spoil_by_length(folder: str) -> str:
    return f"{folder}/{'long' * 20}"


def spoil_by_a_file(folder: str) -> str:
    (Path(folder) / "ray").write_text("x")
    return folder


def spoil_by_being_a_file(folder: str) -> str:
    path = Path(folder) / "file"
    path.write_text("x")
    return str(path)


SPOILT = [spoil_by_length, spoil_by_a_file, spoil_by_being_a_file]


@pytest.mark.parametrize("spoil", SPOILT)
def test_an_unusable_default_folder_is_replaced_and_reported(spoil: object, short: str) -> None:
    folder = spoil(short)  # type: ignore[operator]
    variables = {"TMPDIR": folder}
    line = prepare_folder(variables)
    assert line is not None and f"{folder}/ray" in line and OTHER in line and variables["RAY_TMPDIR"] == OTHER


@pytest.mark.parametrize("spoil", SPOILT)
def test_an_unusable_folder_that_the_user_named_is_refused_not_replaced(spoil: object, short: str) -> None:
    folder = spoil(short)  # type: ignore[operator]
    with pytest.raises(RecipeError, match=f"RAY_TMPDIR is '{folder}'.*set it to a writable folder with a short path"):
        prepare_folder({"RAY_TMPDIR": folder})


def test_a_relative_folder_is_refused() -> None:
    with pytest.raises(RecipeError, match="not an absolute path"):
        prepare_folder({"RAY_TMPDIR": "temporary"})


# -- its token ---------------------------------------------------------------------------------------------------


def test_ray_writes_its_token_where_there_is_a_home(tmp_path: Path) -> None:
    variables = {"HOME": str(tmp_path)}
    prepare_token(variables)
    assert variables == {"HOME": str(tmp_path)}


@pytest.mark.parametrize("home", ["/dev/null", "/proc/1", None])
def test_without_a_home_that_can_be_written_the_token_is_in_the_environment(home: str | None) -> None:
    variables = {"HOME": home} if home else {}
    prepare_token(variables)
    assert len(variables["RAY_AUTH_TOKEN"]) == 64
    assert find_token(variables) == variables["RAY_AUTH_TOKEN"]


def test_without_authentication_no_token_is_created() -> None:
    variables = {"RAY_AUTH_MODE": "disabled"}
    prepare_token(variables)
    assert variables == {"RAY_AUTH_MODE": "disabled"}


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"RAY_AUTH_MODE": "yes"}, "RAY_AUTH_MODE is 'yes'; set it to token or disabled"),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere/token"}, "RAY_AUTH_TOKEN_PATH is '/nowhere/token', which can't be read"),
        ({"RAY_AUTH_TOKEN_PATH": "/dev/null"}, "RAY_AUTH_TOKEN_PATH is '/dev/null', which is empty"),
    ],
)
def test_settings_that_would_end_ray_are_refused(variables: dict[str, str], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        prepare_token(variables)


# -- what it says ------------------------------------------------------------------------------------------------


def test_output_of_c_code_is_captured_and_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with _output(shown=False) as kept:
        os.write(1, b"E 00:00 redis_context.cc: an error\n")
        os.write(2, b"W 00:00 gcs_rpc_client.cc: a warning\n")
        kept.seek(0)
        assert kept.read().count("\n") == 2
    os.write(2, b"after\n")
    assert capfd.readouterr() == ("", "after\n")


DYING = """
import os, signal
from orchestrator.interruption import Interruption
from orchestrator.execution.ray_connection import _messenger, _output
with Interruption() as stop, _output(False) as kept, _messenger("Ray can't be started", kept.name, stop):
    os.write(2, b"C 00:00 redis_store_client.cc: no Redis\\n/lib/libc.so.6 abort()\\n")
    os.abort()
"""


def test_an_exit_by_ray_s_c_code_is_reported_with_the_end_of_its_output() -> None:
    done = subprocess.run([sys.executable, "-c", DYING], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGABRT
    assert "error: Ray can't be started: Ray ended the program" in done.stderr
    assert "redis_store_client.cc: no Redis" in done.stderr and "libc" not in done.stderr


def test_a_successful_connection_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with Interruption() as interruption, _output(False) as kept, _messenger("x", kept.name, interruption):
        pass
    assert capfd.readouterr() == ("", "")


def test_the_reason_is_the_first_cause_on_one_line() -> None:
    error = ConnectionError("Failed to connect")
    error.__cause__ = RuntimeError("\x1b[31mVersion\x1b[0m mismatch:\n  2.60.0\n  2.50.0")
    assert _reason(error) == "Version mismatch: 2.60.0 2.50.0"
