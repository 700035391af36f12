"""The limit of time for thorough tests, ``--minutes``."""

from __future__ import annotations

import subprocess
import sys

from tests.examples import ROOT


def test_a_thorough_test_that_begins_after_the_limit_is_skipped_by_name_and_others_run() -> None:
    files = ["tests/execution/test_graphs.py", "tests/test_locations.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-m", "thorough or not long", "-rs", "--minutes", "0", *files],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "a_node_that_joins_is_used_and_one_that_leaves_is_named: 0 minutes were over before it" in done.stdout
    assert " passed, 4 skipped" in done.stdout
