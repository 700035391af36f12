"""Networks of the package timm: ``timm:<name>``, or ``timm:<name>.<tag>`` for one of its sets of weights.

They start from random weights; a tag only says which data configuration belongs to weights that are loaded. This module
alone imports timm, an extra of this project; ``models.registry`` imports it when such a network is first asked for.
"""

from __future__ import annotations

import difflib
from functools import partial
from typing import Any

import timm
from timm.layers import BatchNormAct2d as TimmBatchNormAct2d
from torch import nn

from models.data_config import DataConfig
from models.norm_act import BatchNormAct2d


class NoSuchModel(LookupError):  # noqa: N818 (the name is the error)
    """Raised for a name or a tag that timm has not; the message names those that are near."""


def factory(name: str) -> partial[nn.Module]:
    """Returns the factory of the model that timm has under a name.

    Raises:
        NoSuchModel: when it has none.
    """
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0.5)
        raise NoSuchModel(f"did you mean {' or '.join(near)}?" if near else "timm.list_models() lists them all.")
    tags = [each.partition(".")[2] for each in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        there = f"the tags of {architecture} are {', '.join(tags)}" if tags else f"{architecture} has no tags"
        raise NoSuchModel(f"timm {timm.__version__} has no weights '{tag}'; {there}.")
    return partial(timm_network, name)


def timm_network(name: str, num_classes: int, in_channels: int, image_size: int) -> nn.Module:
    """Returns a network of timm: images (batch, in_channels, image_size, image_size) -> logits (batch, num_classes).

    A network that is made for one image size, as vision transformers are, is made for ``image_size``.

    Raises:
        ValueError: for images that the network can't be made for.
    """
    options: dict[str, Any] = {}
    if getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
        options["img_size"] = image_size
    try:
        network = timm.create_model(name, num_classes=num_classes, in_chans=in_channels, **options)
    except (AssertionError, ValueError, TypeError, RuntimeError) as error:
        why = " ".join(str(error).split()) or "it is made for another size"
        raise ValueError(
            f"image_size: 'timm:{name}' can't be made for images of {in_channels} x {image_size} x {image_size}: {why}"
        ) from error
    patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
    if isinstance(patch, tuple) and any(image_size % edge for edge in patch):
        raise ValueError(
            f"image_size: 'timm:{name}' cuts images into patches of {patch[0]} pixels and would not see the rest of "
            f"{image_size}; choose a multiple of {patch[0]}, or another network"
        )
    _replace_norms(network)
    return network


def data_config(name: str) -> DataConfig | None:
    """Returns the data configuration of a model's weights: those of its tag, else timm's usual ones; None without any.

    Raises:
        NoSuchModel: when timm has no such model or tag.
    """
    factory(name)
    found = timm.get_pretrained_cfg(name)
    if found is None or not found.has_weights:
        return None
    architecture, _, _ = name.partition(".")
    weights = f"{architecture}.{found.tag}" if found.tag else architecture
    return DataConfig(
        f"timm's configuration of {weights}", tuple(found.mean), tuple(found.std), found.input_size[-1],
        found.num_classes,
    )  # fmt: skip


def _replace_norms(module: nn.Module) -> None:
    """Replace timm's layers of batch normalisation and activation by those of ``models.norm_act``."""
    for name, child in module.named_children():
        if type(child) is TimmBatchNormAct2d:
            setattr(module, name, BatchNormAct2d(child, child.drop, child.act))
        else:
            _replace_norms(child)
