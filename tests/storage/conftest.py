"""An S3-speaking server on the loopback (moto's), and a proxy before it that fails on demand."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pyarrow import fs as pafs

from tests.storage.proxy import Proxy

BUCKET = "bucket"
# Of nobody: the server checks none, and without them pyarrow asks the machine's metadata service.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class S3:
    """The server behind the proxy."""

    proxy: Proxy

    def uri(self, folder: str) -> str:
        """The URI of a folder, through the proxy."""
        return f"s3://{BUCKET}/{folder}?endpoint_override={self.proxy.address}&scheme=http"


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, int]]:
    """The address of the server."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed (extra `dev`)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield "127.0.0.1", port
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """The server with an empty bucket, through a proxy of the test's own; credentials are in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    host, port = server
    direct = pafs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", allow_bucket_creation=True)
    direct.create_dir(BUCKET)
    direct.delete_dir_contents(BUCKET, missing_dir_ok=True)
    with Proxy(server) as proxy:
        yield S3(proxy)


def environment() -> dict[str, str]:
    """The environment of a command that reaches the server."""
    return {**os.environ, **CREDENTIALS}
