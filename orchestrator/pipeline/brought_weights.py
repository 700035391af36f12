"""Files of weights that a recipe names for its experts, and their hashes. Imports neither torch nor ray."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from orchestrator.artifacts.store import file_sha256
from orchestrator.recipe.ladder import LadderNetwork
from orchestrator.recipe.schema import RecipeError
from orchestrator.user_code import TIMM

PUBLISHED = "timm"  # in place of a file: the weights that timm has published under the network's name
WEIGHTS, CONFIG = "model.safetensors", "config.json"  # of each of timm's repositories on the Hugging Face hub


def weights_file(network: LadderNetwork) -> Path:
    """Returns the file of a network's weights; published ones are fetched into the Hugging Face cache if need be.

    Raises:
        RecipeError: for published weights that are neither in the cache nor to be had.
    """
    assert network.weights is not None
    if network.weights != PUBLISHED:
        return Path(network.weights).expanduser()
    name = network.name.removeprefix(TIMM)
    if name == network.name or "." not in name:
        raise RecipeError(
            f"ladder.networks: {network.name} has weights: {PUBLISHED}, which is for a name with its tag, such as "
            f"timm:resnet18.a1_in1k; timm.list_pretrained('resnet18*') lists them, and a file of that name is ./timm"
        )
    return _published(name)


def _published(name: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
    except ModuleNotFoundError as error:
        raise RecipeError(
            f"ladder.networks: weights: {PUBLISHED} needs the package timm, which is not installed; pip install timm"
        ) from error
    repository = f"timm/{name}"
    cached = try_to_load_from_cache(repository, WEIGHTS)
    if isinstance(cached, str):
        return Path(cached)
    try:
        hf_hub_download(repository, CONFIG)
        return Path(hf_hub_download(repository, WEIGHTS))
    except Exception as error:  # of the hub's client, or of the HTTP client below it, which is no dependency of ours
        reason = " ".join(str(error).split())[:200]
        raise RecipeError(
            f"ladder.networks: the weights of timm:{name} are not in the Hugging Face cache and can't be fetched: "
            f"{reason}. Where there is a network: hf download {repository} {WEIGHTS} {CONFIG}; then bring the cache "
            f"(HF_HOME) here, or put both files into a folder and name the first as weights"
        ) from error


def sha256_of_weights(place: Path) -> str:
    """Returns the SHA-256 of a file of weights, which is read once as long as it does not change.

    Raises:
        RecipeError: when there is no such file, or it can't be read.
    """
    try:
        if place.is_file() or not place.exists():
            facts = place.stat()
            return _sha256(place, facts.st_size, facts.st_mtime_ns)
    except (OSError, ValueError) as error:  # ValueError: a name that no file system takes
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"ladder.networks: weights file {place} can't be read: {reason}") from error
    kind = "a folder" if place.is_dir() else "no plain file"  # to read a pipe would wait without end
    raise RecipeError(f"ladder.networks: weights {place} is {kind}; name a .safetensors file")


@cache
def _sha256(place: Path, size: int, modified: int) -> str:
    """Returns the hash of a file of this size, modified at this time."""
    return file_sha256(place)
