"""Requirements of every network of this project, and of some of timm, and the published parameter counts."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import models
from models.plain_cnn import plain_cnn
from models.resnet import DEPTHS, ResNet
from models.wide_resnet import USUAL

PLAIN = [f"plain_cnn_{depth}" for depth in (2, 4, 6, 8, 10)]
OWN_NETWORKS = [*PLAIN, *(f"resnet{depth}" for depth in DEPTHS), *USUAL]
# One a kind: batch norm, with its activation in one layer, a transformer of a fixed image size, both, layer norm.
TIMM = [f"timm:{name}" for name in ("resnet10t", "mobilenetv3_small_050", "test_vit", "levit_128s", "test_convnext")]
EVERY = [*OWN_NETWORKS, *TIMM]
SMALLEST = 16  # pixels; the template runs on the smallest images that every network takes
SMALLEST_OF_TIMM = 128

PARAMETERS = {
    # network: (10 classes, 100 classes), for RGB images of 32 pixels
    "plain_cnn_2": (13_082, 215_172),
    "plain_cnn_4": (37_338, 475_652),
    "plain_cnn_6": (82_778, 1_107_204),
    "plain_cnn_8": (327_962, 1_246_276),
    "plain_cnn_10": (2_487_850, 2_931_460),
    "resnet8": (78_042, 83_892),
    "resnet14": (175_258, 181_108),
    "resnet20": (272_474, 278_324),
    "resnet26": (369_690, 375_540),
    "resnet32": (466_906, 472_756),
    "resnet44": (661_338, 667_188),
    "resnet56": (855_770, 861_620),
    "resnet110": (1_730_714, 1_736_564),
    "wrn_16_1": (175_066, 180_916),
    "wrn_16_2": (691_674, 703_284),
    "wrn_28_2": (1_467_610, 1_479_220),
    "wrn_40_1": (563_930, 569_780),
    "wrn_40_2": (2_243_546, 2_255_156),
    "wrn_28_10": (36_479_194, 36_536_884),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def size_of(name: str) -> int:
    return SMALLEST_OF_TIMM if name in TIMM else SMALLEST


def make(
    name: str, num_classes: int = 10, in_channels: int = 3, image_size: int | None = None, seed: int = 0
) -> torch.nn.Module:
    torch.manual_seed(seed)
    size = image_size or size_of(name)
    return models.create(name, num_classes=num_classes, in_channels=in_channels, image_size=size)


def draw_images(name: str, count: int, in_channels: int = 3) -> torch.Tensor:
    size = size_of(name)
    return torch.randn(count, in_channels, size, size, generator=torch.Generator().manual_seed(1))


def test_the_template_covers_every_listed_network_of_this_project() -> None:
    from models.vision_zoo import NAMES

    assert set(models.names()) - set(NAMES) >= set(OWN_NETWORKS) == set(PARAMETERS)


@pytest.mark.parametrize("name", OWN_NETWORKS)
def test_parameters_match_the_published_count(name: str) -> None:
    with torch.device("meta"):
        found = [
            sum(parameter.numel() for parameter in make(name, num_classes, image_size=32).parameters())
            for num_classes in (10, 100)
        ]
    assert tuple(found) == PARAMETERS[name]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("num_classes", "in_channels"), [(10, 1), (100, 3)])
def test_images_become_one_finite_logit_per_class(name: str, num_classes: int, in_channels: int) -> None:
    network = make(name, num_classes, in_channels)
    for training in (True, False):
        with torch.no_grad():
            logits = network.train(training)(draw_images(name, 2, in_channels))
        assert logits.shape == (2, num_classes)
        assert logits.isfinite().all()


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    network = make(name).train()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.abs().max() < 1e-5:  # a residual branch that begins as zero, which stops the first gradient
                parameter.add_(0.1)
    cross_entropy(network(draw_images(name, 4)), torch.tensor([0, 1, 2, 3])).backward()
    for label, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), label
        # A bias before batch norm has a gradient of nothing but rounding; a weight never does.
        assert parameter.dim() == 1 or parameter.grad.abs().max() > 1e-8, label


@pytest.mark.parametrize("name", EVERY)
def test_the_same_seed_makes_the_same_weights(name: str) -> None:
    first, second = make(name).state_dict(), make(name).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", EVERY)
def test_a_restored_state_has_the_same_output(name: str) -> None:
    network, images = make(name), draw_images(name, 2)
    with torch.no_grad():
        network.train()(images)  # moves the running statistics of the batch norms away from where they start
        other = make(name, seed=2)
        assert not torch.equal(other.eval()(images), network.eval()(images))
        other.load_state_dict(network.state_dict())
        assert torch.equal(other.eval()(images), network.eval()(images))


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("num_classes", [10, 100])
@pytest.mark.parametrize("image_size", [17, 28, 64])
def test_plain_cnns_take_any_image_size_from_16(name: str, num_classes: int, image_size: int) -> None:
    with torch.device("meta"):
        logits = make(name, num_classes, image_size=image_size)(torch.empty(2, 3, image_size, image_size))
    assert logits.shape == (2, num_classes)


def test_plain_cnns_widen_from_11_classes_on() -> None:
    def first_width(num_classes: int) -> int:
        return next(make("plain_cnn_2", num_classes).parameters()).shape[0]

    assert [first_width(count) for count in (2, 10, 11, 100)] == [16, 16, 32, 32]


def test_a_plain_cnn_refuses_an_image_that_its_pooling_would_use_up() -> None:
    with pytest.raises(ValueError, match=r"image_size: found 15, .*plain_cnn_10.* at least 16 pixels"):
        models.create("plain_cnn_10", num_classes=10, image_size=15)


@pytest.mark.parametrize("factory", [plain_cnn, ResNet])
@pytest.mark.parametrize("depth", [-4, 0, 3, 7, 21])
def test_a_depth_outside_the_family_is_refused(factory: models.registry.Factory, depth: int) -> None:
    with pytest.raises(ValueError, match=f"depth: found {depth}"):
        factory(depth, num_classes=10)


@pytest.mark.parametrize("depth", [208, 1_000_000_000])
def test_a_wide_resnet_deeper_than_any_that_is_trained_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth: found {depth} in wrn_{depth}_1; take one of .* 202"):
        models.create(f"wrn_{depth}_1", num_classes=10)


@given(depth=st.integers(0, 60), width=st.integers(0, 3))
def test_wide_resnets_exist_exactly_for_depth_6n_plus_4(depth: int, width: int) -> None:
    name = f"wrn_{depth}_{width}"
    with torch.device("meta"):
        if depth in range(10, 61, 6) and width >= 1:
            models.create(name, num_classes=10)
        else:
            with pytest.raises(ValueError, match=rf"(depth: found {depth}|width: found {width}) in {name}"):
                models.create(name, num_classes=10)
