"""deploy/install.sh: one node installs and leaves its environment in the cache, others unpack it.

``uv`` and the Python that it installs are replaced by scripts that write down their arguments.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = """\
#!/bin/sh
echo "$@" >> "$UV_CALLS"
if [ "$1" = venv ]; then
  for last; do :; done
  mkdir -p "$last/bin"
  printf '#!/bin/sh\\necho python "$@" >> "$UV_CALLS"\\n' > "$last/bin/python"
  chmod +x "$last/bin/python"
fi
"""


class Node:
    """A node: its home and its copy of the files that the script reads."""

    def __init__(self, folder: Path) -> None:
        self.home, self.code, self.tools = folder / "home", folder / "code", folder / "bin"
        for part in (self.home, self.code, self.tools):
            part.mkdir(parents=True)
        shutil.copytree(ROOT / "deploy", self.code / "deploy")
        for name in ("constraints.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, self.code)
        (self.tools / "uv").write_text(UV)
        (self.tools / "uv").chmod(0o755)
        self.calls = folder / "calls"

    def install(self, *arguments: str) -> str:
        variables = {
            "HOME": str(self.home), "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}", "UV_CALLS": str(self.calls)
        }  # fmt: skip
        done = subprocess.run(
            ["bash", str(self.code / "deploy/install.sh"), *arguments], env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def installed(self) -> bool:
        """Whether a package was installed, not unpacked."""
        return self.calls.exists() and "pip install" in self.calls.read_text()


@pytest.fixture
def first(tmp_path: Path) -> Node:
    return Node(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Node:
    return Node(tmp_path / "second")


def test_the_first_node_installs_the_constraints_and_the_second_unpacks_what_it_left(
    first: Node, second: Node, tmp_path: Path
) -> None:
    cache = str(tmp_path / "cache")
    assert "installed from constraints.txt" in first.install(cache)
    assert "-c constraints.txt" in first.calls.read_text() and "--python 3.11" in first.calls.read_text()
    assert "unpacked from" in second.install(cache)
    assert first.installed and not second.installed
    assert (second.home / ".ces-kd/venv/bin/python").exists()


def test_a_second_call_installs_nothing(first: Node) -> None:
    first.install()
    first.calls.unlink()
    assert "environment" not in first.install()
    assert not first.installed


def test_the_gpus_are_tried_at_every_call(first: Node) -> None:
    for _ in range(2):
        first.install()
        assert first.calls.read_text().endswith("python deploy/check_gpus.py\n")
        first.calls.unlink()


def test_other_constraints_are_installed_again(first: Node) -> None:
    first.install()
    first.calls.unlink()
    with (first.code / "constraints.txt").open("a") as constraints:
        constraints.write("# changed\n")
    first.install()
    assert first.installed


def test_a_damaged_archive_is_not_used(first: Node, second: Node, tmp_path: Path) -> None:
    first.install(str(tmp_path / "cache"))
    (archive,) = (tmp_path / "cache").iterdir()
    archive.write_bytes(archive.read_bytes()[:100])
    second.install(str(tmp_path / "cache"))
    assert second.installed


def test_a_cache_that_can_t_be_written_costs_no_installation(first: Node, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    first.install(str(tmp_path / "file"))
    assert first.installed and (first.home / ".ces-kd/installed").exists()
