"""Shared fixtures: one Ray a session, one undisturbed whole run, working Ctrl-C; a limit of time for thorough tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from orchestrator.artifacts.store import Store
from tests.artifacts.stores import store
from tests.examples import make_artifacts, planned
from tests.report.written import Made
from tests.run.conftest import Finished, Place, environment

__all__ = ["store"]

# A shell starts what it runs in the background with Ctrl-C ignored, and nohup what it runs with SIGHUP ignored; every
# process that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A deadline would fail examples for other work on the machine.
hypothesis.settings.register_profile("without deadline", deadline=None)
hypothesis.settings.load_profile("without deadline")

STARTED = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--minutes", type=float, help="skip thorough tests that have not begun after so many minutes")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put thorough tests last, so that a limit of time leaves out none but them."""
    items.sort(key=lambda item: item.get_closest_marker("thorough") is not None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = item.config.getoption("--minutes")
    if minutes is not None and item.get_closest_marker("thorough") and time.monotonic() - STARTED > minutes * 60:
        pytest.skip(f"{item.nodeid}: {minutes:g} minutes were over before it")


KEEP_RAY_UP = """
import sys, ray
context = ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
print(context.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray that lasts as long as the tests."""
    with subprocess.Popen(
        [sys.executable, "-c", KEEP_RAY_UP], env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None and server.stdin is not None
        yield server.stdout.readline().strip()
        server.stdin.close()


@pytest.fixture(scope="session")
def make_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Returns a factory of folders for runs."""
    return lambda: Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="session")
def undisturbed(make_place: Callable[[], Place]) -> tuple[Place, Finished]:
    """One whole run that nothing disturbed; tests that need another one go on from a copy."""
    place = make_place()
    place.recipe()
    return place, place.run()


@pytest.fixture
def whole(tmp_path: Path) -> Made:
    """The small recipe's plan with every artifact of it."""
    chosen, store = planned(), Store(str(tmp_path))
    return chosen, store, make_artifacts(chosen, store)
