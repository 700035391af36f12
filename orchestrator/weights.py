"""Command ``python -m orchestrator.weights``: lists a checkpoint's contents and converts it to safetensors."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from orchestrator.last_resort import run_command
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.training.networks import fill
from orchestrator.training.weights.checkpoints import read_checkpoint, weights_of
from orchestrator.training.weights.files import Weights, WeightsError, check_is_file, write_safetensors
from orchestrator.training.weights.fitting import check_finite, type_name

DONE = 0
SUFFIX = ".safetensors"


def main(arguments: Sequence[str] | None = None) -> int:
    """Show or convert a file of weights; returns the exit code (see ``last_resort.run_command``)."""
    options = _parser().parse_args(arguments)
    return run_command(
        lambda interruption: _run(options), interrupted="interrupted; nothing was written", verbose=options.verbose
    )


def _run(options: argparse.Namespace) -> int:
    path = Path(options.file).expanduser()
    target = None if options.out is None else _target(options.out, path)
    checkpoint = read_checkpoint(path)
    taken = checkpoint.choose(options.key)
    _say(f"{path}: took {_words(taken.key, len(taken.tensors))}; {_types(taken.tensors)}")
    for other in checkpoint.state_dicts:
        if other is not taken:
            _say(f"  not taken: {_words(other.key, len(other.tensors))}; --key {other.key} takes it")
    if taken.others:
        _say(f"  left out, not tensors: {', '.join(taken.others)}")
    names = checkpoint.class_names if options.class_names is None else _class_names(Path(options.class_names))
    weights = weights_of(taken, names)
    if options.network is not None:
        weights = _fitted(weights, path, options)
    else:
        try:
            check_finite(weights.tensors)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from error
    _say(f"  classes: {len(names)}, {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else
         "  classes: not named in the file")  # fmt: skip
    if target is None:
        _say("nothing is written without --out")
        return DONE
    _write(target, weights)
    _say(f"written: {target}")
    if options.network is None:
        _say("not compared with a network: --network NAME --classes N does that, and so does the start of a run")
    return DONE


def _fitted(weights: Weights, path: Path, options: argparse.Namespace) -> Weights:
    """Returns the weights with the network's names, shapes and types."""
    if options.classes is None:
        raise WeightsError("--classes: give the number of classes with --network")
    names = weights.class_names
    if names is not None and len(names) != options.classes:
        raise WeightsError(f"--classes {options.classes}: {len(names)} classes are named, so one of the two is wrong")
    spec = NetworkSpec(
        name=options.network, classes=options.classes, channels=options.channels, image_size=options.image_size
    )
    try:
        opened = fill(spec, weights, path)
    except WeightsError:
        raise
    except ValueError as error:  # no such network, or not of this shape
        raise WeightsError(f"--network: {error}") from error
    for note in opened.notes:
        _say(f"  {note}")
    _say(f"  fits {spec.name} with {spec.classes} classes, {spec.channels} channels at {spec.image_size} pixels")
    state = {name: value.clone().contiguous() for name, value in opened.network.state_dict().items()}
    return Weights(state, names)


def _target(out: str, source: Path) -> Path:
    target = Path(out).expanduser()
    try:
        if target.suffix != SUFFIX:
            raise WeightsError(f"--out: found '{out}'; give a file whose name ends in {SUFFIX}")
        if not target.parent.is_dir():
            raise WeightsError(f"--out: there is no folder {target.parent}; make it, or name another file")
        if target.is_dir() or (target.exists() and source.exists() and target.samefile(source)):
            raise WeightsError(f"--out: {target} is {'a folder' if target.is_dir() else 'the file that is read'}; "
                               "name another file")  # fmt: skip
    except OSError as error:
        raise WeightsError(f"--out: {out[:80]} can't be written: {error.strerror}; name another file") from error
    return target


def _write(target: Path, weights: Weights) -> None:
    """Write to a temporary file beside the target and rename it, so that the target is never incomplete."""
    try:
        handle, part = tempfile.mkstemp(dir=target.parent, prefix=".part-")
        os.close(handle)
        try:
            write_safetensors(Path(part), weights.tensors, weights.class_names)
            os.chmod(part, 0o644)
            os.replace(part, target)
        finally:
            Path(part).unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"--out: {target} can't be written: {getattr(error, 'strerror', None) or error}") from error


def _class_names(path: Path) -> tuple[str, ...]:
    check_is_file(path)
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"--class-names: {path} can't be read as text: {error}") from error
    if len(names) < 2 or len(set(names)) < len(names):
        found = "the same name twice" if len(names) > 1 else f"{len(names)} names"
        raise WeightsError(f"--class-names: {path} has {found}; write one name a line, in the order of the logits")
    return tuple(names)


def _words(key: str, count: int) -> str:
    place = "the state dict that the file is" if key == "." else f"state dict '{key}'"
    return f"{place} ({count} tensor{'' if count == 1 else 's'})"


def _types(tensors: Mapping[str, Tensor]) -> str:
    counted = Counter(type_name(value.dtype) for value in tensors.values())
    return ", ".join(f"{count} of {name}" for name, count in counted.items())


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.weights",
        description="List the contents of a PyTorch checkpoint (.pth, .pt, .ckpt) or safetensors file, and write its "
        "weights as safetensors for a recipe's ladder.networks. No code of the file is run.",
        epilog="Exit code: 0 done, 2 bad input. More: docs/ladder.md",
    )
    add = parser.add_argument
    add("file", metavar="FILE", help="the file to read")
    add("--out", metavar="FILE", help=f"the file to write, which ends in {SUFFIX}; without it nothing is written")
    add("--key", metavar="KEY", help="the state dict to take, of several: a name such as model_ema, or a.b for a "
        "nested one, or . for the file's top level")  # fmt: skip
    add("--class-names", metavar="FILE", help="a text file with a class name a line, in the order of the logits, to be "
        "stored with the weights")  # fmt: skip
    add("--network", metavar="NAME", help="check that the weights fit this network, and write them with its names")
    add("--classes", type=int, metavar="N", help="with --network: the number of classes")
    add("--channels", type=int, default=3, metavar="N", help="with --network: channels of an image (default: 3)")
    add("--image-size", type=int, default=32, metavar="N", help="with --network: its edge in pixels (default: 32)")
    add("--verbose", action="store_true", help="show the traceback of an error")
    return parser


if __name__ == "__main__":
    sys.exit(main())
