"""The one whole run that tests of the run and tests of its report look at."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.run.conftest import Finished, Place


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
