"""Optuna Dashboard on a run: its studies, and the command with and without the package."""

from __future__ import annotations

import json
import socket
import sys
import threading
import types
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import optuna
import pytest

from orchestrator import dashboard, report
from orchestrator.tracking import optuna_dashboard
from orchestrator.tracking.optuna_dashboard import Studies, serve
from tests.report.examples import run_of, trials
from tests.report.written import SIZES


def content_of(folder: Path, *overrides: str) -> Any:
    chosen, store, artifacts = run_of(folder, "search.methods=null", *overrides)
    return json.loads(json.dumps(report.build(chosen, store, artifacts, set(), SIZES)))


def values(studies: Studies, method: str) -> list[float | None]:
    return [trial.value for trial in optuna.load_study(study_name=method, storage=studies.storage).trials]


def test_every_search_of_a_run_is_a_study_named_by_its_method(tmp_path: Path) -> None:
    studies, content = Studies(), content_of(tmp_path, "methods=[kd, ces_kd]")
    studies.update(content)
    assert {study.study_name for study in optuna.get_all_study_summaries(studies.storage)} == {"kd", "ces_kd"}
    assert values(studies, "kd") == [trial["validation_accuracy"] for trial in trials()]
    study = optuna.load_study(study_name="kd", storage=studies.storage)
    assert study.user_attrs == {"method": "kd", "run": content["run"]["id"]}


def test_a_search_over_the_experts_of_a_ladder_is_shown_too(tmp_path: Path) -> None:
    content = content_of(tmp_path, "methods=[ces_kd]", "search.space.experts=any", "ladder.seeds=[0, 1]")
    shown = content["searches"]["ces_kd"]["trials"][0]
    shown["config"] |= {"experts": "plain_cnn_4+plain_cnn_8"}
    studies = Studies()
    studies.update(content)
    first = optuna.load_study(study_name="ces_kd", storage=studies.storage).trials[0]
    assert first.params["experts"] == "plain_cnn_4+plain_cnn_8"


def test_a_search_over_tables_is_shown_with_the_expert_of_each_stratum(tmp_path: Path) -> None:
    content = content_of(tmp_path, "methods=[ces_kd]", "search.space.selectors=[stratified, table]")
    table = {"table[0]": "plain_cnn_4", "table[1]": "plain_cnn_8", "table[2]": "plain_cnn_8"}
    content["searches"]["ces_kd"]["trials"][0]["config"] |= {"selector": "table", **table}
    studies = Studies()
    studies.update(content)
    first = optuna.load_study(study_name="ces_kd", storage=studies.storage).trials[0]
    assert first.params.items() >= table.items()


def test_trials_that_end_are_added_and_a_study_whose_earlier_ones_have_changed_is_made_anew(tmp_path: Path) -> None:
    studies, content = Studies(), content_of(tmp_path, "methods=[kd]")
    search = content["searches"]["kd"]
    every = search["trials"]
    numbers = []
    for shown in (every[:2], every[:4], every[:1] + every[2:], every):
        search["trials"] = shown
        studies.update(content)
        assert values(studies, "kd") == [trial["validation_accuracy"] for trial in shown]
        numbers.append(studies.storage.get_study_id_from_name("kd"))
    assert numbers[0] == numbers[1] and len({*numbers[1:]}) == 3


def test_without_the_package_the_command_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    chosen, store, artifacts = run_of(tmp_path, "methods=[kd]", "search.methods=null")
    report.write(chosen, store, artifacts, set(), SIZES)
    assert dashboard.main(["--optuna", "--storage", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "the package optuna-dashboard, which is not installed; pip install 'optuna-dashboard>=" in said
    assert dashboard.main(["--optuna", "--all", "--storage", str(tmp_path)]) == 2
    assert "leave --all out" in capsys.readouterr().err


def test_a_run_without_a_search_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen, store, artifacts = run_of(tmp_path, "methods=[labels]")
    report.write(chosen, store, artifacts, set(), SIZES)
    assert dashboard.main(["--optuna", "--storage", str(tmp_path)]) == 2
    assert "has no search (search.trials)" in capsys.readouterr().err


class TestServing:
    @pytest.fixture(autouse=True)
    def page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A page in place of the package's."""

        def wsgi(storage: optuna.storages.BaseStorage) -> Callable[..., Iterable[bytes]]:
            def application(environment: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
                start("200 OK", [("Content-Type", "text/plain")])
                return [str(len(storage.get_all_studies())).encode()]

            return application

        module: Any = types.ModuleType("optuna_dashboard")
        module.wsgi = wsgi
        monkeypatch.setitem(sys.modules, "optuna_dashboard", module)

    def test_the_page_is_served_on_this_machine_alone(self, tmp_path: Path) -> None:
        studies = Studies()
        studies.update(content_of(tmp_path, "methods=[kd, ces_kd]"))
        address = serve(studies, dashboard.HOST, 0)
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert answer.read() == b"2"

    def test_a_taken_port_is_refused_and_without_one_the_next_is_taken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as taken:
            taken.bind((dashboard.HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(optuna_dashboard.PortError, match=f"port {port} can't be opened"):
                serve(Studies(), dashboard.HOST, port)
            monkeypatch.setattr(optuna_dashboard, "PORTS", [port, 0])
            assert f":{port}/" not in serve(Studies(), dashboard.HOST, None)
        assert threading.active_count() < 20
