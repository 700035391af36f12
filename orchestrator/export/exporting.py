"""An export from beginning to end: write, check, measure, describe; and only then give the files their names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from orchestrator.export import check, latency
from orchestrator.export.card import model_card
from orchestrator.export.deployable import Deployable, RunImages, as_runner, open_images, trained_network
from orchestrator.export.formats import write
from orchestrator.export.latency import Timing
from orchestrator.export.options import FILES, INT8_FILE, Format, check_packages
from orchestrator.export.quantisation import compare, quantise
from orchestrator.export.results import Exported, File, Quantised, of_teacher
from orchestrator.export.selection import Chosen, ExportError, Run
from orchestrator.export.standalone import Runner, open_onnx, open_torch_export

CARD = "README.md"
Say = Callable[[str], None]


def export(
    run: Run, chosen: Chosen, formats: Sequence[Format], folder: Path, *, int8: bool, dataset_root: str | None, say: Say
) -> Exported:
    """Write the network's files and model card into ``folder``.

    Raises:
        ExportError: for what can't be exported as asked.
        ExportFailedError: when a file could not be written or does not do what the network does; no file is left.
    """
    check_packages(formats)
    teacher, images = run.teacher, open_images(run, dataset_root)
    with _scratch(folder) as scratch:
        names = [FILES[form] for form in formats] + [INT8_FILE] * int8
        files, quantised = [], None
        for form in formats:
            files.append(_make(form, run, chosen, teacher, scratch, images))
            say(str(files[-1]))
        if int8:
            made, quantised = _make_int8(scratch, images)
            files.append(made)
            say(str(made))
            for part, accuracy in quantised.accuracy.items():
                say(f"  {part}: {accuracy}")
        timing = _time(run, chosen, teacher, files, scratch, images)
        earlier = [name for name in (*FILES.values(), INT8_FILE) if name not in names and (folder / name).exists()]
        exported = Exported(run, chosen, tuple(files), timing, quantised, tuple(earlier))
        for row in exported.latencies():
            say(str(row))
        (scratch / CARD).write_text(model_card(exported))
        for name in (*names, CARD):
            (scratch / name).chmod(0o644)  # some writers make files that only their owner can read
            os.replace(scratch / name, folder / name)
    return exported


def _make(form: Format, run: Run, chosen: Chosen, teacher: Chosen, scratch: Path, images: RunImages) -> File:
    path = scratch / FILES[form]
    write(form, run, chosen, path)
    agreement = check.check(form, run, chosen, path, images)
    write(form, run, teacher, _of_teacher(path))
    return File(path.name, form, path.stat().st_size, _of_teacher(path).stat().st_size, agreement)


def _make_int8(scratch: Path, images: RunImages) -> tuple[File, Quantised]:
    before, after = scratch / FILES["onnx"], scratch / INT8_FILE
    calibrated_on = quantise(before, after, images)
    quantise(_of_teacher(before), _of_teacher(after), images)
    agreement = check.check_int8(after, images)
    parts = {"validation": images.plain.validation, "test": images.plain.test}
    runners = open_onnx(before), open_onnx(after)
    accuracy = {part: compare(*runners, images, indices) for part, indices in parts.items()}
    made = File(after.name, "onnx", after.stat().st_size, _of_teacher(after).stat().st_size, agreement)
    return made, Quantised(calibrated_on, accuracy)


def _time(
    run: Run, chosen: Chosen, teacher: Chosen, files: Sequence[File], scratch: Path, images: RunImages
) -> Timing:  # fmt: skip
    image = images.pixels(images.plain.validation[:1])
    sides: dict[str, Callable[[], object]] = {}
    for file in files:
        path = scratch / file.name
        for name, network, place in ((file.name, chosen, path), (of_teacher(file.name), teacher, _of_teacher(path))):
            sides[name] = partial(_open(file.form, run, network, place), image)
    return latency.measure(sides)


def _open(form: Format, run: Run, chosen: Chosen, path: Path) -> Runner:
    """A file, or for safetensors its network, with one thread for a single image."""
    if form == "onnx":
        return open_onnx(path, threads=1)
    if form == "torch-export":
        return open_torch_export(path)
    about = run.about_data
    return as_runner(Deployable(trained_network(run, chosen), about.mean, about.std).eval())


def _of_teacher(path: Path) -> Path:
    return path.with_name(of_teacher(path.name))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder beside the final names, so that giving a file its name is a rename."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix=".part-"))
    except OSError as error:
        raise ExportError(f"--out: can't write to {folder}: {error.strerror}; give another folder") from error
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
