"""Checks before anything trains that need torch or the storage: networks, weights, tracking, warm starts."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from orchestrator.artifacts import dataset
from orchestrator.artifacts.reading import StoredFiles
from orchestrator.artifacts.store import Artifact, Store
from orchestrator.datasets.names import PHOTO_SETS
from orchestrator.datasets.registry import DatasetInfo
from orchestrator.datasets.spec import IMAGENET_MEAN, IMAGENET_STD
from orchestrator.pipeline.brought_weights import weights_file
from orchestrator.pipeline.graph import Plan
from orchestrator.recipe.choices import NormalisationSpec
from orchestrator.recipe.schema import Recipe, RecipeError
from orchestrator.tracking.settings import tracking_of

PACKAGES = {"mlflow": "mlflow-skinny>=3", "wandb": "wandb>=0.31"}  # as in the extras of pyproject.toml


def check_networks(recipe: Recipe, data: DatasetInfo) -> list[dict[str, int]]:
    """Check the ladder's networks: each exists, returns one logit a class, and is smaller than the last.

    Returns:
        Parameters and multiply-adds of each entry of the ladder; of a snapshot those of its network.

    Raises:
        RecipeError: naming the network, with the numbers.
    """
    from models import registry

    channels, height, _ = data.image_shape
    try:
        names = [network.name for network in recipe.ladder.trained]
        sizes = registry.check_ladder(names, num_classes=data.classes, in_channels=channels, image_size=height)
    except ValueError as error:
        raise RecipeError(f"ladder.networks: {str(error).removeprefix('ladder: ')}") from error
    of_network = dict(zip(names, sizes, strict=True))
    every = [of_network[network.name] for network in recipe.ladder.networks]
    return [{"parameters": size.parameters, "multiply_adds": size.multiply_adds} for size in every]


def check_weights(
    recipe: Recipe, data: DatasetInfo, given: NormalisationSpec | None, say: Callable[[str], None]
) -> list[str]:
    """Check that imported weights fit their networks, and return how their images differ from the data's.

    Args:
        recipe: the recipe.
        data: metadata of its data set.
        given: the data's normalisation, where it is known (``normalisation_of``).
        say: called with a line for each conversion of imported weights.

    Returns:
        A sentence on each difference in size or normalisation between the images of the weights' training and the data.

    Raises:
        RecipeError: naming the network, with the differences in names and shapes.
    """
    from orchestrator.pipeline.specs import NetworkSpec
    from orchestrator.training.networks import open_network
    from orchestrator.training.weights.data_config import data_config_of, mismatches
    from orchestrator.training.weights.files import check_classes

    channels, height, _ = data.image_shape
    found: list[str] = []
    for network in recipe.ladder.networks:
        if not network.weights:
            continue
        declared = network.normalisation
        if declared and len(declared.mean) != channels:
            raise RecipeError(
                f"ladder.networks: the normalisation of {network.name} has {len(declared.mean)} channels, the images "
                f"have {channels}; give as many"
            )
        spec = NetworkSpec(name=network.name, classes=data.classes, channels=channels, image_size=height)
        path = weights_file(network)
        try:
            opened = open_network(spec, path)
            check_classes(path, opened.class_names, data.class_names)
        except ValueError as error:
            raise RecipeError(f"ladder.networks: {error}") from error
        for note in opened.notes:
            say(f"weights {path}: {note}")
        wanted = data_config_of(path, spec)
        found += mismatches(spec, wanted, given, declared) if wanted else []
    return found


def normalisation_of(recipe: Recipe, ingested: Artifact | None, store: Store) -> NormalisationSpec | None:
    """Returns the normalisation of a recipe's images.

    None where it is known after the set is read, or no weights are there to be compared with it.
    """
    if not any(network.weights for network in recipe.ladder.networks):
        return None
    if ingested is not None:
        about = dataset.read_about(StoredFiles(store, ingested.identity))
        return NormalisationSpec(mean=about.mean, std=about.std)
    if recipe.dataset.name in PHOTO_SETS:
        return NormalisationSpec(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return None


def check_warm_start(planned: Plan, store: Store) -> None:
    """Check that each search of ``search.warm_start`` exists and has the same inputs as one of this run's searches.

    Raises:
        RecipeError: naming the search.
    """
    wanted = [{role: stage.identity for role, stage in search.inputs} for search in planned.searches.values()]
    for identity in planned.recipe.search.warm_start:
        artifact = store.find(identity)
        if artifact is None:
            raise RecipeError(
                f"search.warm_start: {identity} is not in the storage; give the name of a search's folder below "
                "artifacts/ (--dry-run prints it)"
            )
        if artifact.inputs not in wanted:
            raise RecipeError(
                f"search.warm_start: {identity} was made over other data, experts or scores than this recipe's "
                "searches; leave it out"
            )


def check_tracking(recipe: Recipe, store: Store) -> None:
    """Check that the tracking client is installed and that it has a server or database.

    Raises:
        RecipeError: with the command that installs it, or the field to set.
    """
    tracking_of(recipe, store)
    if recipe.tracking != "none" and importlib.util.find_spec(recipe.tracking) is None:
        raise RecipeError(
            f"tracking is {recipe.tracking}, but its Python package is not installed; "
            f"pip install '{PACKAGES[recipe.tracking]}', on every node, or set tracking=none"
        )
