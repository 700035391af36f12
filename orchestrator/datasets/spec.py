"""A recipe's ``dataset`` section, and the values that a data set returns: metadata, images, labels and subsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from orchestrator.datasets.names import IN_BUCKETS, MODULES, PHOTO_SETS, TABLES
from orchestrator.errors import UserError
from orchestrator.locations import PASSWORD, folder_or_uri, is_uri, local_path

if TYPE_CHECKING:
    from orchestrator.datasets.photos import Photos

TRAIN, VALIDATION, TEST = 0, 1, 2
"""Values of ``subset``: the part of the data that an image belongs to."""

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation by which photos are normalised, as torchvision's weights expect."""

DEFAULT_IMAGE_SIZE = 224
"""Edge in pixels of ``image_folder`` photos as the networks see them: ImageNet's usual crop."""

SHRUNK_QUALITY = 95
"""JPEG quality of photos that ingest stores in a smaller size."""


COLUMNS = ("image_column", "label_column")
# Added after data sets whose identities are to stay as they are.
LATER_FIELDS = ("white_level", "pack", "shrink", "severities", "validation_seed", "label_noise", *COLUMNS)


class DatasetError(UserError):
    """Raised when the data can't be used; the message names the field or file, what was found, and what to do."""


class SyntheticRecipe(BaseModel, extra="forbid", frozen=True, strict=True):
    """Size and noise of the ``synthetic`` set."""

    images: int = Field(default=512, description="training images, validation included")
    test_images: int = Field(default=128, description="test images")
    classes: int = Field(default=4, ge=2, description="number of classes")
    image_size: int = Field(default=16, ge=8, description="edge in pixels")
    channels: int = Field(default=1, ge=1, description="colour channels")
    noise: float = Field(
        default=0.3,
        ge=0.0,
        allow_inf_nan=False,
        description="standard deviation of the noise on the hardest images, for pixels in [0, 1]",
    )

    @model_validator(mode="after")
    def _enough_images(self) -> SyntheticRecipe:
        if self.images < 2 * self.classes:
            raise ValueError(f"images is {self.images}; {self.classes} classes need at least {2 * self.classes}")
        if self.test_images < self.classes:
            raise ValueError(f"test_images is {self.test_images}; {self.classes} classes need one image each")
        return self


