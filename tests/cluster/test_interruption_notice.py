"""deploy/aws/drain_on_interruption.sh: the notice that a spot instance is taken back reaches Ray.

The instance metadata service is a server on the loopback, and ``ray`` a script that writes down its arguments.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
SCRIPT = "deploy/aws/drain_on_interruption.sh"
UNIT = "deploy/aws/ces-kd-drain.service"
TOKEN = "a-token"
RAY = """\
#!/bin/sh
printf '%s\\n' "$@" > "$CALLS.$(ls "$CALLS".* 2> /dev/null | wc -l)"
[ "$(ls "$CALLS".* | wc -l)" -gt "$FAILURES" ]
"""


class MetadataService(ThreadingHTTPServer):
    """A metadata service that has no notice for the first few requests; each request must have its token."""

    def __init__(self, notice: str, requests_before: int, tokens_before: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.notice, self.requests_before, self.tokens_before = notice, requests_before, tokens_before
        self.asked = 0  # for the notice, with a token
        self.refused = 0  # for want of a token


class _Handler(BaseHTTPRequestHandler):
    server: MetadataService

    def do_PUT(self) -> None:
        if self.server.tokens_before > 0:
            self.server.tokens_before -= 1
            self._answer(503, "busy")
        elif self.path == "/latest/api/token" and self.headers.get("X-aws-ec2-metadata-token-ttl-seconds"):
            self._answer(200, TOKEN)
        else:
            self._answer(400, "")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != TOKEN:
            self.server.refused += 1
            self._answer(401, "")
        elif self.path != "/latest/meta-data/spot/instance-action" or self.server.asked < self.server.requests_before:
            self.server.asked += 1
            self._answer(404, "<html>not found</html>")
        else:
            self._answer(200, self.server.notice)

    def _answer(self, code: int, text: str) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        return None


class Node:
    """A worker node with a stand-in for ``ray``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/ray").write_text(RAY)
        (folder / "bin/ray").chmod(0o755)

    def wait_for_notice(self, service: MetadataService, ray_failures: int = 0) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "CALLS": str(self.folder / "call"),
            "FAILURES": str(ray_failures), "POLL_SECONDS": "0.05",
            "METADATA_SERVICE": f"http://127.0.0.1:{service.server_address[1]}",
        }  # fmt: skip
        return subprocess.run(
            ["bash", str(PROJECT / SCRIPT)], env=variables, capture_output=True, text=True, timeout=30
        )

    @property
    def calls(self) -> list[list[str]]:
        """Arguments of each call of ``ray``."""
        return [path.read_text().splitlines() for path in sorted(self.folder.glob("call.*"))]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def service() -> Iterator[MetadataService]:
    time = datetime.now(timezone.utc) + timedelta(seconds=110)
    notice = json.dumps({"action": "terminate", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ")})
    with MetadataService(notice, requests_before=3) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def option(call: list[str], name: str) -> str:
    return call[call.index(name) + 1]


def test_the_node_is_drained_as_preempted_once_there_is_a_notice(node: Node, service: MetadataService) -> None:
    done = node.wait_for_notice(service)
    assert done.returncode == 0, done.stderr
    assert service.asked == 3 and service.refused == 0
    (call,) = node.calls
    assert call[0] == "drain-node"
    assert option(call, "--reason") == "DRAIN_NODE_REASON_PREEMPTION"
    assert '"action": "terminate"' in option(call, "--reason-message")
    assert 60 <= int(option(call, "--deadline-remaining-seconds")) <= 110


def test_a_drain_that_ray_does_not_take_is_asked_for_again(node: Node, service: MetadataService) -> None:
    assert node.wait_for_notice(service, ray_failures=2).returncode == 0
    assert len(node.calls) == 3


def test_a_metadata_service_that_is_busy_is_asked_again(node: Node, service: MetadataService) -> None:
    service.tokens_before = 2
    assert node.wait_for_notice(service).returncode == 0
    assert len(node.calls) == 1 and service.refused == 0


@pytest.mark.parametrize(
    ("notice", "seconds"),
    [('{"action": "terminate", "time": "2020-01-31T12:00:00Z"}', 0), ('{"action": "terminate"}', 120)],
)
def test_a_time_that_is_over_or_not_there_still_drains_the_node(
    node: Node, service: MetadataService, notice: str, seconds: int
) -> None:
    service.notice = notice
    assert node.wait_for_notice(service).returncode == 0
    (call,) = node.calls
    assert int(option(call, "--deadline-remaining-seconds")) == seconds


def test_every_worker_of_the_cluster_runs_it() -> None:
    cluster = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
    (command,) = [command for command in cluster["worker_setup_commands"] if Path(UNIT).name in command]
    assert f"~/ces-kd/{UNIT}" in command and "systemctl enable" in command
    unit = configparser.ConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(PROJECT / UNIT)
    home = f"/home/{cluster['auth']['ssh_user']}"
    assert unit["Service"]["User"] == cluster["auth"]["ssh_user"]
    assert unit["Service"]["ExecStart"].endswith(f" {home}/ces-kd/{SCRIPT}")
    assert f"PATH={home}/.ces-kd/venv/bin:" in unit["Service"]["Environment"]
    assert "RAY_AUTH_MODE=token" in unit["Service"]["Environment"]


def test_the_head_does_not_run_it() -> None:
    cluster = yaml.safe_load((PROJECT / "cluster.yaml").read_text())
    for commands in ("setup_commands", "head_setup_commands", "initialization_commands"):
        assert not any(Path(UNIT).name in command for command in cluster[commands])
