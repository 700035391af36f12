"""What all tests share: Ctrl-C works, and the one whole run that tests of the run and of its report look at."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.run.conftest import Finished, Place

# A shell starts what it runs in the background with Ctrl-C ignored, and every process that a test starts inherits that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def make_place(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Place]:
    """Makes a place of one's own."""
    return lambda: Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="session")
def undisturbed(make_place: Callable[[], Place]) -> tuple[Place, Finished]:
    """One whole run that nothing disturbed; tests that need another one go on from a copy."""
    place = make_place()
    place.recipe()
    return place, place.run()
