"""The sentence on images that occur twice or are of a single colour."""

from orchestrator.report.content.odd_images import odd_images


def test_what_was_found_is_one_sentence_with_examples() -> None:
    found = {
        "leaked": {"count": 2, "examples": ["val/a.jpg is train/b.jpg", "val/c.jpg is train/d.jpg"]},
        "repeated": {"count": 0, "examples": []},
        "blank": {"count": 1234, "examples": ["train/e.jpg"]},
    }
    assert odd_images({"odd_images": found}) == [
        "data set: test images that are also for training or validation: 2 (val/a.jpg is train/b.jpg, "
        "val/c.jpg is train/d.jpg); images of a single colour: 1,234 (train/e.jpg)"
    ]


def test_nothing_is_said_of_a_set_without_any_and_of_an_artifact_of_an_old_version() -> None:
    assert odd_images({"odd_images": {"leaked": {"count": 0, "examples": []}}}) == []
    assert odd_images({"counts": {"test": 3}}) == []
