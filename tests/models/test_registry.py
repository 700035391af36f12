"""Names, factories and their errors."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import models
from models import registry
from tests.models import factories

FACTORIES = "tests.models.factories"


def test_small_networks_are_made_without_importing_torchvision() -> None:
    code = (
        "import sys, models; models.create('plain_cnn_2', num_classes=10); models.create('wrn_16_1', num_classes=10);"
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_are_unique_and_all_exist() -> None:
    names = models.names()
    assert len(names) == len(set(names))
    assert {"plain_cnn_10", "resnet110", "wrn_40_2", "resnet50", "googlenet"} <= set(names)
    assert all(models.exists(name) for name in names)


def test_a_family_has_members_that_are_not_listed() -> None:
    assert models.exists("wrn_22_4") and "wrn_22_4" not in models.names()


@pytest.mark.parametrize("name", ["resnet19", "wrn_16", "wrn_16_2_1", "wrn_-1_2", "", "PLAIN_CNN_2"])
def test_other_names_do_not_exist(name: str) -> None:
    assert not models.exists(name)
    with pytest.raises(models.UnknownNetwork):
        models.create(name, num_classes=10)


@pytest.mark.parametrize(
    ("wrong", "meant"), [("plain_cnn2", "plain_cnn_2"), ("resnet_56", "resnet56"), ("mobilenetv2", "mobilenet_v2")]
)
def test_an_unknown_name_is_answered_with_the_nearest_ones(wrong: str, meant: str) -> None:
    with pytest.raises(models.UnknownNetwork, match=rf"'{wrong}' is unknown: did you mean .*\b{meant}\b"):
        models.create(wrong, num_classes=10)


def test_a_name_near_to_none_is_answered_with_where_to_look() -> None:
    with pytest.raises(models.UnknownNetwork, match=r"models\.names\(\) lists them all"):
        models.create("@@@@", num_classes=10)


@pytest.mark.parametrize("field", ["num_classes", "in_channels", "image_size"])
def test_a_number_below_one_is_refused_by_its_field(field: str) -> None:
    shape = {"num_classes": 10, "in_channels": 3, "image_size": 32} | {field: 0}
    with pytest.raises(ValueError, match=f"{field}: found 0 for network 'resnet8'"):
        models.create("resnet8", **shape)


@pytest.mark.parametrize("callable_name", ["linear", "pooled", "keyword_only"])
def test_a_factory_of_ones_own_is_given_the_keywords_that_it_takes(callable_name: str) -> None:
    path = f"{FACTORIES}:{callable_name}"
    assert models.exists(path)
    network = models.create(path, num_classes=7, image_size=8)
    assert network(torch.zeros(2, 3, 8, 8)).shape == (2, 7)


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("no_such_module:tiny", "no module 'no_such_module'"),
        ("tests.no_such_part:tiny", r"no module 'tests\.no_such_part'"),
        (f"{FACTORIES}:no_such_callable", "has no callable 'no_such_callable'"),
        (f"{FACTORIES}:not_callable", "has no callable 'not_callable'"),
        (f"{FACTORIES}:", "a path reads 'module:callable'"),
        (":tiny", "a path reads 'module:callable'"),
        (".relative:tiny", "a path reads 'module:callable'"),
    ],
)
def test_a_path_that_leads_nowhere_is_an_unknown_network(path: str, complaint: str) -> None:
    assert not models.exists(path)
    with pytest.raises(models.UnknownNetwork, match=complaint):
        models.create(path, num_classes=10)


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("half_installed", "import no_such_dependency", "No module named 'no_such_dependency'; install what it needs"),
        ("misspelt", "import torch\nclass Mine(torch.nn.Modul): ...", "AttributeError: .*Modul"),
        ("unfinished", "def tiny(", "SyntaxError"),
    ],
)
def test_a_module_that_fails_itself_is_not_reported_as_missing(
    module: str, text: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=f"'{module}:tiny': its module can't be imported: {complaint}"):
        models.exists(f"{module}:tiny")


def test_a_factory_must_take_num_classes() -> None:
    with pytest.raises(ValueError, match="takes no num_classes"):
        models.create(f"{FACTORIES}:without_classes", num_classes=10)


def test_a_factory_must_return_a_network() -> None:
    with pytest.raises(ValueError, match=r"returned a list; return a torch nn\.Module"):
        models.create(f"{FACTORIES}:not_a_network", num_classes=10)


@pytest.fixture
def separate_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry of the test's own, so that nothing registered here is seen elsewhere."""
    models.names()  # torchvision's networks register first
    for table in ("_factories", "_families", "_listed"):
        monkeypatch.setattr(registry, table, getattr(registry, table).copy())


@pytest.mark.usefixtures("separate_registry")
def test_one_factory_can_be_registered_under_several_names() -> None:
    models.register("mine", "mine_too")(factories.linear)
    assert {"mine", "mine_too"} <= set(models.names())
    assert isinstance(models.create("mine_too", num_classes=10), nn.Sequential)


@pytest.mark.usefixtures("separate_registry")
def test_a_family_gives_the_numbers_in_a_name_to_its_factory() -> None:
    @models.register_family("mlp_<layers>_<width>", listed=["mlp_2_64"])
    def mlp(layers: int, width: int, num_classes: int) -> nn.Module:
        return nn.ModuleList([nn.Linear(width, num_classes)] * layers)

    network = models.create("mlp_3_32", num_classes=10)
    assert isinstance(network, nn.ModuleList) and len(network) == 3 and network[0].in_features == 32
    assert "mlp_2_64" in models.names()


@pytest.mark.usefixtures("separate_registry")
def test_a_taken_name_or_template_is_refused() -> None:
    with pytest.raises(ValueError, match="'resnet18' is registered already"):
        models.register("resnet18")(factories.linear)
    with pytest.raises(ValueError, match="'wrn_<depth>_<width>' is registered already"):
        models.register_family("wrn_<depth>_<width>")(factories.linear)
