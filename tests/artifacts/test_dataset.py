"""Files of an ingested data set: written once, read from a folder and from a storage, with stable bytes."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from orchestrator.artifacts import dataset
from orchestrator.artifacts.dataset import DatasetAbout
from orchestrator.artifacts.reading import FolderFiles
from tests.artifacts.formats import about_data

LABELS, SUBSET = np.arange(6) % 3, np.array([0, 0, 1, 0, 2, 0], np.uint8)
PIXELS = np.arange(6 * 8 * 8 * 3, dtype=np.uint8).reshape(6, 8, 8, 3)


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    dataset.write_arrays(tmp_path, about_data(content="c0"), LABELS, SUBSET, PIXELS, np.linspace(0, 1, 6, dtype="f4"))
    files = FolderFiles(tmp_path)
    assert dataset.read_about(files) == about_data(content="c0")
    np.testing.assert_array_equal(dataset.read_labels(files), LABELS)
    np.testing.assert_array_equal(dataset.read_subset(files), SUBSET)
    np.testing.assert_array_equal(dataset.read_images(files), PIXELS)
    np.testing.assert_array_equal(dataset.read_severity(files), np.linspace(0, 1, 6, dtype="f4"))


def test_a_set_without_severities_has_none(tmp_path: Path) -> None:
    dataset.write_arrays(tmp_path, about_data(), LABELS, SUBSET, PIXELS, None)
    assert dataset.read_severity(FolderFiles(tmp_path)) is None


def test_paths_are_read_as_they_were_written(tmp_path: Path) -> None:
    about = about_data(layout="files", white_level=4095.0, broken=(("b.png", "cut off"),))
    dataset.write_files(tmp_path, about, LABELS, SUBSET, ["a.png", "ü.png", "\udcff.png"])
    assert dataset.read_about(FolderFiles(tmp_path)) == about
    assert list(dataset.read_paths(FolderFiles(tmp_path))) == ["a.png", "ü.png", "\udcff.png"]


def test_paths_that_an_earlier_version_wrote_are_read(tmp_path: Path) -> None:
    (tmp_path / "paths.json").write_text('["a.png", "b.png"]')
    assert list(dataset.read_paths(FolderFiles(tmp_path))) == ["a.png", "b.png"]


def test_sizes_of_files_are_kept_where_they_are_known(tmp_path: Path) -> None:
    about, paths = about_data(layout="files"), ["a.png", "b.png", "c.png"]
    dataset.write_files(tmp_path, about, LABELS, SUBSET, paths, np.array([5, 6, 7]))
    sizes = dataset.read_sizes(FolderFiles(tmp_path))
    assert (
        sizes is not None and sizes.tolist() == [5, 6, 7] and list(dataset.read_paths(FolderFiles(tmp_path))) == paths
    )
    dataset.write_files(tmp_path, about, LABELS, SUBSET, paths)
    assert dataset.read_sizes(FolderFiles(tmp_path)) is None


def test_read_paths_travel_to_other_processes_and_can_be_sliced(tmp_path: Path) -> None:
    dataset.write_files(tmp_path, about_data(layout="files"), LABELS, SUBSET, [f"{number}.png" for number in range(6)])
    paths = pickle.loads(pickle.dumps(dataset.read_paths(FolderFiles(tmp_path))))
    assert paths[2:4] == ["2.png", "3.png"] and paths[-1] == "5.png" and len(paths) == 6


def test_arrays_written_in_blocks_are_the_file_that_numpy_would_save(tmp_path: Path) -> None:
    dataset.write_arrays(tmp_path, about_data(), LABELS, SUBSET, (PIXELS[:4], PIXELS[4:]), None)
    np.save(tmp_path / "whole.npy", PIXELS)
    assert (tmp_path / dataset.IMAGES).read_bytes() == (tmp_path / "whole.npy").read_bytes()


@pytest.mark.parametrize(
    ("layout", "own", "other"), [("arrays", "content", "white_level"), ("files", "white_level", "content")]
)
def test_the_serial_form_keeps_its_order_and_leaves_out_the_other_layout_s_field(
    layout: str, own: str, other: str
) -> None:
    written = list(json.loads(about_data(layout=layout).to_json()))
    shared = ["classes", "class_names", "image_shape", "image_size", "counts", "broken", "layout", "mean", "std"]
    assert written == [*shared, own, "odd_images"] and other not in written


def test_a_description_of_an_earlier_version_has_no_white_level() -> None:
    content = json.loads(about_data(layout="files").to_json())
    del content["white_level"]
    assert DatasetAbout.from_plain(content).white_level is None


@pytest.mark.parametrize("field", ["classes", "counts", "layout"])
def test_a_description_without_a_field_is_refused_naming_it(field: str) -> None:
    content = json.loads(about_data().to_json())
    del content[field]
    with pytest.raises(ValueError, match=rf"dataset\.json [\s\S]*{field}"):
        DatasetAbout.from_plain(content)


def test_images_may_be_written_to_in_memory_and_never_on_disk(tmp_path: Path) -> None:
    dataset.write_arrays(tmp_path, about_data(), LABELS, SUBSET, PIXELS, None)
    dataset.read_images(FolderFiles(tmp_path))[:] = 0
    np.testing.assert_array_equal(dataset.read_images(FolderFiles(tmp_path)), PIXELS)
