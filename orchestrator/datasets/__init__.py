"""Data sets: what can be named in a recipe, what it holds, and how it is read.

Importing this package imports neither torch nor torchvision, so that a run with nothing left to do answers at once.
"""

# Each family registers itself when it is imported.
from orchestrator.datasets import image_folder, mnist5k, synthetic, torchvision_sets, user_set
from orchestrator.datasets.checks import check_arrays, check_brightness, emptied
from orchestrator.datasets.registry import check_present, describe, load, names
from orchestrator.datasets.spec import (
    TEST,
    TRAIN,
    VALIDATION,
    ArrayImages,
    DatasetError,
    DatasetInfo,
    DatasetRecipe,
    FileImages,
    SyntheticRecipe,
)
from orchestrator.datasets.split import cut_validation

__all__ = [
    "TEST",
    "TRAIN",
    "VALIDATION",
    "ArrayImages",
    "DatasetError",
    "DatasetInfo",
    "DatasetRecipe",
    "FileImages",
    "SyntheticRecipe",
    "check_arrays",
    "check_brightness",
    "check_present",
    "cut_validation",
    "describe",
    "emptied",
    "image_folder",
    "load",
    "mnist5k",
    "names",
    "synthetic",
    "torchvision_sets",
    "user_set",
]
