"""torchvision's networks in the registry."""

import pytest
import torch

import models
from models.vision_zoo import NAMES

# One of each family, and the image size that it is measured on.
FAMILIES = {
    "alexnet": 224,
    "convnext_tiny": 64,
    "densenet121": 64,
    "efficientnet_b0": 64,
    "efficientnet_v2_s": 64,
    "googlenet": 64,
    "inception_v3": 299,
    "maxvit_t": 224,
    "mnasnet0_5": 64,
    "mobilenet_v2": 64,
    "mobilenet_v3_large": 64,
    "regnet_y_400mf": 64,
    "resnet18": 32,
    "resnext50_32x4d": 64,
    "shufflenet_v2_x1_0": 64,
    "squeezenet1_1": 64,
    "swin_t": 64,
    "swin_v2_t": 64,
    "vgg11_bn": 64,
    "vit_b_16": 64,
    "wide_resnet50_2": 64,
}
# The regnets read tensor values while they are built, so they need storage, and their large ones too much of it.
OTHERS = {name for name in NAMES if not name.startswith("regnet_")} - set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_returns_one_logit_per_class(name: str) -> None:
    assert models.capacity(name, num_classes=7, image_size=FAMILIES[name]).parameters > 0  # checks the output's shape


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_every_other_network_is_made_by_its_torchvision_name(name: str) -> None:
    with torch.device("meta"):
        network = models.create(name, num_classes=7, image_size=224)
    assert any(7 in parameter.shape for parameter in network.parameters())


@pytest.mark.parametrize(("name", "image_size"), [("resnet18", 32), ("mobilenet_v3_small", 32), ("googlenet", 64)])
def test_training_and_evaluation_both_return_logits(name: str, image_size: int) -> None:
    network = models.create(name, num_classes=10, image_size=image_size)
    images = torch.randn(2, 3, image_size, image_size)
    for training in (True, False):
        logits = network.train(training)(images)
        assert logits.shape == (2, 10) and logits.isfinite().all()


def test_weights_are_random_from_the_seed() -> None:
    def first_weight(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return next(models.create("mobilenet_v3_small", num_classes=10).parameters())

    assert torch.equal(first_weight(0), first_weight(0)) and not torch.equal(first_weight(0), first_weight(1))


def test_grey_images_are_refused() -> None:
    with pytest.raises(ValueError, match="in_channels: found 1, but 'resnet18' takes RGB images only"):
        models.create("resnet18", num_classes=10, in_channels=1)


@pytest.mark.parametrize("name", ["vit_h_14", "maxvit_t"])
def test_an_image_that_patches_do_not_cover_is_refused(name: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=f"image_size: '{name}' cannot take images of 32 pixels"):
        models.create(name, num_classes=10, image_size=32)
