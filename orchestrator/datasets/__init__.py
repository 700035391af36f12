"""Data sets: the registry of names that a recipe can use, their metadata, and their readers.

Importing this package imports neither torch nor torchvision, so that a run with nothing left to do ends at once.
"""

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
    "load",
    "names",
]
