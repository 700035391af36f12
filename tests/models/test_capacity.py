"""Sizes of networks, and the order of a ladder."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import models
from models import Capacity

FACTORIES = "tests.models.factories"
CAPACITIES = st.builds(Capacity, parameters=st.integers(0, 3), multiply_adds=st.integers(0, 3))


def test_resnet50_has_its_published_size() -> None:
    found = models.capacity("resnet50", num_classes=1000, image_size=224)
    assert found == Capacity(parameters=25_557_032, multiply_adds=4_089_184_256)


def test_multiply_adds_count_convolutions_and_linear_layers_for_one_image() -> None:
    # plain_cnn_2 on 8 pixels: two convolutions with their pooling, then 2 * 2 * 16 features to 10 classes.
    expected = 8 * 8 * 16 * 1 * 9 + 4 * 4 * 16 * 16 * 9 + 2 * 2 * 16 * 10
    assert models.capacity("plain_cnn_2", num_classes=10, in_channels=1, image_size=8).multiply_adds == expected


def test_a_network_that_reads_its_weights_is_measured_too() -> None:
    found = models.capacity(f"{FACTORIES}:reads_its_weights", num_classes=10)
    assert found == models.capacity(f"{FACTORIES}:pooled", num_classes=10) == Capacity(40, 30)


def test_attention_counts_in_real_memory_too() -> None:
    # 4 tokens, 4 wide. Projections in and out, the two products of the attention, the two feed-forward layers.
    layer = 4 * 4 * (3 * 4 + 4) + 2 * 4 * 4 * 4 + 2 * 4 * 4 * 8
    convolution, classifier = 4 * 3 * 4, 4 * 10
    found = models.capacity(f"{FACTORIES}:attention", num_classes=10, image_size=2)
    assert found.multiply_adds == convolution + layer + classifier


def test_a_huge_network_costs_no_memory() -> None:
    assert models.capacity("wrn_40_1000", num_classes=10).parameters > 5 * 10**11


@pytest.mark.parametrize("name", ["resnet8", f"{FACTORIES}:reads_its_weights"])
def test_measuring_leaves_the_random_state_alone(name: str) -> None:
    before = torch.get_rng_state()
    models.capacity(name, num_classes=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_wrong_number_of_logits_is_refused_with_both_counts() -> None:
    with pytest.raises(models.ClassCountMismatch, match=r"one_class_too_many': .*\(1, 11\), expected .*\(1, 10\)"):
        models.capacity(f"{FACTORIES}:one_class_too_many", num_classes=10)


def test_a_tuple_of_logits_is_refused() -> None:
    with pytest.raises(models.ClassCountMismatch, match="yields tuple, expected logits"):
        models.capacity(f"{FACTORIES}:Tuple", num_classes=10)


def test_an_image_that_a_network_fails_on_is_named() -> None:
    with pytest.raises(ValueError, match="'alexnet' fails on an image of 3 x 32 x 32"):
        models.capacity("alexnet", num_classes=10)
    with pytest.raises(ValueError, match="pooled' fails on an image of 1 x 32 x 32"):
        models.capacity(f"{FACTORIES}:pooled", num_classes=10, in_channels=1)
    with pytest.raises(ValueError, match=r"Misspelt' fails on an image of 3 x 32 x 32: AttributeError: .*layerr"):
        models.capacity(f"{FACTORIES}:Misspelt", num_classes=10)


PLAIN = [f"plain_cnn_{depth}" for depth in (10, 8, 6, 4, 2)]
RESNETS = [f"resnet{depth}" for depth in (110, 56, 44, 32, 26, 20, 14, 8)]
WIDE = ["wrn_28_10", "wrn_40_2", "wrn_28_2", "wrn_16_2", "wrn_40_1", "wrn_16_1"]


@pytest.mark.parametrize(("ladder", "num_classes"), [(PLAIN, 10), (PLAIN, 100), (RESNETS, 100), (WIDE, 100)])
def test_the_published_ladders_are_in_order(ladder: list[str], num_classes: int) -> None:
    capacities = models.check_ladder(ladder, num_classes=num_classes)
    assert len(capacities) == len(ladder)
    assert capacities[-1] == models.capacity(ladder[-1], num_classes=num_classes)


def test_the_imagenet_ladder_is_in_order() -> None:
    models.check_ladder(["resnet50", "resnet34", "resnet18", "mobilenet_v3_small"], num_classes=1000, image_size=224)


def check_refused(ladder: list[str], remedy: str, **shape: int) -> None:
    upper, lower = ladder[-2:]
    sizes = [re.escape(str(models.capacity(name, **shape))) for name in (upper, lower)]
    expected = rf"'{upper}' \({sizes[0]}\) stands above '{lower}' \({sizes[1]}\), .*; {remedy}$"
    with pytest.raises(models.LadderOrderError, match=expected):
        models.check_ladder(ladder, **shape)


def test_a_larger_network_below_a_smaller_one_is_refused_with_the_numbers_of_both() -> None:
    check_refused(["resnet56", "resnet20", "resnet32"], "swap the two", num_classes=10)
    with pytest.raises(models.LadderOrderError, match=r"272,474 parameters, 40,813,184 multiply-adds"):
        models.check_ladder(["resnet20", "resnet32"], num_classes=10)


def test_a_network_below_itself_is_refused() -> None:
    check_refused(["resnet20", "resnet20"], "take one of the two out", num_classes=10)


def test_a_network_with_fewer_multiply_adds_but_more_parameters_is_refused() -> None:
    # Without pooling before its last layer, plain_cnn_6 outgrows plain_cnn_8 on images larger than CIFAR's.
    check_refused(["plain_cnn_8", "plain_cnn_6"], "take one of the two out", num_classes=100, image_size=64)


@given(CAPACITIES, CAPACITIES, CAPACITIES)
def test_exceeds_is_a_strict_partial_order(first: Capacity, second: Capacity, third: Capacity) -> None:
    assert not first.exceeds(first)
    assert not (first.exceeds(second) and second.exceeds(first))
    assert first.exceeds(third) or not (first.exceeds(second) and second.exceeds(third))


def test_a_network_too_wide_to_measure_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"network 'wrn_10_1000+' fails on an image of 3 x 32 x 32") as refused:
        models.capacity(f"wrn_10_1{'0' * 20}", num_classes=10)
    assert "\n" not in str(refused.value)
