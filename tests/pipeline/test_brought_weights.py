"""Files of imported weights, published ones included, and the identities that they have."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from orchestrator.pipeline.brought_weights import weights_file
from orchestrator.pipeline.kinds import PretrainedSpec
from orchestrator.recipe.ladder import LadderNetwork
from orchestrator.recipe.schema import RecipeError
from tests.examples import identities, planned, refusal, stage


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hugging Face hub, which is out of reach."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def published(name: str) -> LadderNetwork:
    return LadderNetwork(name=name, weights="timm")


def test_published_weights_are_taken_from_the_cache(cache: Path) -> None:
    folder = cache / "models--timm--test_vit.r160_in1k"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    file = folder / "snapshots" / "abc" / "model.safetensors"
    file.write_bytes(b"weights")
    assert weights_file(published("timm:test_vit.r160_in1k")) == file
    plan = planned("ladder.networks=[{name: timm:test_vit.r160_in1k, weights: timm}, plain_cnn_2]")
    found = stage(plan, "pretrained/timm:test_vit.r160_in1k")
    assert isinstance(found.spec, PretrainedSpec)
    assert found.spec.sha256 == hashlib.sha256(b"weights").hexdigest() and found.facts.weights == file


@pytest.mark.usefixtures("cache")
def test_published_weights_that_can_t_be_fetched_are_refused_with_the_way_to_bring_them() -> None:
    with pytest.raises(RecipeError) as refused:
        weights_file(published("timm:test_vit.r160_in1k"))
    said = str(refused.value)
    assert "weights of timm:test_vit.r160_in1k are not in the Hugging Face cache and can't be fetched" in said
    assert "hf download timm/test_vit.r160_in1k model.safetensors config.json" in said


@pytest.mark.parametrize("name", ["timm:test_vit", "resnet18", "my_networks.py:tiny"])
def test_published_weights_need_a_name_with_a_tag(name: str) -> None:
    with pytest.raises(RecipeError, match=r"weights: timm, which is for a name with its tag, such as timm:resnet18"):
        weights_file(published(name))


def test_a_file_of_the_name_timm_is_a_file() -> None:
    assert weights_file(LadderNetwork(name="resnet18", weights="./timm")) == Path("timm")


def test_a_network_of_timm_has_an_identity_without_any_code() -> None:
    plan = planned("ladder.networks=[timm:test_vit, plain_cnn_2]")
    assert "code" not in stage(plan, "train/timm:test_vit").spec.model_dump(mode="json")["network"]


def test_a_declared_normalisation_is_part_of_the_identity_and_an_undeclared_one_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"weights")

    def with_line(more: str) -> str:
        return f"ladder.networks=[{{name: plain_cnn_4, weights: {path}{more}}}, plain_cnn_2]"

    plain = planned(with_line(""))
    half, other = (planned(with_line(f", normalisation: {{mean: [{mean}], std: [0.5]}}")) for mean in (0.5, 0.4))
    form = stage(plain, "pretrained/plain_cnn_4").spec.model_dump(mode="json")
    assert "normalisation" not in form and "renormalised" not in form["network"]
    name = "pretrained/plain_cnn_4"
    assert len({identities(plan)[name] for plan in (plain, half, other)}) == 3
    assert stage(half, "evaluate/plain_cnn_4").spec.network.renormalised  # type: ignore[attr-defined]
    assert identities(half)["ingest"] == identities(plain)["ingest"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{name: plain_cnn_4, normalisation: {mean: [0.5], std: [0.5]}}", "normalisation set but no weights"),
        ("{name: plain_cnn_4, weights: w, normalisation: {mean: [0.5], std: [1, 1]}}", "1 means and 2 standard"),
        ("{name: plain_cnn_4, weights: w, normalisation: {mean: [0.5], std: [0]}}", "std"),
    ],
)
def test_a_normalisation_that_can_t_be_is_refused(line: str, said: str) -> None:
    assert said in refusal(f"ladder.networks=[{line}, plain_cnn_2]")
