"""Folders of ``DatasetDict.save_to_disk``."""

import json
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from orchestrator.datasets import TEST, DatasetError, DatasetRecipe, FileImages, describe, load
from orchestrator.datasets.photos import ChangedPhotoError
from tests.datasets.tables import photos, table, write_saved


def example(name: str, folder: Path) -> DatasetRecipe:
    splits = {"train": [table([0, 1, 0, 1, 0, 1]), table([0, 1, 0, 1], seed=1)], "test": [table([0, 1, 0], seed=2)]}
    return DatasetRecipe(name=name, root=str(write_saved(folder / "saved", splits)), image_size=32)


def load_photos(recipe: DatasetRecipe) -> FileImages:
    loaded = load(recipe)
    assert isinstance(loaded, FileImages)
    return loaded


def test_shards_are_read_by_index_in_any_process(tmp_path: Path) -> None:
    loaded = load_photos(example("saved_dataset", tmp_path))
    assert loaded.class_names == ("cat", "dog")
    assert loaded.labels[loaded.subset == TEST].tolist() == [0, 1, 0]
    found = pickle.loads(pickle.dumps(loaded.photos))
    for index, content in ((7, photos(4, seed=1)[1]), (0, photos(6)[0]), (12, photos(3, seed=2)[2])):
        assert found.read(index) == content
    assert found.name(7) == "row 1 of train/data-00001-of-00002.arrow"


def test_a_shard_that_was_written_again_is_refused(tmp_path: Path) -> None:
    recipe = example("saved_dataset", tmp_path)
    found = load_photos(recipe).photos
    shutil.copy(f"{recipe.root}/train/data-00001-of-00002.arrow", f"{recipe.root}/test/data-00000-of-00001.arrow")
    with pytest.raises(ChangedPhotoError, match=r"test/data-00000-of-00001.arrow: it has .* bytes"):
        found.read(11)


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    library = pytest.importorskip("datasets", reason="Hugging Face's datasets is not installed")
    features = library.Features({"image": library.Image(), "label": library.ClassLabel(names=["cat", "dog"])})

    def split(count: int, seed: int) -> object:
        images = [{"bytes": content, "path": None} for content in photos(count, seed)]
        content = {"image": images, "label": [number % 2 for number in range(count)]}
        return library.Dataset.from_dict(content, features=features)

    library.DatasetDict(train=split(9, 0), test=split(4, 1)).save_to_disk(
        tmp_path / "saved", num_shards={"train": 2, "test": 1}
    )
    loaded = load_photos(DatasetRecipe(name="saved_dataset", root=str(tmp_path / "saved"), validation=2))
    assert loaded.class_names == ("cat", "dog")
    assert [loaded.photos.read(index) for index in range(9)] == photos(9)


def test_a_folder_of_another_kind_is_refused(tmp_path: Path) -> None:
    recipe = example("saved_dataset", tmp_path)
    root = Path(recipe.root)
    for place, message in ((root / "train", "a data set of a single split"), (tmp_path, "no dataset_dict.json")):
        with pytest.raises(DatasetError, match=rf"dataset\.root: .* has {message}; save a DatasetDict"):
            describe(recipe.model_copy(update={"root": str(place)}))
    (root / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "unsupervised"]}))
    with pytest.raises(DatasetError, match=r"a split named 'unsupervised'; save it as"):
        describe(recipe)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    recipe = example("saved_dataset", tmp_path)
    Path(recipe.root, "test/data-00000-of-00001.arrow").write_bytes(b"nothing of the kind")
    with pytest.raises(DatasetError, match=r"test/data-00000-of-00001.arrow: can't be read as Arrow"):
        describe(recipe)
    Path(recipe.root, "train/state.json").unlink()
    with pytest.raises(DatasetError, match=r"train/state.json: can't be read .No such file"):
        describe(recipe)


def test_a_uri_is_refused() -> None:
    with pytest.raises(ValueError, match="a URI; give a path on a file system that is mounted here"):
        DatasetRecipe(name="saved_dataset", root="s3://bucket/saved")


def test_schemas_without_declared_classes_have_those_of_their_labels(tmp_path: Path) -> None:
    rows = pa.table({"image": photos(4), "label": ["dog", "cat", "dog", "cat"]})
    root = write_saved(tmp_path / "saved", {"train": [rows], "test": [rows]})
    assert describe(DatasetRecipe(name="saved_dataset", root=str(root), validation=2)).class_names == ("cat", "dog")
