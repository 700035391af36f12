"""The store: complete commits, detected damage. Every test runs on each kind of storage."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from orchestrator.artifacts.reading import FolderFiles
from orchestrator.artifacts.store import RECORD, StorageError, Store
from tests.artifacts.stores import FILES, commit, record, remote


def folder(tmp_path: Path, identity: str = "train-0") -> Path:
    return tmp_path / "bucket" / "artifacts" / identity


# -- committing --------------------------------------------------------------------------------------------------


def test_a_committed_artifact_is_found_as_it_was_committed(store: Store) -> None:
    made = commit(store, results={"accuracy": 0.5, "trials": [{"a": 1}]}, versions={"torch": "2"})
    assert store.find("train-0") == made
    assert made.files == {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)} for name, content in FILES.items()
    }
    assert store.damaged_files(made) == []


def test_the_files_lie_in_the_folder_that_the_identity_names(store: Store, tmp_path: Path) -> None:
    commit(store)
    for name, content in FILES.items():
        assert (folder(tmp_path) / name).read_bytes() == content


def test_a_committed_artifact_may_be_given_files_that_it_lacked(store: Store, tmp_path: Path) -> None:
    made = commit(store)
    known = next(iter(FILES))
    with store.scratch() as scratch:
        (scratch / "later").write_bytes(b"later")
        (scratch / known).write_bytes(b"other")
        extended = store.extend(dataclasses.replace(made, results={"more": 1}), scratch)
    assert store.find("train-0") == extended and store.damaged_files(extended) == []
    assert extended.files.keys() == made.files.keys() | {"later"} and extended.results == {"more": 1}
    assert (folder(tmp_path) / known).read_bytes() == FILES[known]  # what others were made from stays
    assert (folder(tmp_path) / "later").read_bytes() == b"later"


def test_an_interrupted_extension_leaves_the_artifact_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = commit(store)

    def write_text(*_: str) -> None:
        raise OSError("the power fails here")

    monkeypatch.setattr(store, "write_text", write_text)
    with store.scratch() as scratch, pytest.raises(OSError, match="power"):
        (scratch / "later").write_bytes(b"later")
        store.extend(made, scratch)
    assert store.find("train-0") == made and store.damaged_files(made) == []


def test_an_artifact_may_have_no_files(store: Store) -> None:
    with store.scratch() as scratch:
        made = store.commit(record(), scratch)
    assert store.find("train-0") == made
    assert store.damaged_files(made) == []


def test_an_artifact_that_was_never_made_is_not_found(store: Store) -> None:
    assert store.find("train-0") is None
    assert not store.is_committed("train-0")


def test_the_record_is_written_after_every_file(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_text(text: str, *parts: str) -> None:
        assert parts == ("artifacts", "train-0", RECORD)
        assert all((folder(tmp_path) / name).read_bytes() == content for name, content in FILES.items())
        raise OSError("the power fails here")

    monkeypatch.setattr(store, "write_text", write_text)
    with pytest.raises(OSError, match="power"):
        commit(store)
    assert store.find("train-0") is None


def test_an_interrupted_second_commit_leaves_no_record_of_the_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(store)

    def write_text(*_: str) -> None:
        raise OSError("the power fails here")

    monkeypatch.setattr(store, "write_text", write_text)
    with pytest.raises(OSError, match="power"):
        commit(store)
    assert store.find("train-0") is None


def test_an_interrupted_commit_leaves_no_artifact_and_does_not_stop_the_next_one(store: Store, tmp_path: Path) -> None:
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "weights.bin").write_bytes(b"half")
    assert store.find("train-0") is None
    assert store.damaged_files(commit(store)) == []


def test_the_place_where_an_artifact_was_built_is_gone_afterwards(store: Store) -> None:
    with pytest.raises(RuntimeError), store.scratch() as scratch:
        (scratch / "file").write_text("x")
        raise RuntimeError
    assert not scratch.exists()


# -- damage ------------------------------------------------------------------------------------------------------


def flip(path: Path, position: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("position", [0, 1000, -1])
def test_one_flipped_byte_is_found(store: Store, tmp_path: Path, position: int) -> None:
    made = commit(store)
    flip(folder(tmp_path) / "weights.bin", position)
    if store.local_root:
        assert store.damaged_files(made) == ["weights.bin"]
    else:  # an object store is not read whole to look for damage; what is fetched from it is
        with pytest.raises(StorageError, match=r"train-0/weights\.bin does not match its checksum; it is set aside"):
            FolderFiles(store.fetch(made)).path("weights.bin")
        assert store.find("train-0") is None and list((tmp_path / "bucket" / "set-aside").iterdir())


def test_a_copy_that_came_damaged_is_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = remote(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made, asked, download = commit(store), [], store.download

    def once_damaged(target: Path, *source: str) -> None:
        asked.append(source)
        download(target, *source)
        if len(asked) == 1:
            target.write_bytes(b"other bytes")

    monkeypatch.setattr(store, "download", once_damaged)
    fetched = FolderFiles(store.fetch(made))
    assert all(fetched.path(name).read_bytes() == content for name, content in FILES.items())
    assert len(asked) == len(FILES) + 1


def test_a_shortened_file_a_missing_file_and_a_folder_in_its_place_are_found(store: Store, tmp_path: Path) -> None:
    made = commit(store)
    place = folder(tmp_path)
    (place / "weights.bin").write_bytes(FILES["weights.bin"][:-1])
    (place / "folder/inner/rows.txt").unlink()
    (place / "empty").unlink()
    (place / "empty").mkdir()
    assert sorted(store.damaged_files(made)) == sorted(FILES)


@pytest.mark.parametrize("position", range(0, 900, 50))
def test_one_flipped_byte_of_the_record_makes_it_no_record(store: Store, tmp_path: Path, position: int) -> None:
    commit(store, results={"accuracy": 0.5})
    path = folder(tmp_path) / RECORD
    flip(path, position % path.stat().st_size)
    assert store.find("train-0") is None
    assert store.is_committed("train-0")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"{}", b"\xff\xfe", b'{"identity": "train-0"}'])
def test_an_invalid_record_is_not_a_record(store: Store, tmp_path: Path, content: bytes) -> None:
    commit(store)
    (folder(tmp_path) / RECORD).write_bytes(content)
    assert store.find("train-0") is None


def test_a_damaged_artifact_is_set_aside_whole_and_can_be_made_again(store: Store, tmp_path: Path) -> None:
    made = commit(store)
    flip(folder(tmp_path) / "weights.bin")
    place = store.set_aside("train-0")
    assert store.find("train-0") is None and not folder(tmp_path).exists()
    aside = tmp_path / "bucket" / Path(place).relative_to(store.root)
    assert aside.parent.name == "set-aside" and aside.name.startswith("train-0-")
    assert {str(path.relative_to(aside)) for path in aside.rglob("*") if path.is_file()} == {*FILES, RECORD}
    commit(store)
    assert store.damaged_files(made) == []


# -- fetching ----------------------------------------------------------------------------------------------------


def test_fetching_returns_a_local_folder_with_the_files(store: Store) -> None:
    files = FolderFiles(store.fetch(commit(store)))
    assert {name: files.path(name).read_bytes() for name in FILES} == FILES
    assert all(files.has(name) for name in FILES) and not files.has("another")


def test_files_on_a_mounted_file_system_are_not_copied(store: Store, tmp_path: Path) -> None:
    place = store.fetch(commit(store))
    assert (place == folder(tmp_path)) == (store.local_root is not None)


def test_an_artifact_that_was_made_again_is_fetched_again(store: Store) -> None:
    assert FolderFiles(store.fetch(commit(store))).path("weights.bin").read_bytes() == FILES["weights.bin"]
    with store.scratch() as scratch:
        (scratch / "weights.bin").write_bytes(b"new")
        again = store.commit(record(), scratch)
    assert FolderFiles(store.fetch(again)).path("weights.bin").read_bytes() == b"new"


@pytest.mark.parametrize("store", [remote], indirect=True)
def test_an_artifact_is_fetched_once_a_node(store: Store, tmp_path: Path) -> None:
    made = commit(store)
    first = FolderFiles(store.fetch(made)).path("weights.bin")
    (folder(tmp_path) / "weights.bin").unlink()
    assert FolderFiles(store.fetch(made)).path("weights.bin") == first


@pytest.mark.parametrize("store", [remote], indirect=True)
def test_a_fetch_that_failed_is_not_taken_for_a_copy(store: Store, tmp_path: Path) -> None:
    made = commit(store)
    content = (folder(tmp_path) / "weights.bin").read_bytes()
    flip(folder(tmp_path) / "weights.bin")
    with pytest.raises(StorageError):
        FolderFiles(store.fetch(made)).path("weights.bin")
    assert FolderFiles(store.fetch(commit(store))).path("weights.bin").read_bytes() == content


# -- small files and checkpoints ---------------------------------------------------------------------------------


def test_a_text_comes_back_as_it_was_written_last(store: Store) -> None:
    assert store.read_text("reports", "latest") is None
    for text in ("first", "second: ±"):
        store.write_text(text, "reports", "latest")
        assert store.read_text("reports", "latest") == text


def test_a_reader_sees_the_old_text_or_the_new_never_half_of_one(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    texts = {"a" * 300_000, "b" * 300_000}
    store.write_text("a" * 300_000, "text")
    seen: set[str | None] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(store.read_text("text"))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        for text in sorted(texts):
            store.write_text(text, "text")
    done.set()
    reader.join()
    assert seen <= texts
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_a_checkpoint_is_replaced_read_and_dropped(store: Store) -> None:
    assert store.read_checkpoint("train-0") is None
    store.drop_checkpoint("train-0")
    for content in (b"\x00\xffstate", b""):
        store.write_checkpoint("train-0", content)
        assert store.read_checkpoint("train-0") == content
    store.drop_checkpoint("train-0")
    assert store.read_checkpoint("train-0") is None


# -- the place itself --------------------------------------------------------------------------------------------


def test_a_probe_leaves_nothing_behind(store: Store, tmp_path: Path) -> None:
    store.check_writable()
    assert list((tmp_path / "bucket").iterdir()) == []


def test_a_folder_and_its_uri_are_the_same_place(tmp_path: Path) -> None:
    commit(Store(str(tmp_path)))
    by_uri = Store(f"file://{tmp_path}")
    assert by_uri.find("train-0") is not None
    assert by_uri.location == Store(str(tmp_path)).location == str(tmp_path)


def test_ray_is_given_a_path_and_where_it_is_not_mounted_its_file_system(store: Store, tmp_path: Path) -> None:
    given = store.for_ray("logs", "a")
    if store.local_root:
        assert given == {"storage_path": str(tmp_path / "bucket" / "logs" / "a")}
    else:
        assert given == {"storage_path": "bucket/logs/a", "storage_filesystem": store.filesystem}


def test_another_process_opens_an_object_store_by_its_uri_with_all_options() -> None:
    uri = "s3://bucket/runs/?endpoint_override=localhost:9000&scheme=http"
    assert Store(uri).location == uri


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store("runs").location == str(tmp_path / "runs")


@pytest.mark.parametrize("uri", ["nowhere://x", "s3://", "s3://no such bucket/x"])
def test_an_invalid_uri_is_refused_by_its_name(uri: str) -> None:
    with pytest.raises(StorageError, match=f"storage '{uri}' "):
        Store(uri)


@pytest.mark.parametrize("act", [lambda store: store.find("train-0"), lambda store: store.check_writable()])
def test_a_file_where_the_folder_should_be_is_refused_by_its_name(act: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError, match=rf"storage '{tmp_path}/file' can't be (read|written): .*--storage"):
        act(Store(str(tmp_path / "file")))


def test_the_record_is_readable_json(store: Store, tmp_path: Path) -> None:
    commit(store, results={"accuracy": 0.5})
    content = json.loads((folder(tmp_path) / RECORD).read_text())
    assert content["results"] == {"accuracy": 0.5}
    assert {"identity", "kind", "name", "spec", "inputs", "start", "end", "node", "files", "versions"} <= content.keys()
