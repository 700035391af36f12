"""Paths and URIs in recipes and on command lines: checked and expanded alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import dashboard
from orchestrator.artifacts.store import StorageError, Store
from orchestrator.export import __main__ as export
from orchestrator.locations import PathError, checked_uri, folder_name, folder_or_uri, local_path
from orchestrator.report import __main__ as report
from orchestrator.run import main
from tests.examples import TINY, refusal, tiny

HOME = "/home/someone"
BAD = {
    "": "which is empty",
    "  ": "which is empty",
    "a\0b": "with the control character '\\x00'",
    "a\nb": "with the control character '\\n'",
    "caf\udce9": "which is not UTF-8",
    "s3:/bucket/a": "which lacks a part of '://'",
    "s3:bucket": "which lacks a part of '://'",
    "gs//bucket": "which lacks a part of '://'",
    "file:/tmp/a": "which lacks a part of '://'",
    "C:\\runs": "which lacks a part of '://'",
    "~no-such-user/a": "no such user's home folder is known",
    "a" * 256: "with a name of more than 255 bytes",
    "a/" * 2050: "4100 bytes long; give one of at most",
}
BAD_URIS = {
    "s3://bucket/../other": "treat '.' and '..' as folder names",
    "s3://bucket/./a": "treat '.' and '..' as folder names",
    "file:///tmp/a#b": "a URI ends at '#'",
    "file:///tmp/a?b": "a URI ends at '#', and file:// at '?'",
    "s3://bucket/" + "a" * 1024: "1036 bytes long; give one of at most 1024",
}


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", HOME)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~", HOME),
        ("~/runs", f"{HOME}/runs"),
        ("runs", "runs"),
        ("../runs", "../runs"),
        ("./~", "./~"),
        ("/a b/c=d/é", "/a b/c=d/é"),
        ("run:1", "run:1"),
        ("./s3:/a", "./s3:/a"),
    ],
)
def test_a_path_is_taken_as_it_is_with_the_home_folder_written_out(given: str, path: str) -> None:
    assert local_path(given) == folder_or_uri(given) == path
    assert local_path(path) == path


@pytest.mark.parametrize(
    "given", ["s3://bucket/a", "s3://bucket/a?endpoint_override=b:1", "file:///a%23b", "mlflow-server"]
)
def test_a_whole_uri_is_left_as_it_is(given: str) -> None:
    assert checked_uri(given) == folder_or_uri(given) == given


@pytest.mark.parametrize("read", [local_path, folder_or_uri])
@pytest.mark.parametrize(("given", "problem"), BAD.items())
def test_names_that_no_file_system_allows_are_refused(read: Callable[[str], str], given: str, problem: str) -> None:
    with pytest.raises(PathError) as refused:
        read(given)
    message = str(refused.value)
    assert problem in message
    assert "\n" not in message and len(message) < 250


@pytest.mark.parametrize("read", [folder_or_uri, checked_uri])
@pytest.mark.parametrize(("given", "problem"), BAD_URIS.items())
def test_a_uri_that_would_be_read_as_another_place_is_refused(
    read: Callable[[str], str], given: str, problem: str
) -> None:
    with pytest.raises(PathError) as refused:
        read(given)
    assert problem in str(refused.value)


def test_a_folder_leaves_room_for_what_is_stored_in_it() -> None:
    assert local_path("/ab" * 1300)
    with pytest.raises(PathError, match="3900 bytes long; give one of at most 3583"):
        folder_or_uri("/ab" * 1300)


def test_a_path_can_not_be_a_uri_where_files_are_opened() -> None:
    with pytest.raises(PathError, match="a URI; give a path on a file system that is mounted here"):
        local_path("s3://bucket/a")


@pytest.mark.parametrize("given", ["", "..", "a/b", "/", "a" * 256, "a\udce9"])
def test_the_name_of_a_folder_is_one_name(given: str) -> None:
    with pytest.raises(PathError):
        folder_name(given)


# -- wherever they stand -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["''", "s3:/bucket", "s3://bucket/a", "~no-such-user/a"])
@pytest.mark.parametrize(
    ("override", "field"),
    [
        ("dataset.root={}", "dataset.root"),
        ("ladder.networks[0].weights={}", "ladder.networks[0].weights"),
        ("ladder.networks=[{{name: a, weights: {}}}, b]", "ladder.networks[0].weights"),
    ],
)
def test_a_path_in_a_recipe_is_refused_by_its_field(given: str, override: str, field: str) -> None:
    assert refusal(override.format(given)).startswith(
        f"{field}: found {given!r}" if given != "''" else f"{field}: found ''"
    )


def test_paths_in_a_recipe_have_the_home_folder_written_out() -> None:
    recipe = tiny("dataset.root=~/photos", "ladder.networks[0].weights=~/teacher.safetensors")
    assert recipe.dataset.root == f"{HOME}/photos"
    assert recipe.ladder.networks[0].weights == f"{HOME}/teacher.safetensors"


@pytest.mark.parametrize("given", ["''", "http:/host:5000"])
def test_an_address_of_a_tracking_server_is_whole(given: str) -> None:
    assert refusal("tracking=mlflow", f"tracking_uri={given}").startswith("tracking_uri: found '")


@pytest.mark.parametrize("given", ["../other", "''", "a/b"])
def test_an_earlier_search_is_named_by_its_folder_alone(given: str) -> None:
    assert refusal(f"search.warm_start=[{given}]").startswith("search.warm_start[0]: found '")


@pytest.mark.parametrize(("given", "problem"), (BAD | BAD_URIS).items())
def test_a_storage_is_refused_before_it_is_opened(given: str, problem: str) -> None:
    with pytest.raises(StorageError, match=r"^storage: found ") as refused:
        Store(given)
    assert problem in str(refused.value)


def test_a_storage_below_the_home_folder_is_expanded() -> None:
    assert Store("~/runs").root == f"{HOME}/runs"


@pytest.mark.parametrize("given", ["", "s3:/bucket"])
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (main, [TINY, "--dry-run", "--storage", "{}"]),
        (report.main, ["{}"]),
        (dashboard.main, ["--storage", "{}"]),
        (dashboard.main, ["{}"]),
        (export.main, ["--storage", "{}"]),
        (export.main, ["--out", "{}"]),
        (export.main, ["--dataset-root", "{}"]),
        (export.main, ["{}"]),
        (report.main, [".", "{}"]),
    ],
)
def test_every_command_refuses_such_a_path_in_one_line(
    command: Callable[[list[str]], int], arguments: list[str], given: str,
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert command([argument.format(given) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert f"found {given!r}" in error
    assert error.startswith("error: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
