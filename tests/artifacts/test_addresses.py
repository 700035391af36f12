"""Addresses of files in a storage, in the form that a shell and a browser can open."""

from __future__ import annotations

import shlex
import urllib.request
from pathlib import Path

import pytest

from orchestrator import report
from orchestrator.artifacts.addresses import address
from orchestrator.artifacts.store import Store
from orchestrator.report import storage
from tests.artifacts.stores import remote
from tests.examples import make_artifacts, planned
from tests.report.written import SIZES


def test_a_folder_s_address_is_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in ("runs", f"{tmp_path}/runs", f"file://{tmp_path}/runs"):
        assert address(Store(uri), "reports", "a-1") == f"{tmp_path}/runs/reports/a-1"


@pytest.mark.parametrize("name", ["my runs", "runs (2)", "a&b", "it's", "$HOME", "50%", "a#1", "a?b", "läufe 1", "a;b"])
def test_a_path_that_a_shell_would_split_is_printed_as_a_uri(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "page").write_text("here")
    found = address(Store(str(tmp_path / name)), "page")
    assert shlex.split(found) == [found] and shlex.quote(found) == found
    with urllib.request.urlopen(found) as opened:
        assert opened.read() == b"here"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("s3://bucket/runs?region=eu-west-1", "s3://bucket/runs/reports"),
        ("s3://bucket/runs/?endpoint_override=localhost:9000&scheme=http", "s3://bucket/runs/reports"),
        ("s3://name:secret@bucket/runs?region=eu-west-1", "s3://bucket/runs/reports"),
    ],
)
def test_an_object_s_address_is_its_uri_without_passwords_and_options(uri: str, shown: str) -> None:
    assert address(Store(uri), "reports") == shown


def test_a_report_s_page_has_its_address_in_an_object_store(tmp_path: Path) -> None:
    chosen, store = planned("methods=[labels]"), remote(tmp_path)
    page = report.write(chosen, store, make_artifacts(chosen, store), set(), SIZES)
    assert page == storage.rebuild(store) == f"remote://bucket/reports/{chosen.run_id}/report.html"
