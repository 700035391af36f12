"""Registry of networks by name, and their sizes.

A name is one of four: a registered network (``plain_cnn_2``), a member of a registered family (``wrn_28_10``), a
network of the package timm (``timm:resnet10t``), or the path ``module:callable`` of a user-defined factory. A factory
returns a network; it is called with those of the keywords ``num_classes``, ``in_channels`` and ``image_size`` that its
signature names. torchvision's networks are registered when a name is first not found among the others, and timm is
imported for its own names alone, so that the small networks never wait for either.
"""

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import ModuleType
from typing import TypeVar

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.data_config import DataConfig

TIMM = "timm:"  # before the name of a network of that package
TIMM_PACKAGE = "timm>=1.0.20"  # as in the extra of pyproject.toml

Factory = Callable[..., nn.Module]
AnyFactory = TypeVar("AnyFactory", bound=Factory)

_factories: dict[str, Factory] = {}
_families: dict[str, tuple[re.Pattern[str], Factory]] = {}
_listed: list[str] = []


class UnknownNetwork(ValueError):  # noqa: N818 (the name is the error)
    """Raised for a name that no network has, and for a ``module:callable`` path that can't be resolved."""


class ClassCountMismatch(ValueError):  # noqa: N818
    """Raised when a network's output does not have one logit per class."""


class LadderOrderError(ValueError):
    """Raised when a network of the ladder is not smaller than the one above it."""


def register(*network_names: str) -> Callable[[AnyFactory], AnyFactory]:
    """Returns a decorator that registers a factory under one or more names.

    Raises:
        ValueError: when a name is taken.
    """

    def decorate(factory: AnyFactory) -> AnyFactory:
        for name in network_names:
            if name in _factories:
                raise ValueError(f"network {name!r} is registered already; give the new factory another name")
            _factories[name] = factory
            _listed.append(name)
        return factory

    return decorate


def register_family(template: str, *, listed: Sequence[str] = ()) -> Callable[[AnyFactory], AnyFactory]:
    """Returns a decorator that registers a factory for all names of the form ``template``.

    Args:
        template: for example ``wrn_<depth>_<width>``; each ``<word>`` stands for a whole number, which is passed to the
            factory as a keyword of that name.
        listed: the members that ``names`` returns.

    Raises:
        ValueError: when the template is taken.
    """

    def decorate(factory: AnyFactory) -> AnyFactory:
        if template in _families:
            raise ValueError(f"family {template!r} is registered already; give the new factory another template")
        _families[template] = (re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[0-9]+)", template)), factory)
        _listed.extend(listed)
        return factory

    return decorate


def names() -> list[str]:
    """Returns all listed names: torchvision's are, timm's are not. A family may have more members than it lists."""
    _load_vision_zoo()
    return list(_listed)


def exists(name: str) -> bool:
    """Returns True if ``name`` has a factory. The factory may still refuse an argument, such as an odd depth."""
    try:
        _find(name)
    except UnknownNetwork:
        return False
    return True


def create(name: str, *, num_classes: int, in_channels: int = 3, image_size: int = 32) -> nn.Module:
    """Returns a new, randomly initialised network for images (batch, in_channels, image_size, image_size).

    Raises:
        UnknownNetwork: when the name has no factory.
        ValueError: for a number below one, an image shape that the network does not support, a module that can't be
            imported, and a factory that does not return a network.
    """
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    for field, value in shape.items():
        if value < 1:
            raise ValueError(f"{field}: found {value} for network {name!r}; give a whole number of at least 1")
    network = _call(name, _find(name), shape)
    if not isinstance(network, nn.Module):
        raise ValueError(f"network {name!r}: its factory returned a {type(network).__name__}; return a torch nn.Module")
    return network


def data_config(name: str) -> DataConfig | None:
    """Returns timm's data configuration of the weights that a network's name stands for; None for other names."""
    if not name.startswith(TIMM) or not exists(name):
        return None
    found: DataConfig | None = _timm_zoo(name).data_config(name.removeprefix(TIMM))
    return found


@dataclass(frozen=True)
class Capacity:
    """Size of a network: its trainable and frozen parameters, and the multiply-adds of one image's forward pass."""

    parameters: int
    multiply_adds: int

    def exceeds(self, other: "Capacity") -> bool:
        """Returns True if neither number is below the other's and at least one is above it (a strict partial order)."""
        return self != other and self.parameters >= other.parameters and self.multiply_adds >= other.multiply_adds

    def __str__(self) -> str:
        return f"{self.parameters:,} parameters, {self.multiply_adds:,} multiply-adds"


