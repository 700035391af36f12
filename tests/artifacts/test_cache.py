"""A node's cache of copies: one download a file by any number of processes, bounded, and nothing in use is dropped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts import cache
from orchestrator.artifacts.cache import Cache, fetched, prepare
from orchestrator.artifacts.photos import PackedPhotos, ShardWriter, write_shards
from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.storage.storage import StorageError
from tests.artifacts.stores import RemoteStore, record, remote

SIZE = 10_000


class Counted(RemoteStore):
    """A store that notes each download in a file, so that those of all processes are counted, and takes its time."""

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        super().__init__(folder)
        self.uri = str(folder)
        self.log, self.seconds = folder / "downloads", seconds

    def download(self, target: Path, *parts: str) -> None:
        with open(self.log, "a") as file:
            file.write(f"{parts[-1]}\n")
        super().download(target, *parts)
        time.sleep(self.seconds)

    @property
    def downloads(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []


def opened(location: str) -> Store:
    return Counted(Path(location), seconds=0.3)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    monkeypatch.setattr(cache, "_held", {})
    monkeypatch.setattr(cache, "_stores", {})
    remote(tmp_path)
    return Counted(tmp_path)


def commit(store: Store, files: int, identity: str = "data-0", size: int = SIZE) -> Artifact:
    with store.scratch() as scratch:
        for number in range(files):
            (scratch / f"{number}.bin").write_bytes(bytes([number]) * size)
        return store.commit(record(identity), scratch)


def release(path: Path) -> None:
    """Let go of a copy, as the end of a process does."""
    os.close(cache._held.pop(path))


def copies(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*/*.bin")}


# -- by file -------------------------------------------------------------------------------------------------------


def test_only_files_that_are_opened_are_downloaded_and_each_once(store: Counted, tmp_path: Path) -> None:
    files = FolderFiles(prepare(store, commit(store, 4), Cache(tmp_path / "cache")))
    assert files.has("2.bin") and not files.has("4.bin") and not store.downloads
    for _ in range(2):
        assert files.path("2.bin").read_bytes() == bytes([2]) * SIZE
    assert store.downloads == ["2.bin"]
    with pytest.raises(FileNotFoundError, match=r"4\.bin is no file of the artifact"):
        files.path("4.bin")


def test_a_photo_fetches_its_own_shard_alone(store: Counted, tmp_path: Path) -> None:
    with store.scratch() as scratch:
        with ShardWriter(scratch, 0, shard_bytes=1) as writer:
            for number in range(100):
                writer.add(str(number), bytes([number]))
        write_shards(scratch, writer.shards)
        made = store.commit(record(), scratch)
    packed = PackedPhotos(FolderFiles(prepare(store, made, Cache(tmp_path / "cache"))))
    assert packed.read(50) == bytes([50]) and packed.read(51) == bytes([51])
    assert sorted(store.downloads) == [writer.shards[1].file, "shards.json"]


def test_a_copy_that_was_removed_by_others_is_downloaded_again(store: Counted, tmp_path: Path) -> None:
    files = FolderFiles(prepare(store, commit(store, 1), Cache(tmp_path / "cache")))
    files.path("0.bin").unlink()
    assert files.path("0.bin").read_bytes() == bytes(SIZE) and store.downloads == ["0.bin"] * 2


# -- bounded -------------------------------------------------------------------------------------------------------


def test_the_copy_that_was_opened_longest_ago_goes_first(store: Counted, tmp_path: Path) -> None:
    files = FolderFiles(prepare(store, commit(store, 5), Cache(tmp_path / "cache", 3 * SIZE)))
    for number in (0, 1, 2):
        release(files.path(f"{number}.bin"))
    release(files.path("0.bin"))
    release(files.path("3.bin"))
    assert copies(tmp_path / "cache") == {"0.bin", "2.bin", "3.bin"}


def test_copies_in_use_stay_and_what_does_not_fit_beside_them_is_refused(store: Counted, tmp_path: Path) -> None:
    files = FolderFiles(prepare(store, commit(store, 4), Cache(tmp_path / "cache", 2 * SIZE + 1)))
    used = files.path("0.bin")
    for number in (1, 2, 3):
        release(files.path(f"{number}.bin"))
    assert used.exists() and copies(tmp_path / "cache") == {"0.bin", "3.bin"}
    files.path("3.bin")
    with pytest.raises(StorageError, match=r"^resources\.cache_gb: 2\.0001e-05 GB in .*/cache are too few .* raise"):
        files.path("1.bin")
    assert used.exists()


def test_a_limit_holds_over_all_artifacts(store: Counted, tmp_path: Path) -> None:
    for identity in ("a-0", "b-0", "c-0"):
        files = FolderFiles(prepare(store, commit(store, 2, identity), Cache(tmp_path / "cache", 3 * SIZE)))
        for number in (0, 1):
            release(files.path(f"{number}.bin"))
    assert len(list((tmp_path / "cache").glob("*/*.bin"))) == 3


def test_room_that_a_killed_download_had_reserved_is_free_again(store: Counted, tmp_path: Path) -> None:
    folder = prepare(store, commit(store, 2), Cache(tmp_path / "cache", SIZE))
    for ending in ("room", "part"):
        (folder / f".0.bin.{ending}").write_bytes(bytes(SIZE))
    fetched(folder, "1.bin", opened)
    assert not (folder / ".0.bin.room").exists() and not (folder / ".0.bin.part").exists()


# -- by several processes ------------------------------------------------------------------------------------------


def process(folder: Path, *names: str, then: str = "print") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.artifacts.test_cache", str(folder), then, *names]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def said(asked: subprocess.Popen[str]) -> Any:
    out, _ = asked.communicate(timeout=120)
    assert asked.returncode == 0
    return json.loads(out)


def test_processes_that_want_one_file_at_once_download_it_once(store: Counted, tmp_path: Path) -> None:
    folder = prepare(store, commit(store, 3), Cache(tmp_path / "cache"))
    processes = [process(folder, *(f"{(start + step) % 3}.bin" for step in range(3))) for start in (0, 1, 2, 0)]
    for asked in processes:
        assert sorted(said(asked)) == [0, 1, 2]
    assert sorted(store.downloads) == ["0.bin", "1.bin", "2.bin"]


def test_processes_in_a_small_cache_read_right_content_and_keep_its_limit(store: Counted, tmp_path: Path) -> None:
    folder = prepare(store, commit(store, 6), Cache(tmp_path / "cache", 4 * SIZE))
    for names in ((0, 1), (2, 3), (4, 5), (1, 2)):
        pair = [process(folder, f"{number}.bin") for number in names]
        assert [said(asked) for asked in pair] == [[number] for number in names]
        assert len(copies(tmp_path / "cache")) <= 4


def test_a_process_that_is_killed_lets_go_of_its_copies(store: Counted, tmp_path: Path) -> None:
    folder = prepare(store, commit(store, 2), Cache(tmp_path / "cache", SIZE))
    other = process(folder, "0.bin", then="wait")
    assert other.stdout is not None and other.stdout.readline()
    with pytest.raises(StorageError, match=r"resources\.cache_gb"):
        fetched(folder, "1.bin", opened)
    other.send_signal(signal.SIGKILL)
    other.communicate()
    assert fetched(folder, "1.bin", opened).read_bytes() == bytes([1]) * SIZE
    assert copies(tmp_path / "cache") == {"1.bin"}


if __name__ == "__main__":
    first_bytes = [fetched(Path(sys.argv[1]), name, opened).read_bytes()[0] for name in sys.argv[3:]]
    print(json.dumps(first_bytes), flush=True)
    if sys.argv[2] == "wait":
        time.sleep(120)
