"""Networks whose passes run as code that torch.compile makes: ``training.compile``."""

from __future__ import annotations

import os
import shutil

from torch import nn

_COMPILERS = ("c++", "g++", "clang++")


def compile_network(network: nn.Module) -> None:
    """Let a network's passes be compiled when they first run; names in its ``state_dict`` stay as they are.

    Code is made for each size of batch, of which a training has a few: one that holds for all sizes is slower.

    Raises:
        ValueError: when there is no C++ compiler, which torch.compile needs.
    """
    if not os.environ.get("CXX") and not any(shutil.which(name) for name in _COMPILERS):
        raise ValueError(
            f"training.compile: no C++ compiler was found (looked for {', '.join(_COMPILERS)}, and CXX in the "
            "environment); install one, or set training.compile to off"
        )
    network.compile(dynamic=False)
