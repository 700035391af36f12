"""Generated images: deterministic, learnable, and harder with rising severity."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from orchestrator.datasets import TEST, TRAIN, ArrayImages, DatasetRecipe, SyntheticRecipe, describe, load
from orchestrator.datasets.synthetic import generate


def example(name: str, _: Path) -> DatasetRecipe:
    return DatasetRecipe(name=name, synthetic=SyntheticRecipe(images=40, test_images=8))


def load_synthetic(recipe: DatasetRecipe) -> ArrayImages:
    loaded = load(recipe)
    assert isinstance(loaded, ArrayImages)
    return loaded


def test_size_number_classes_and_channels_are_as_asked() -> None:
    wanted = SyntheticRecipe(images=30, test_images=10, classes=5, image_size=12, channels=3)
    loaded = load_synthetic(DatasetRecipe(name="synthetic", synthetic=wanted))
    assert loaded.images.shape == (40, 12, 12, 3)
    assert np.bincount(loaded.labels).tolist() == [8] * 5


def test_an_image_does_not_depend_on_how_many_there_are() -> None:
    few = generate(SyntheticRecipe(images=20, test_images=4), seed=1)
    many = generate(SyntheticRecipe(images=40, test_images=4), seed=1)
    for i in range(3):  # images, labels, severities
        np.testing.assert_array_equal(few[i], many[i][:24])


def test_images_and_fingerprint_follow_the_seed_and_every_parameter() -> None:
    recipe = DatasetRecipe(name="synthetic")
    changes: dict[str, Any] = {"images": 400, "classes": 5, "image_size": 20, "channels": 3, "noise": 0.1}
    others = [recipe.model_copy(update={"seed": 1})] + [
        recipe.model_copy(update={"synthetic": SyntheticRecipe(**{name: value})}) for name, value in changes.items()
    ]
    assert len({describe(each).fingerprint for each in [recipe, *others]}) == len(others) + 1
    assert len({load_synthetic(each).images.tobytes() for each in [recipe, *others]}) == len(others) + 1


def test_the_fingerprint_does_not_follow_the_validation_cut() -> None:
    small, large = (DatasetRecipe(name="synthetic", validation=share) for share in (0.1, 0.3))
    assert describe(small).fingerprint == describe(large).fingerprint


def test_images_get_harder_to_classify_as_severity_grows() -> None:
    images, labels, severity = generate(SyntheticRecipe(images=4000, noise=0.6), seed=0)
    flat = images.reshape(len(images), -1).astype(float)
    means = np.stack([flat[(labels == label) & (severity < 0.2)].mean(axis=0) for label in range(4)])
    right = ((flat[:, None] - means) ** 2).sum(axis=2).argmin(axis=1) == labels
    accuracy = [right[(severity * 4).astype(int) == b].mean() for b in range(4)]
    assert accuracy == sorted(accuracy, reverse=True)
    assert accuracy[0] > 0.99 > 0.95 > accuracy[-1]


def test_a_plain_cnn_learns_it_within_50_steps() -> None:
    loaded = load_synthetic(DatasetRecipe(name="synthetic"))
    images = torch.from_numpy(loaded.images).permute(0, 3, 1, 2).float() / 255 - 0.5
    labels = torch.from_numpy(loaded.labels)
    train, test = (torch.from_numpy(loaded.subset == part).nonzero()[:, 0] for part in (TRAIN, TEST))
    torch.manual_seed(0)
    convolutions = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU())
    net = nn.Sequential(convolutions, nn.Flatten(), nn.Linear(32 * 3 * 3, 4))
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(50):
        batch = train[torch.randint(len(train), (64,))]
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimiser.step()
    accuracy = (net(images[test]).argmax(1) == labels[test]).float().mean()
    assert accuracy > 0.6  # chance is 0.25
