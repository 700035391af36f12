"""Output on a terminal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.run.conftest import Finished, Place, copy_of
from tests.run.terminal import Terminal

pytestmark = pytest.mark.long

Run = tuple[Place, Finished]


def test_on_a_terminal_the_stages_are_one_view_that_is_drawn_in_place_and_fits(
    undisturbed: Run, make_place: Callable[[], Place], ray_address: str
) -> None:
    place = copy_of(undisturbed[0], make_place)
    terminal = Terminal(place, "search.steps=20", "--address", ray_address, columns=80)
    assert terminal.end() == 0, terminal.shown[-3000:]
    frames = terminal.text.split("stages done")
    assert len(frames) > 3, "drawn once only"
    lines = [line.strip("\r") for line in frames[-1].split("| method")[0].splitlines()]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("✔ train/plain_cnn_8") and "cached" in line for line in lines)
    assert any(line.startswith("✔ search") and "best validation" in line for line in lines)
    assert any(line.startswith("✔ final students") and "8 of 8 done" in line for line in lines)
    assert "trials " in terminal.text