class DatasetRecipe(BaseModel, extra="forbid", frozen=True, strict=True):
    """The recipe's part about data."""

    name: str = Field(description=", ".join(MODULES))
    root: str = Field(
        default="data",
        description="folder of a set that is read from files, absolute or from the folder that the run is started in; "
        f"of {' and '.join(IN_BUCKETS)} also a URI (s3://, gs://)",
    )
    download: bool = Field(default=True, description="fetch a CIFAR or Fashion-MNIST that is not in root")
    validation: int | float = Field(
        default=0.1,
        description="images (1 or more) or their share (between 0 and 1) cut from the training data, class by class; "
        "not used by an image_folder that has a validation folder of its own",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="seed of synthetic images, of damage and of label noise")
    validation_seed: int | None = Field(
        default=None,
        ge=0,
        lt=2**63,
        description="seed of the cut for validation alone, which no seed of students or of the ladder touches "
        "(default: seed)",
    )
    label_noise: float = Field(
        default=0.0,
        ge=0.0,
        lt=1.0,
        allow_inf_nan=False,
        description="share of the training labels that are replaced, each by another class drawn evenly; labels of "
        "validation and test images stay as they are",
    )
    skip_broken: bool = Field(default=False, description="leave broken images out; otherwise they stop the run")
    image_column: str = Field(default="image", description=f"{', '.join(TABLES)} only: column of the images")
    label_column: str = Field(default="label", description=f"{', '.join(TABLES)} only: column of the classes")
    image_size: int | None = Field(
        default=None, ge=8, description=f"sets of photos only: edge in pixels (default {DEFAULT_IMAGE_SIZE})"
    )
    white_level: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="sets of photos only: pixel value that is white in grey images of more than 8 bits (default: the "
        "largest of 16-bit integers, 1 for floats; 32-bit integers need it)",
    )
    pack: bool | None = Field(
        default=None,
        description="sets of photos only: true copies the photos, packed for random reads, into the storage, from "
        "where every node gets them (the default for tables, object stores, and with shrink); false (the default for "
        "image_folder in a mounted folder) reads them from root at every use, for which root must be a fast disk that "
        "each node has under the same path",
    )
    shrink: int | None = Field(
        default=None,
        ge=8,
        description="packed photos only: photos whose shorter side has more pixels are stored with one of so many "
        f"(JPEG, quality {SHRUNK_QUALITY}); changes results a little, and makes a set smaller and faster to decode",
    )
    severity: bool = Field(default=False, description="mnist5k only: damage each image by a known, drawn severity")
    severities: int = Field(
        default=1,
        ge=1,
        le=100,
        description="mnist5k with severity only: severities drawn for each validation and each test image, which then "
        "counts as that many images; training images have one",
    )
    synthetic: SyntheticRecipe = Field(default=SyntheticRecipe(), description="synthetic only: its size and noise")

    @field_validator("validation", mode="before")
    @classmethod
    def _whole_number_or_share(cls, value: object) -> object:
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        share = isinstance(value, float) and 0.0 < value < 1.0
        if not (whole or share):
            raise ValueError(f"{value!r} is neither a number of images (1 or more) nor a share between 0 and 1")
        return value

    @field_validator("root")
    @classmethod
    def _folder_or_uri(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("name") not in IN_BUCKETS:
            return local_path(value)
        if PASSWORD.search(value):
            raise ValueError(
                "holds a password, which the report would show; give the credentials in the environment instead "
                "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
            )
        return folder_or_uri(value)

    @model_validator(mode="after")
    def _fields_fit_the_set(self) -> DatasetRecipe:
        # A field without effect is a mistake in the recipe.
        photos = ", ".join(PHOTO_SETS)
        if self.image_size is not None and self.name not in PHOTO_SETS:
            raise ValueError(f"image_size is for {photos} only; {self.name} has a fixed size: remove the field")
        if self.white_level is not None and self.name not in PHOTO_SETS:
            raise ValueError(f"white_level is for {photos} only; {self.name} has 8 bits a pixel: remove the field")
        for field in COLUMNS:
            if self.name not in TABLES and getattr(self, field) != type(self).model_fields[field].default:
                raise ValueError(f"{field} is for {', '.join(TABLES)} only, not {self.name}: remove the field")
        for field in ("pack", "shrink"):
            if self.name not in PHOTO_SETS and getattr(self, field) is not None:
                raise ValueError(f"{field} is for {photos} only, not {self.name}: remove the field")
        if self.shrink is not None and self.pack is False:
            raise ValueError("shrink is for packed photos, and pack is false: remove one of the two fields")
        if self.pack is False and not self._in_place:
            raise ValueError(
                f"pack is false, and photos of {self.name} at {self.root} can't be read in place: remove the field"
            )
        if self.severity and self.name != "mnist5k":
            raise ValueError(f"severity is for mnist5k only, not {self.name}: remove the field")
        if self.severities > 1 and not self.severity:
            raise ValueError(f"severities is {self.severities} but severity is not set: set severity, or remove it")
        if self.name != "synthetic" and self.synthetic != SyntheticRecipe():
            raise ValueError(f"synthetic is for the set of that name, not {self.name}: remove the field")
        return self

    @property
    def cut_seed(self) -> int:
        """Seed of the cut for validation."""
        return self.seed if self.validation_seed is None else self.validation_seed

    @property
    def packed(self) -> bool:
        """Whether ingest copies photos into its artifact."""
        needed = self.shrink is not None or not self._in_place
        return self.name in PHOTO_SETS and needed if self.pack is None else self.pack

    @property
    def _in_place(self) -> bool:
        """Whether photos can be read where they are: from files of their own on a mounted file system."""
        return self.name not in TABLES and not is_uri(self.root)

    @model_serializer(mode="wrap")
    def _without_unset_fields(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Left out of the plain form when unset, so that the identity of data sets without them does not change.
        plain = serialise(self)
        if "pack" in plain:
            plain["pack"] = self.packed or None
        unset = {field: type(self).model_fields[field].default for field in LATER_FIELDS}
        return {field: value for field, value in plain.items() if field not in unset or value != unset[field]}


@dataclass(frozen=True)
class DatasetInfo:
    """Metadata of a data set, known before any image is read.

    Attributes:
        classes: the number of classes.
        image_shape: (channels, height, width) of the networks' input.
        fingerprint: SHA-256 in hex that changes when the source does. It does not depend on paths outside the set, the
            time, the machine, or the recipe's own fields (cut, severity, image size), except where these are the source
            (``synthetic``).
        train_images: training images after validation is cut, broken ones included.
        test_images: test images, broken ones included.
        notes: sentences on files that are left out of the set and classes missing from a subset.
        class_names: in the order of the labels; empty if they are not known before the set is read.
    """

    classes: int
    image_shape: tuple[int, int, int]
    fingerprint: str
    train_images: int
    test_images: int
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArrayImages:
    """A set that fits in memory.

    Attributes:
        images: uint8 (N, height, width, channels).
        labels: int64 (N,).
        subset: uint8 (N,) of TRAIN, VALIDATION, TEST.
        severity: float32 (N,) in [0, 1) where the true difficulty is known, else None.
        class_names: one name a class.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    subset: NDArray[np.uint8]
    severity: NDArray[np.float32] | None
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class FileImages:
    """A set of encoded photos.

    Attributes:
        photos: content and name of each, (N,).
        place: the folder or address that the names are relative to, for messages.
        labels, subset, class_names: as in ArrayImages.
    """

    photos: Photos
    place: str
    labels: NDArray[np.int64]
    subset: NDArray[np.uint8]
    class_names: tuple[str, ...]
