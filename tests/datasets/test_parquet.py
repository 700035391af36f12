"""Parquet shards of photos: the hub's layouts, labels of every kind, and errors that name shard and column."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.datasets import TEST, TRAIN, VALIDATION, DatasetError, DatasetRecipe, FileImages, describe, load
from orchestrator.datasets.decoding import BrokenImageError
from orchestrator.datasets.photos import ChangedPhotoError
from tests.datasets.tables import photos, table, write_parquet

Write = Callable[[Mapping[str, pa.Table]], DatasetRecipe]
TRAINING = "data/train-00000-of-00001.parquet"
HELD_OUT = "data/validation-00000-of-00001.parquet"


def example(name: str, folder: Path) -> DatasetRecipe:
    shards = {
        "data/train-00000-of-00002.parquet": table([0, 1, 0, 1, 0]),
        "data/train-00001-of-00002.parquet": table([1, 0, 1, 0, 1], seed=1),
        HELD_OUT: table([0, 1, 0, 1], seed=2),
    }
    return DatasetRecipe(name=name, root=str(write_parquet(folder / "shards", shards)), image_size=32)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Shards in a folder of the test's own, and a recipe that reads them."""

    def make(shards: Mapping[str, pa.Table]) -> DatasetRecipe:
        root = write_parquet(tmp_path / "shards", shards)
        return DatasetRecipe(name="parquet", root=str(root), validation=2)

    return make


def load_photos(recipe: DatasetRecipe) -> FileImages:
    loaded = load(recipe)
    assert isinstance(loaded, FileImages)
    return loaded


@pytest.mark.parametrize(
    "paths",
    [
        ("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"),
        ("train/0000.parquet", "test/0000.parquet"),
        ("train.parquet", "test.parquet"),
        ("default/training/0.parquet", "default/dev/0.parquet"),
    ],
)
def test_the_split_is_in_the_name_of_a_shard_or_of_its_folder(paths: tuple[str, str], write: Write) -> None:
    loaded = load_photos(write({paths[0]: table([0, 1, 0, 1, 0, 1]), paths[1]: table([1, 0])}))
    assert loaded.class_names == ("cat", "dog")
    assert [int(sum(loaded.subset == part)) for part in (TRAIN, VALIDATION, TEST)] == [4, 2, 2]
    assert loaded.labels[loaded.subset == TEST].tolist() == [1, 0]


def test_with_validation_and_test_each_is_used_as_such(write: Write) -> None:
    shards = {"train.parquet": table([0, 1, 0]), "validation.parquet": table([0, 1]), "test.parquet": table([1])}
    loaded = load_photos(write(shards))
    assert loaded.subset.tolist() == [TRAIN, TRAIN, TRAIN, VALIDATION, VALIDATION, TEST]


def test_a_split_without_labels_is_left_out_and_said(write: Write) -> None:
    recipe = write({TRAINING: table([0, 1, 0, 1]), HELD_OUT: table([0, 1]), "data/test-0.parquet": table([-1, -1, -1])})
    assert describe(recipe).notes == ("images left out of the split test, which has no labels: 3",)
    assert sum(load_photos(recipe).subset == TEST) == 2


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["dog", "cat", "dog", "cat"], ("cat", "dog")),
        ([7, 10, 7, 10], ("7", "10")),
        (pa.array(["b", "a", "b", "a"]).dictionary_encode(), ("a", "b")),
    ],
)
def test_labels_without_declared_names_are_classes_in_the_order_of_their_values(
    labels: list[object], expected: tuple[str, ...], write: Write
) -> None:
    loaded = load_photos(write({TRAINING: table(labels, None), HELD_OUT: table(labels, None)}))
    assert loaded.class_names == expected
    assert loaded.labels[loaded.subset == TEST].tolist() == ([0, 1, 0, 1] if labels[0] == 7 else [1, 0, 1, 0])


def test_the_columns_are_those_that_the_recipe_names(write: Write) -> None:
    recipe = write({path: table([0, 1, 0, 1], image="img", label="fine_label") for path in (TRAINING, HELD_OUT)})
    with pytest.raises(DatasetError, match=r"train-00000.*: no column 'image'; set dataset.image_column to one of"):
        describe(recipe)
    named = recipe.model_copy(update={"image_column": "img", "label_column": "fine_label"})
    assert describe(named).class_names == ("cat", "dog")


