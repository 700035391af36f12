"""The end of every command: one message and an exit code for any exception; a traceback only with ``--verbose``."""

from __future__ import annotations

import errno
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import dashboard, run, user_code, weights
from orchestrator.artifacts.store import StorageError
from orchestrator.datasets import DatasetError
from orchestrator.errors import BAD_INPUT, OptionError, PortError, UserError
from orchestrator.export import __main__ as export
from orchestrator.export.selection import ExportError
from orchestrator.interruption import INTERRUPTED
from orchestrator.last_resort import FAILED, run_command
from orchestrator.locations import PathError
from orchestrator.recipe.schema import RecipeError
from orchestrator.recipe.yaml_reading import YamlError
from orchestrator.report import __main__ as report
from orchestrator.training.weights.files import WeightsError

FILE = re.compile(r"its details are in (\S+orchestrator-error-\S+\.txt)")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def raising(error: BaseException) -> Callable[..., int]:
    def command(*_: object) -> int:
        raise error

    return command


def ended(error: BaseException, capsys: pytest.CaptureFixture[str], **options: Any) -> tuple[int, str]:
    """The exit code and standard error of a command that raises this."""
    code = run_command(raising(error), **options)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    "kind",
    [RecipeError, YamlError, DatasetError, StorageError, PathError, ExportError, WeightsError, OptionError, PortError],
)
def test_every_kind_of_bad_input_ends_with_its_message_and_exit_code_2(
    kind: type[UserError], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(kind("no such bucket"), capsys) == (2, "error: no such bucket\n")
    assert BAD_INPUT == 2


def test_user_defined_code_that_is_not_there_is_bad_input() -> None:
    with pytest.raises(UserError, match="there is no module"):
        user_code.load("nowhere:late")


@pytest.mark.parametrize("error", [ValueError("odd"), RuntimeError("odd")])
def test_other_errors_are_not_taken_for_bad_input(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(error, capsys)[0] == FAILED


def test_an_interruption_prints_that_finished_stages_are_cached(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(KeyboardInterrupt(), capsys, interrupted="all is kept") == (INTERRUPTED, "\nall is kept\n")


def test_a_bug_s_message_names_the_file_with_its_details_and_asks_for_a_report(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, said = ended(RuntimeError("odd\nstate"), capsys)
    assert code == FAILED
    assert "this is a bug of the program" in said and "RuntimeError: odd state" in said and "report it" in said
    assert "Traceback" not in said
    found = FILE.search(said)
    assert found is not None
    details = Path(found.group(1)).read_text()
    assert "Traceback" in details and "in command" in details and "command: " in details and "numpy " in details


def test_verbose_shows_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Traceback" in ended(RuntimeError("odd"), capsys, verbose=True)[1]


def test_details_that_can_t_be_written_cost_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    code, said = ended(RuntimeError("odd"), capsys)
    assert code == FAILED and "RuntimeError: odd" in said and "--verbose shows them" in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "a disk is full"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "the Python package torch can't be imported"),
        (MemoryError(), "out of memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "an error of the operating system"),
    ],
)
def test_faults_of_the_machine_are_not_called_defects(
    error: Exception, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = ended(error, capsys)
    assert code == FAILED and words in said and "defect" not in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("module", "inner", "arguments"),
    [
        (run, "_run", []),
        (report, "_do", ["runs"]),
        (dashboard, "_serve", []),
        (export, "_export", []),
        (weights, "_run", ["checkpoint.pth"]),
    ],
)
def test_every_command_reports_an_unexpected_error_in_one_line(
    module: Any, inner: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, inner, raising(LookupError("odd")))
    assert module.main(arguments) == FAILED
    said = capsys.readouterr().err
    assert "LookupError: odd" in said and FILE.search(said) and "Traceback" not in said
    assert module.main([*arguments, "--verbose"]) == FAILED
    assert "Traceback" in capsys.readouterr().err
