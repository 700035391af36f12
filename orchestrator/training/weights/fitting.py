"""Loading of tensors into a network: all of them or none, with a note on every change made to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from orchestrator.training.weights.files import WeightsError

COUNTERS = ("n_averaged",)  # torch's AveragedModel counts in it, beside the averaged network's own tensors
OPTIONAL = "num_batches_tracked"  # batch norm counts in it; old files lack it, and no output depends on it
SHOWN = 3  # names that are listed as examples


def fit(network: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Put tensors into a network that has the same names and shapes, once a prefix that all names share is stripped.

    Returns one note for each change.

    Raises:
        WeightsError: when they do not fit, in counts and examples; for values that are not finite or no weights.
    """
    wanted = {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}
    notes = []
    counters = [name for name in COUNTERS if name in tensors and name not in wanted]
    if counters:
        tensors = {name: value for name, value in tensors.items() if name not in counters}
        notes.append(f"{', '.join(counters)} is left out: it counts averaged weights and is none")
    prefix = _prefix(tensors, wanted)
    if prefix:
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    differences = _differences(tensors, wanted)
    if differences:
        after = f" (without the prefix '{prefix}' of its names)" if prefix else ""
        raise WeightsError(f"{differences}{after}")
    if prefix:
        notes.append(f"the prefix '{prefix}' of all its names is stripped")
    converted, types = _converted(tensors, wanted)
    # A network may have infinite values of its own, such as a mask's.
    learned = [name for name, value in converted.items() if not torch.equal(value, wanted[name])]
    check_finite({name: tensors[name] for name in learned})
    check_finite({name: converted[name] for name in learned}, "too large for the network's type")
    try:
        network.load_state_dict(converted)
    except RuntimeError as error:  # a user-defined network may ask for more than its own state
        raise WeightsError(" ".join(str(error).split())) from error
    return (*notes, *types)


def check_finite(tensors: Mapping[str, Tensor], what: str = "NaN or infinite") -> None:
    """Raise WeightsError, naming the tensors, where a value is not finite; ``what`` says what such values are."""
    floating = {name: value for name, value in tensors.items() if value.is_floating_point()}
    bad = {
        name: count
        for name, value in floating.items()
        # torch can't tell it of every type of one byte
        if (count := int((~torch.isfinite(value.float() if value.element_size() == 1 else value)).sum()))
    }
    if bad:
        first, count = next(iter(bad.items()))
        others = f", and {_examples(list(bad)[1:], 'tensor')} are like it" if len(bad) > 1 else ""
        raise WeightsError(
            f"tensor '{first}' holds {count:,} values that are {what}, of {tensors[first].numel():,}{others}; "
            "take weights from before their training diverged"
        )


def type_name(kind: torch.dtype) -> str:
    """Returns fp16, bf16, fp32, fp64, or torch's name."""
    word = str(kind).removeprefix("torch.")
    return {"float16": "fp16", "bfloat16": "bf16", "float32": "fp32", "float64": "fp64"}.get(word, word)


def _prefix(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Returns the prefix, whole words as in ``module._orig_mod.``, without which the most names are the network's."""
    names, best, prefix = list(tensors), "", ""
    most = len(wanted.keys() & set(names))
    while names:
        word, dot, _ = names[0].partition(".")
        if not dot or not all(name.startswith(f"{word}.") for name in names):
            break
        prefix += f"{word}."
        names = [name.removeprefix(f"{word}.") for name in names]
        found = len(wanted.keys() & set(names))
        if found > most:
            most, best = found, prefix
    return best


def _differences(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Returns the differences in names and shapes in words; empty where tensors fit."""
    missing = [name for name in wanted if name not in tensors and not name.endswith(OPTIONAL)]
    unexpected = [name for name in tensors if name not in wanted]
    shapes = [name for name in wanted if name in tensors and tensors[name].shape != wanted[name].shape]
    if not (missing or unexpected or shapes):
        return ""
    fitting = sum(name in tensors for name in wanted) - len(shapes)
    parts = [f"{fitting} of its {len(wanted)} tensors fit"]
    if missing:
        parts.append(f"the file lacks {_examples(missing)}")
    if unexpected:
        parts.append(f"the file has {_examples(unexpected)} which the network has not")
    if shapes:
        each = (
            f"'{name}' is {tuple(tensors[name].shape)} in the file, {tuple(wanted[name].shape)} in the network"
            for name in shapes[:SHOWN]
        )
        more = f", and {len(shapes) - SHOWN} more" if len(shapes) > SHOWN else ""
        parts.append(f"{len(shapes)} of other shape: {', '.join(each)}{more}")
    return "; ".join(parts)


def _examples(names: Sequence[str], noun: str = "name") -> str:
    shown = ", ".join(f"'{name}'" for name in names[:SHOWN])
    return f"{len(names)} {noun}{'' if len(names) == 1 else 's'} ({shown}{', ...' if len(names) > SHOWN else ''})"


def _converted(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Iterable[str]]:
    """Returns tensors in the network's types, and notes on the conversions."""
    changed: Counter[tuple[str, str]] = Counter()
    converted = {}
    for name, value in tensors.items():
        kind = wanted[name].dtype
        if kind.is_floating_point and not value.is_floating_point():
            raise WeightsError(
                f"tensor '{name}' holds {type_name(value.dtype)}, no floating-point numbers; quantised weights can't "
                "be loaded, take those from before they were quantised"
            )
        if value.dtype != kind and kind.is_floating_point:
            changed[type_name(value.dtype), type_name(kind)] += 1
        converted[name] = value.to(kind)
    return converted, [
        f"{count} {'tensor' if count == 1 else 'tensors'} of {before} converted to {after}"
        for (before, after), count in changed.items()
    ]
