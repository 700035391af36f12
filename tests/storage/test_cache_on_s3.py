"""Copies from an S3 on one node: a download a file, by however many processes."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from orchestrator.artifacts.cache import Cache, prepare
from orchestrator.artifacts.photos import PackedPhotos, ShardWriter, write_shards
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Store
from tests.artifacts.stores import record
from tests.storage.conftest import S3, environment

PROCESSES = 3


def test_three_processes_of_a_node_download_each_file_of_packed_photos_once(s3: S3, tmp_path: Path) -> None:
    store = Store(s3.uri("runs"))
    with store.scratch() as scratch:
        with ShardWriter(scratch, 0, shard_bytes=1) as writer:
            for number in range(96):
                writer.add(f"{number}.jpg", bytes([number]) * 1000)
        write_shards(scratch, writer.shards)
        (scratch / "not-read.npy").write_bytes(b"logits")
        made = store.commit(record(), scratch)
    folder = prepare(store, made, Cache(tmp_path / "cache"))
    s3.proxy.requests.clear()
    command = [sys.executable, "-m", "tests.storage.test_cache_on_s3", str(folder)]
    running = [subprocess.Popen(command, env=environment()) for _ in range(PROCESSES)]
    assert [process.wait(240) for process in running] == [0] * PROCESSES
    got = Counter(request.split("?")[0].rsplit("/", 1)[-1] for request in s3.proxy.requests if "GET " in request)
    downloads = {name: got[name] for name in made.files}
    assert downloads == {"shards.json": 1, "not-read.npy": 0} | {shard.file: 1 for shard in writer.shards}


if __name__ == "__main__":
    photos = PackedPhotos(FolderFiles(Path(sys.argv[1])))
    for number in range(95, -1, -1):
        assert photos.read(number) == bytes([number]) * 1000