def capacity(name: str, *, num_classes: int, in_channels: int = 3, image_size: int = 32) -> Capacity:
    """Returns the size of a network. Multiply-adds count convolutions and matrix products, not biases and norms.

    The random state is left as it was.

    Raises:
        ClassCountMismatch: unless the logits of one image have the shape (1, num_classes).
        ValueError: when the network fails on an image of this shape, and as ``create``.
    """
    make = partial(create, name, num_classes=num_classes, in_channels=in_channels, image_size=image_size)
    image = (1, in_channels, image_size, image_size)
    try:
        # Tensors without storage: a network of any size is measured in no time and no memory.
        network, output, multiply_adds = _forward(make, image, "meta")
    except ValueError:
        raise
    except Exception:
        # Some networks read tensor values while they are built; those need real memory.
        try:
            network, output, multiply_adds = _forward(make, image, "cpu")
        except ValueError:
            raise
        except Exception as error:  # user-defined networks may raise anything
            why = " ".join(str(error).partition("Exception raised from")[0].split())  # PyTorch's frames follow that
            why = why if isinstance(error, RuntimeError) else f"{type(error).__name__}: {why}"
            raise ValueError(
                f"network {name!r} fails on an image of {in_channels} x {image_size} x {image_size}: {why}; "
                "choose another image_size, in_channels or network"
            ) from error
    found = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if found != (1, num_classes):
        raise ClassCountMismatch(
            f"network {name!r}: one image yields {found}, expected logits of shape {(1, num_classes)}; "
            f"make its last layer num_classes = {num_classes} wide and return that layer's output alone"
        )
    return Capacity(sum(parameter.numel() for parameter in network.parameters()), multiply_adds)


def check_ladder(
    network_names: Sequence[str], *, num_classes: int, in_channels: int = 3, image_size: int = 32
) -> list[Capacity]:
    """Returns each network's capacity, in the order of ``network_names``: the teacher first, the student last.

    Raises:
        LadderOrderError: unless every network's capacity exceeds that of the next (``Capacity.exceeds``).
    """
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    capacities = [capacity(name, **shape) for name in network_names]
    for (upper, upper_size), (lower, lower_size) in pairwise(zip(network_names, capacities, strict=True)):
        if not upper_size.exceeds(lower_size):
            remedy = "swap the two" if lower_size.exceeds(upper_size) else "take one of the two out"
            raise LadderOrderError(
                f"ladder: {upper!r} ({upper_size}) stands above {lower!r} ({lower_size}), but from one network to the "
                f"next neither number may rise and at least one must fall; {remedy}"
            )
    return capacities


def _find(name: str) -> Factory:
    if name.startswith(TIMM):
        return _timm_factory(name)
    if ":" in name:
        return _import_factory(name)
    factory = _registered(name)
    if factory is None:
        _load_vision_zoo()
        factory = _registered(name)
    if factory is not None:
        return factory
    nearest = difflib.get_close_matches(name, _listed, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(nearest)}?" if nearest else "models.names() lists them all."
    raise UnknownNetwork(f"network {name!r} is unknown: {hint} A user-defined network is named 'module:callable'.")


def _registered(name: str) -> Factory | None:
    if name in _factories:
        return _factories[name]
    for pattern, factory in _families.values():
        if match := pattern.fullmatch(name):
            return partial(factory, **{word: int(number) for word, number in match.groupdict().items()})
    return None


def _load_vision_zoo() -> None:
    importlib.import_module("models.vision_zoo")


def _timm_factory(name: str) -> Factory:
    zoo = _timm_zoo(name)
    try:
        found: Factory = zoo.factory(name.removeprefix(TIMM))
    except zoo.NoSuchModel as error:
        raise UnknownNetwork(f"network {name!r} is unknown: {error}") from error
    return found


def _timm_zoo(name: str) -> ModuleType:
    try:
        return importlib.import_module("models.timm_zoo")
    except ModuleNotFoundError as error:
        if error.name != "timm":
            raise
        raise ValueError(
            f"network {name!r}: the package timm is not installed; pip install '{TIMM_PACKAGE}', on every node"
        ) from error


def _import_factory(path: str) -> Factory:
    if not re.fullmatch(r"\w[\w.]*:\w+", path):
        raise UnknownNetwork(f"network {path!r}: a path reads 'module:callable', for example 'my_networks:tiny'")
    module_name, attribute = path.split(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            # The module exists; one of its own imports is missing.
            raise ValueError(
                f"network {path!r}: its module can't be imported: {error}; install what it needs"
            ) from error
        raise UnknownNetwork(
            f"network {path!r}: there is no module {error.name!r}; install it or put its folder on PYTHONPATH"
        ) from error
    except Exception as error:  # importing a user's module may raise anything
        raise ValueError(f"network {path!r}: its module can't be imported: {type(error).__name__}: {error}") from error
    factory = getattr(module, attribute, None)
    if not callable(factory):
        raise UnknownNetwork(f"network {path!r}: module {module_name!r} has no callable {attribute!r}; check its name")
    return factory


def _call(name: str, factory: Factory, shape: dict[str, int]) -> nn.Module:
    parameters = inspect.signature(factory).parameters
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    taken = {field: value for field, value in shape.items() if field in parameters}
    if open_ended:
        # The callee of **kwargs is unknown; the class count is the one keyword that all networks share.
        taken["num_classes"] = shape["num_classes"]
    if "num_classes" not in taken:
        raise ValueError(f"network {name!r}: its factory takes no num_classes; add that keyword")
    return factory(**taken)


def _forward(make: Callable[[], nn.Module], image: tuple[int, ...], device: str) -> tuple[nn.Module, object, int]:
    counter = FlopCounterMode(display=False)
    with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad(), _plain_attention():
        network = make().eval().requires_grad_(False)  # the counter's hooks fail on parameters that are a layer's input
        with counter:
            output = network(torch.zeros(image))
    return network, output, counter.get_total_flops() // 2


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Computes attention by plain matrix products, since FlopCounterMode does not see the fused CPU kernels."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