def test_photos_are_read_by_index_in_any_order_in_any_process(write: Write) -> None:
    contents = photos(10)
    labels = [number % 2 for number in range(10)]
    recipe = write({TRAINING: table(labels), HELD_OUT: table(labels[:3], seed=1)})
    found = pickle.loads(pickle.dumps(load_photos(recipe).photos))
    for index in (0, 1, 9, 4, 5, 3):
        assert found.read(index) == contents[index]
    assert found.read(12) == photos(3, seed=1)[2]
    assert found.name(12) == f"row 2 of {HELD_OUT}"


def test_images_may_be_plain_binary_values(write: Write) -> None:
    plain = pa.table({"image": pa.array(photos(4), pa.binary()), "label": [0, 1, 0, 1]})
    found = load_photos(write({TRAINING: plain, HELD_OUT: plain})).photos
    assert found.read(2) == photos(4)[2]


def test_a_row_that_has_only_a_path_is_broken_and_named(write: Write) -> None:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    empty = pa.table({"image": pa.array([{"bytes": None, "path": "/far/1.jpg"}, None], kind), "label": [0, 1]})
    found = load_photos(write({TRAINING: table([0, 1, 0, 1], None), HELD_OUT: empty}))
    with pytest.raises(BrokenImageError, match=r"row 0 of .*only the path /far/1.jpg"):
        found.photos.read(4)
    with pytest.raises(BrokenImageError, match=r"row 1 of .*no image"):
        found.photos.read(5)


def test_a_shard_that_is_not_the_one_that_was_listed_is_refused(write: Write) -> None:
    recipe = write({TRAINING: table([0, 1, 0, 1]), HELD_OUT: table([0, 1])})
    found = load_photos(recipe).photos
    pq.write_table(table([0, 1, 0, 1, 0]), Path(recipe.root, TRAINING))
    with pytest.raises(ChangedPhotoError, match=r"train-00000.*bytes, and had .*list it again with --rescan"):
        found.read(0)


@pytest.mark.parametrize(
    ("shards", "message"),
    [
        ({}, "is not a folder"),
        ({TRAINING: table([0, 1])}, r"splits train with labels; .* add a split named validation or test"),
        ({HELD_OUT: table([0, 1])}, "a split named train is needed"),
        ({"data/first.parquet": table([0, 1])}, "first.parquet: neither its name nor its folder's"),
        ({"a/train-0.parquet": table([0, 1]), "b/train-0.parquet": table([0])}, "shards of train in a/ and in b/"),
        ({TRAINING: table([0, 2]), HELD_OUT: table([0])}, "1 labels outside 0 to 1, such as 2"),
        ({TRAINING: table([0, None, 1]), HELD_OUT: table([0])}, "1 of 3 images have no label in column 'label'"),
        ({TRAINING: table([0, 1]), HELD_OUT: table([0], ("cat", "cow"))}, "shards declare different classes"),
        ({TRAINING: table(["a", "b"], None), HELD_OUT: table(["c"], None)}, "classes that the split train lacks: c"),
        ({TRAINING: table(["a"], None), HELD_OUT: table(["a"], None)}, "1 classes found; at least 2"),
        ({TRAINING: table([0.5], None), HELD_OUT: table([0.5], None)}, "column 'label' is of type double"),
        ({TRAINING: pa.table({"image": ["x.jpg"], "label": [0]})}, "column 'image' is of type string; the images must"),
    ],
)
def test_shards_that_cannot_be_used_are_refused_by_name(
    shards: dict[str, pa.Table], message: str, write: Write
) -> None:
    with pytest.raises(DatasetError, match=message):
        describe(write(shards))


def test_a_file_that_is_no_parquet_is_named(write: Write) -> None:
    recipe = write({TRAINING: table([0, 1]), HELD_OUT: table([0, 1])})
    Path(recipe.root, TRAINING).write_bytes(b"version https://git-lfs")
    with pytest.raises(DatasetError, match=r"train-00000.*: can't be read as Parquet"):
        describe(recipe)


def test_the_fingerprint_is_of_shards_and_labels_and_stays_when_the_set_moves(write: Write, tmp_path: Path) -> None:
    recipe = write({TRAINING: table([0, 1, 0, 1]), HELD_OUT: table([0, 1])})
    before = describe(recipe).fingerprint
    moved = Path(recipe.root).rename(tmp_path / "elsewhere")
    assert describe(recipe.model_copy(update={"root": str(moved)})).fingerprint == before
    pq.write_table(table([0, 1, 1, 0]), moved / TRAINING)
    assert describe(recipe.model_copy(update={"root": str(moved)})).fingerprint != before
