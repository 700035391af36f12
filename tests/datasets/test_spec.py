"""The recipe's section ``dataset``."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from orchestrator.datasets import DatasetRecipe, SyntheticRecipe


@pytest.mark.parametrize("validation", [1, 500, 0.1, 0.999])
def test_validation_is_a_number_of_images_or_a_share(validation: int | float) -> None:
    kept = DatasetRecipe(name="cifar10", validation=validation).validation
    assert kept == validation and type(kept) is type(validation)


@pytest.mark.parametrize("validation", [0, -1, 0.0, 1.0, 1.5, True, "0.1", float("nan")])
def test_any_other_validation_is_refused(validation: Any) -> None:
    with pytest.raises(ValidationError, match="neither a number of images"):
        DatasetRecipe(name="cifar10", validation=validation)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "cifar10", "image_size": 64},
        {"name": "cifar10", "severity": True},
        {"name": "mnist5k", "synthetic": {"images": 64}},
    ],
)
def test_a_field_of_another_set_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="remove the field"):
        DatasetRecipe.model_validate(fields)


@pytest.mark.parametrize("fields", [{"images": 7}, {"test_images": 3}, {"classes": 1}, {"noise": float("inf")}])
def test_a_synthetic_set_that_cannot_be_made_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SyntheticRecipe(**fields)


def test_the_cut_has_the_seed_of_the_set_unless_it_has_one_of_its_own() -> None:
    assert DatasetRecipe(name="cifar10", seed=5).cut_seed == 5
    assert DatasetRecipe(name="cifar10", seed=5, validation_seed=0).cut_seed == 0


@pytest.mark.parametrize("field", ["validation_seed", "label_noise"])
def test_a_later_field_is_left_out_of_the_serial_form_by_default(field: str) -> None:
    plain = DatasetRecipe(name="cifar10").model_dump()
    assert field not in plain
    changed = DatasetRecipe.model_validate(plain | {field: 0 if field == "validation_seed" else 0.4})
    assert field in changed.model_dump() and DatasetRecipe.model_validate(changed.model_dump()) == changed


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_label_noise_that_is_no_share_is_refused(share: float) -> None:
    with pytest.raises(ValidationError, match="label_noise"):
        DatasetRecipe(name="cifar10", label_noise=share)


def test_a_recipe_comes_back_the_same_from_its_serial_form() -> None:
    recipe = DatasetRecipe(name="mnist5k", severity=True, validation=400)
    assert DatasetRecipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize("model", [DatasetRecipe, SyntheticRecipe])
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize(
    ("fields", "packed"),
    [({}, False), ({"pack": False}, False), ({"pack": True}, True), ({"shrink": 256}, True)],
)
def test_photos_are_packed_where_the_recipe_says_or_shrinks_them(fields: dict[str, Any], packed: bool) -> None:
    assert DatasetRecipe(name="image_folder", **fields).packed is packed


def test_photos_read_in_place_have_the_identity_of_a_recipe_that_does_not_speak_of_packing() -> None:
    plain = DatasetRecipe(name="image_folder").model_dump(mode="json")
    assert DatasetRecipe(name="image_folder", pack=False).model_dump(mode="json") == plain
    assert "pack" not in plain and "shrink" not in plain
    assert DatasetRecipe(name="image_folder", pack=True).model_dump(mode="json") == plain | {"pack": True}
    shrunk = DatasetRecipe(name="image_folder", shrink=64)
    assert shrunk.model_dump(mode="json") == plain | {"pack": True, "shrink": 64}
    assert DatasetRecipe.model_validate(shrunk.model_dump(mode="json")) == shrunk.model_copy(update={"pack": True})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"name": "cifar10", "pack": True},
            "pack is for image_folder, parquet, saved_dataset only, not cifar10",
        ),
        ({"name": "mnist5k", "shrink": 64}, "shrink is for image_folder, parquet, saved_dataset only, not mnist5k: "),
        ({"name": "image_folder", "shrink": 64, "pack": False}, "shrink is for packed photos, and pack is false"),
        ({"name": "parquet", "pack": False}, "pack is false, and photos of parquet at data can't be read in place"),
        (
            {"name": "image_folder", "root": "s3://b/a", "pack": False},
            "image_folder at s3://b/a can't be read in place",
        ),
    ],
)
def test_packing_without_effect_is_refused_and_so_is_reading_in_place_where_that_cannot_be(
    fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        DatasetRecipe(**fields)


@pytest.mark.parametrize(
    "fields", [{"name": "parquet"}, {"name": "saved_dataset"}, {"name": "image_folder", "root": "s3://bucket/photos"}]
)
def test_photos_in_tables_and_buckets_are_packed(fields: dict[str, Any]) -> None:
    recipe = DatasetRecipe(**fields)
    assert recipe.packed and recipe.model_dump()["pack"] is True
    assert not DatasetRecipe(name="image_folder").packed and not DatasetRecipe(name="cifar10").packed


def test_columns_are_named_for_tables_alone_and_written_only_where_they_are() -> None:
    with pytest.raises(ValidationError, match="label_column is for parquet, saved_dataset only, not image_folder"):
        DatasetRecipe(name="image_folder", label_column="fine_label")
    assert "label_column" not in DatasetRecipe(name="parquet").model_dump()
    assert DatasetRecipe(name="parquet", label_column="fine_label").model_dump()["label_column"] == "fine_label"
