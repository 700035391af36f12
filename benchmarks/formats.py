"""formats: photos at random by index, out of this program's shards and out of other libraries' formats.

Every format holds the same photos (``PHOTOS`` JPEGs of some 110 KB, ImageNet's average), and a set of a million rows
of ``SMALL`` bytes that shows what opening costs. Each side of a round is a new process that opens the set, reads rows
in one random order, and says what it took: processor time, so that other work beside it matters less, and private
memory, since pages of a map are shared by all processes of a node. All files are in the page cache.

Formats whose package is missing are left out; ``pip install datasets array-record litdata`` brings them, best into an
environment of their own.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.measure import Spread
from orchestrator.report.markdown import table

PHOTOS, MILLION, SMALL = 10_000, 1_000_000, 64
READS = 20_000
EDGE, QUALITY = 400, 92  # of photos: some 110 KB
OURS = "this program's shards"

Read = Callable[[int], bytes]


def photos(count: int) -> Iterator[bytes]:
    """JPEG photos of smooth noise; one of 50 drawn ones with a number behind it, which decoders ignore."""
    from PIL import Image

    drawn = []
    for seed in range(50):
        noise = np.random.default_rng(seed).integers(0, 256, (EDGE // 2, EDGE // 2, 3), dtype=np.uint8)
        photo, content = Image.fromarray(noise).resize((EDGE, EDGE), Image.Resampling.BICUBIC), io.BytesIO()
        photo.save(content, "JPEG", quality=QUALITY)
        drawn.append(content.getvalue())
    return (drawn[number % len(drawn)] + number.to_bytes(4, "big") for number in range(count))


def small_rows(count: int) -> Iterator[bytes]:
    """Rows of ``SMALL`` bytes."""
    return (number.to_bytes(SMALL, "big") for number in range(count))


# -- formats: each has a writer and an opener ----------------------------------------------------------------------


def write_ours(folder: Path, contents: Iterable[bytes]) -> None:
    """Arrow IPC with 32 photos a record batch, memory-mapped."""
    from orchestrator.artifacts.photos import ShardWriter, write_shards

    with ShardWriter(folder, 0) as writer:
        for number, content in enumerate(contents):
            writer.add(str(number), content)
    write_shards(folder, writer.shards)


def open_ours(folder: Path) -> Read:
    """The reader that training uses."""
    from orchestrator.artifacts.photos import PackedPhotos
    from orchestrator.artifacts.reading import FolderFiles

    return PackedPhotos(FolderFiles(folder)).read


def write_datasets(folder: Path, contents: Iterable[bytes]) -> None:
    """Hugging Face datasets: Arrow as well, in the stream format."""
    import datasets

    features = datasets.Features({"content": datasets.Value("large_binary")})
    made = datasets.Dataset.from_generator(
        lambda: ({"content": content} for content in contents), features=features, cache_dir=str(folder / "cache"),
        fingerprint="one", writer_batch_size=32,
    )  # fmt: skip
    made.save_to_disk(folder / "set", max_shard_size="1GB")


def open_datasets(folder: Path) -> Read:
    """A folder saved to disk."""
    import datasets

    rows = datasets.load_from_disk(folder / "set")
    return lambda index: rows[index]["content"]


def write_array_record(folder: Path, contents: Iterable[bytes]) -> None:
    """array_record as grain reads it: one record a group, not compressed, as photos are."""
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(folder / "set"), "group_size:1,uncompressed")
    for content in contents:
        writer.write(content)
    writer.close()


def open_array_record(folder: Path) -> Read:
    """The data source that grain reads by index."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    source = ArrayRecordDataSource([str(folder / "set")])
    return lambda index: source[index]


def write_litdata(folder: Path, contents: Iterable[bytes]) -> None:
    """Chunks of 64 MB, as its documentation recommends."""
    from litdata.streaming import Cache

    cache = Cache(str(folder), chunk_bytes="64MB")
    for number, content in enumerate(contents):
        cache[number] = content
    cache.done()
    cache.merge()


def open_litdata(folder: Path) -> Read:
    """Its dataset, by index."""
    from litdata import StreamingDataset

    rows = StreamingDataset(str(folder))
    return lambda index: rows[index]


FORMATS: dict[str, tuple[str, Callable[[Path, Iterable[bytes]], None], Callable[[Path], Read]]] = {
    OURS: ("pyarrow", write_ours, open_ours),
    "Hugging Face datasets": ("datasets", write_datasets, open_datasets),
    "array-record": ("array_record", write_array_record, open_array_record),
    "litdata": ("litdata", write_litdata, open_litdata),
}


# -- measuring -----------------------------------------------------------------------------------------------------


def child(name: str, folder: str, task: str, count: int) -> None:
    """Do one task of a format in this process; prints figures."""
    _, write, open_set = FORMATS[name]
    if task != "read":
        write(Path(folder), photos(count) if task == "photos" else small_rows(count))
        return
    order = np.random.default_rng(0).integers(0, count, READS).tolist()
    import pyarrow  # noqa: F401  # which everything here has loaded

    before, start = _private(), _processor()
    read = open_set(Path(folder))
    assert read(0)
    opened, start_reads, began = _processor() - start, _processor(), time.perf_counter()
    for index in order:
        read(index)
    took = _processor() - start_reads
    print("figures", opened, READS / took, READS / (time.perf_counter() - began), _private() - before, flush=True)
    os._exit(0)  # some of these libraries wait for their threads


def run(rounds: int, short: bool, threads: int) -> str:
    """The table of the benchmark."""
    count, million = (1_000, 100_000) if short else (PHOTOS, MILLION)
    names = [name for name, (package, *_) in FORMATS.items() if find_spec(package)]
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            for task, size in (("photos", count), ("small", million)):
                (Path(scratch) / f"{name} {task}").mkdir()
                _ask(name, f"{scratch}/{name} {task}", task, size)
        found: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in names}
        for number in range(rounds):
            for name in names if number % 2 else names[::-1]:
                of_photos = _ask(name, f"{scratch}/{name} photos", "read", count)
                found[name].append((of_photos, _ask(name, f"{scratch}/{name} small", "read", million)))
            print(f"  round {number + 1} of {rounds}", flush=True)
    for name in names:
        rates = [large[1] for large, _ in found[name]]
        ratio = Spread.of([rate / ours[0][1] for rate, ours in zip(rates, found[OURS], strict=True)])
        megabytes = Spread.of([large[3] / 2**20 for large, _ in found[name]]).median
        opening = Spread.of([small[0] for _, small in found[name]]).median
        of_small = Spread.of([small[1] for _, small in found[name]]).median
        held = Spread.of([small[3] / 2**20 for _, small in found[name]]).median
        rows.append((name, f"{Spread.of(rates).median:,.0f}", ratio, f"{of_small:,.0f}", f"{megabytes:.0f} MB",
                     f"{held:.0f} MB", f"{1000 * opening:,.0f} ms"))  # fmt: skip
    head = ("format", "photos/s a core", "x ours", "small rows/s", "memory", "memory, a million", "opening a million")
    return table(head, rows)


def _ask(name: str, folder: str, task: str, count: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.formats", name, folder, task, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}, {task}: {done.stderr[-2000:]}")
    lines = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("figures ")]
    return [float(figure) for figure in lines[-1]] if lines else []


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)  # of all threads
    return used.ru_utime + used.ru_stime


def _private() -> int:
    """Bytes of memory that are this process's alone."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))


if __name__ == "__main__":
    child(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
