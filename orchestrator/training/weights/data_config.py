"""Input that imported weights were trained on, and its differences from the input that a run gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from models import registry
from models.data_config import DataConfig
from orchestrator.pipeline.specs import NetworkSpec
from orchestrator.recipe.choices import NormalisationSpec

CONFIG = "config.json"  # beside weights of timm, as the Hugging Face hub and timm.save_for_hf write it
SAME = 0.01  # difference between means or standard deviations of pixels in [0, 1] that no network notices


def data_config_of(path: Path, network: NetworkSpec) -> DataConfig | None:
    """Returns the data configuration of a file of weights; None where none is known.

    It is looked for in the file itself, as an export of this program has it; in a ``config.json`` beside it that is
    about the same architecture; and in timm, for a name with a tag, or with as many classes as timm's weights have.
    """
    return _in_file(path) or _beside(path, network.name) or _of_timm(network)


def mismatches(
    network: NetworkSpec, wanted: DataConfig, given: NormalisationSpec | None, declared: NormalisationSpec | None
) -> list[str]:
    """Returns a sentence on each difference between the input that weights want and the one that they are given.

    Args:
        network: the weights' network, with the images' size.
        wanted: what the weights were trained on.
        given: the data's normalisation, None where it is not known yet.
        declared: the normalisation that the recipe says the weights want.
    """
    found = []
    if wanted.mean and wanted.std:
        want, have = NormalisationSpec(mean=wanted.mean, std=wanted.std), declared or given
        if have is not None and not _alike(want, have):
            whose = "the recipe's normalisation has" if declared else "the data's images have"
            found.append(
                f"the weights of {network.name} were trained on images of {_words(want)} ({wanted.source}), {whose} "
                f"{_words(have)}: set normalisation: {_yaml(want)} in its line of ladder.networks, and its input is "
                "converted"
            )
    if wanted.image_size and wanted.image_size != network.image_size:
        found.append(
            f"the weights of {network.name} were trained on images of {wanted.image_size} pixels ({wanted.source}), "
            f"the data's have {network.image_size}: it is less accurate than published; photos are made larger or "
            f"smaller by dataset.image_size"
        )
    return found


def _in_file(path: Path) -> DataConfig | None:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError):
        return None  # whatever reads the tensors says what is wrong
    size = metadata.get("image_size", "")
    mean, std = (_numbers(_json(metadata.get(field, "null"))) for field in ("mean", "std"))
    if not (mean and std):
        return None
    return DataConfig(f"in {path.name}", mean, std, int(size) if size.isdecimal() else None)


def _beside(path: Path, name: str) -> DataConfig | None:
    try:
        content = _json((path.parent / CONFIG).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    if not isinstance(content, Mapping) or content.get("architecture") != name.partition(":")[2].partition(".")[0]:
        return None
    fields = content.get("pretrained_cfg", content)
    if not isinstance(fields, Mapping):
        return None
    shape = _numbers(fields.get("input_size"))
    return DataConfig(
        f"{CONFIG} beside {path.name}", _numbers(fields.get("mean")), _numbers(fields.get("std")),
        int(shape[-1]) if shape else None,
    )  # fmt: skip


def _of_timm(network: NetworkSpec) -> DataConfig | None:
    found = registry.data_config(network.name)
    # Weights with other classes and no tag are of another training.
    return found if found and ("." in network.name or found.classes == network.classes) else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _numbers(value: Any) -> tuple[float, ...] | None:
    if not isinstance(value, (list, tuple)) or not value or not all(isinstance(each, (int, float)) for each in value):
        return None
    return tuple(map(float, value))


def _alike(one: NormalisationSpec, other: NormalisationSpec) -> bool:
    pairs = ((one.mean, other.mean), (one.std, other.std))
    return all(
        len(first) == len(second) and all(abs(a - b) <= SAME for a, b in zip(first, second, strict=True))
        for first, second in pairs
    )


def _words(normalisation: NormalisationSpec) -> str:
    return f"mean {_list(normalisation.mean)} and standard deviation {_list(normalisation.std)}"


def _yaml(normalisation: NormalisationSpec) -> str:
    return f"{{mean: {_list(normalisation.mean)}, std: {_list(normalisation.std)}}}"


def _list(numbers: Sequence[float]) -> str:
    return f"[{', '.join(f'{number:.4g}' for number in numbers)}]"
