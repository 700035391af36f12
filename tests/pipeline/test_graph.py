"""Stages and their identities: the stages that a change affects, and those that stay cached."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.pipeline.graph import trial_identity
from orchestrator.pipeline.kinds import KINDS
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe import methods
from orchestrator.recipe.schema import RecipeError
from tests.examples import identities, planned, stage

METHODS = [*methods.METHODS, "kd:plain_cnn_8", "kd:plain_cnn_6"]
LADDER = "plain_cnn_8, plain_cnn_6, plain_cnn_4, plain_cnn_2"


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return identities(planned())


# -- what an identity is made of ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override",
    [
        "name=another",
        "dataset.root=/elsewhere",
        "dataset.download=false",
        "resources.workers=4",
        "resources.gpus=1",
        "resources.student_gpus=0.25",
        "resources.score_workers=7",
        "resources.student_workers=2",
        "resources.micro_batch=32",
        "resources.checkpoint_seconds=60",
        "ladder.networks=[{name: plain_cnn_8, workers: 2}, plain_cnn_6, plain_cnn_4, plain_cnn_2]",
        "training.optimizer.learning_rate=0.10",
        # A search chooses these.
        "curriculum.mode=reveal",
        "curriculum.selector=competent",
        "curriculum.pacing={family: log, a: 0.3, b: 0.3}",
    ],
)
def test_fields_that_do_not_change_a_result_change_no_identity(override: str, before: dict[str, str]) -> None:
    assert identities(planned(override)) == before


@pytest.mark.parametrize(
    ("override", "remade", "left"),
    [
        ("training.steps=31", ["train/plain_cnn_8", "fold/1-of-2", "student/labels/seed-0"], ["ingest"]),
        ("training.batch_size=64", ["train/plain_cnn_8", "student/labels/seed-0", "search"], ["ingest"]),
        ("training.norm_batch=8", ["train/plain_cnn_8", "fold/1-of-2", "student/labels/seed-0", "search"], ["ingest"]),
        ("difficulty.fold_steps=20", ["fold/1-of-2", "score", "student/ces_kd/seed-0"], ["train/plain_cnn_8"]),
        ("training.optimizer.learning_rate=0.2", ["train/plain_cnn_8", "fold/1-of-2"], ["ingest"]),
        ("training.augmentation=none", ["train/plain_cnn_8", "score"], ["ingest"]),
        ("training.precision=bf16", ["train/plain_cnn_8", "score", "evaluate/plain_cnn_8"], ["ingest"]),
        ("training.keep=last", ["train/plain_cnn_8"], ["ingest"]),
        ("training.evaluate_every=5", ["train/plain_cnn_8"], ["ingest"]),
        ("resources.cpus=2", ["train/plain_cnn_8", "score", "evaluate/kd/seed-0"], ["ingest"]),
        ("ladder.seed=1", ["train/plain_cnn_8", "score", "student/labels/seed-0"], ["ingest"]),
        ("dataset.seed=1", ["ingest", "train/plain_cnn_8"], []),
        ("dataset.validation_seed=1", ["ingest", "train/plain_cnn_8"], []),
        ("dataset.label_noise=0.4", ["ingest", "train/plain_cnn_8"], []),
        ("dataset.validation=96", ["ingest", "train/plain_cnn_8"], []),
        ("dataset.synthetic.noise=0.1", ["ingest", "train/plain_cnn_8"], []),
        (
            "ladder.networks=[plain_cnn_8, plain_cnn_6, plain_cnn_4, plain_cnn_4_fewer]",
            ["student/labels/seed-0", "student/ces_kd/seed-1", "search"],
            ["ingest", "train/plain_cnn_8", "train/plain_cnn_4", "fold/1-of-2", "score"],
        ),
        (
            "ladder.networks=[plain_cnn_8, {name: plain_cnn_6, batch_size: 16}, plain_cnn_4, plain_cnn_2]",
            ["train/plain_cnn_6", "score", "train/plain_cnn_4@sequential"],
            ["ingest", "train/plain_cnn_8", "train/plain_cnn_4", "fold/1-of-2", "student/labels/seed-0"],
        ),
        (
            "ladder.networks=[plain_cnn_8, {name: plain_cnn_6, steps: 40}, plain_cnn_4, plain_cnn_2]",
            ["train/plain_cnn_6", "score", "train/plain_cnn_4@sequential"],
            ["ingest", "train/plain_cnn_8", "train/plain_cnn_4", "fold/1-of-2", "student/labels/seed-0"],
        ),
        (
            "ladder.topology=sequential",
            ["train/plain_cnn_4", "score", "student/kd_smallest/seed-0"],
            ["ingest", "train/plain_cnn_8", "score/plain_cnn_8", "train/plain_cnn_6", "student/kd/seed-0"],
        ),
        (
            "distillation.temperature=3.0",
            ["train/plain_cnn_6", "student/kd/seed-0", "search"],
            ["ingest", "train/plain_cnn_8", "fold/1-of-2", "student/labels/seed-0"],
        ),
        (
            "distillation.stochastic_drop=0.2",
            ["student/dgkd_stochastic/seed-0"],
            ["train/plain_cnn_4@dense", "student/dgkd/seed-0", "search", "score"],
        ),
        ("distillation.views=5", ["score", "train/plain_cnn_6"], ["train/plain_cnn_8", "fold/1-of-2"]),
        ("distillation.source=online", ["score", "student/kd/seed-0"], ["train/plain_cnn_8", "student/labels/seed-0"]),
        ("difficulty.scorer=margin", ["search", "student/ces_kd/seed-0"], ["score", "student/kd/seed-0"]),
        ("difficulty.held_out_folds=3", ["score", "search"], ["train/plain_cnn_4@dense", "student/kd/seed-0"]),
        ("curriculum.confidence=0.9", ["search", "student/ces_random/seed-0"], ["score", "student/kd/seed-0"]),
        ("search.space.a=0.5", ["search", "student/ces_kd/seed-0"], ["score", "student/kd/seed-0"]),
        ("search.seed=7", ["search", "student/ces_reversed/seed-0"], ["score", "student/kd/seed-0"]),
    ],
)
def test_a_change_remakes_what_follows_from_it_and_leaves_the_rest(
    override: str, remade: list[str], left: list[str], before: dict[str, str]
) -> None:
    after = identities(planned(override))
    assert {name for name in remade if after.get(name) == before[name]} == set()
    assert {name for name in left if after.get(name) != before[name]} == set()


@pytest.mark.parametrize("override", ["curriculum.mode=reveal", "curriculum.pacing={family: log, a: 0.3, b: 0.3}"])
def test_without_a_search_the_recipe_s_curriculum_is_used(override: str) -> None:
    before, after = (identities(planned("search.trials=0", *more)) for more in ((), (override,)))
    assert before["student/ces_kd/seed-0"] != after["student/ces_kd/seed-0"]
    assert before["student/kd/seed-0"] == after["student/kd/seed-0"]


def test_other_data_remake_everything(before: dict[str, str]) -> None:
    after = identities(planned(fingerprint="0" * 64))
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())


@pytest.mark.parametrize("trials", [2, 40])
def test_the_number_of_trials_changes_only_the_search_and_its_dependents(trials: int, before: dict[str, str]) -> None:
    after = identities(planned(f"search.trials={trials}"))
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {name for name in before if name == "search" or "ces_" in name}


@pytest.mark.parametrize("override", ["seeds=[0, 1, 2]", "search.methods=[ces_kd, kd]", "seeds=[1, 0]"])
def test_a_new_seed_or_search_leaves_every_other_stage_as_it_is(override: str, before: dict[str, str]) -> None:
    after = identities(planned(override))
    searched = "kd" if "search" in override else "-"
    kept = [name for name in before if f"/{searched}/" not in name]
    assert {name for name in kept if after[name] != before[name]} == set()


def asked(methods: list[str]) -> str:
    return f"methods=[{', '.join(methods)}]"


@settings(max_examples=25)
@given(
    methods=st.lists(st.sampled_from(METHODS), min_size=1, unique=True),
    topology=st.sampled_from(["direct", "sequential", "dense", "scratch"]),
    source=st.sampled_from(["cached", "online"]),
)
def test_a_method_s_students_are_the_same_whatever_else_the_recipe_asks_for(
    methods: list[str], topology: str, source: str
) -> None:
    common = (f"ladder.topology={topology}", f"distillation.source={source}", "seeds=[0]")
    together = {final.method: final.train.identity for final in planned(*common, asked(METHODS)).finals}
    for final in planned(*common, asked(methods)).finals:
        assert final.train.identity == together[final.method]


@settings(max_examples=25)
@given(
    methods=st.lists(st.sampled_from(METHODS), min_size=1, unique=True),
    topology=st.sampled_from(["direct", "sequential", "dense", "scratch"]),
    source=st.sampled_from(["cached", "online"]),
    trials=st.sampled_from([0, 3]),
    folds=st.sampled_from([0, 2]),
    ladders=st.sampled_from(["[0]", "[3, 1]"]),
)
def test_stages_come_after_their_inputs_and_have_unique_names_and_identities(
    methods: list[str], topology: str, source: str, trials: int, folds: int, ladders: str
) -> None:
    chosen = planned(
        asked(methods), f"ladder.topology={topology}", f"distillation.source={source}", f"ladder.seeds={ladders}",
        f"search.trials={trials}", f"difficulty.held_out_folds={folds}", "search.methods=[ces_kd, kd, dgkd]",
    )  # fmt: skip
    seen: set[str] = set()
    for item in chosen.stages:
        assert {upstream.identity for _, upstream in item.inputs} <= seen
        seen.add(item.identity)
    assert len(seen) == len({item.name for item in chosen.stages}) == len(chosen.stages)
    names = [expert.name for expert in chosen.experts]
    assert len(names) == len(set(names)) and set(names) == set(chosen.evaluations)


@pytest.mark.parametrize("kind", ["ingest", "train", "score", "search", "evaluate"])
def test_a_kind_s_format_version_is_part_of_its_stages_identity(
    kind: str, before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, kind, dataclasses.replace(KINDS[kind], format=KINDS[kind].format + 1))
    after = planned()
    assert all(item.identity != before[item.name] for item in after.stages if item.kind == kind)
    if kind != "ingest":
        assert identities(after)["ingest"] == before["ingest"]


def test_a_trial_s_identity_depends_on_its_training_and_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = stage(planned(), "student/kd/seed-0").spec
    assert isinstance(spec, TrainSpec)
    first = trial_identity(spec, {"data": "ingest-0"}, "none")
    assert first.startswith("trial-")
    assert first == trial_identity(spec.model_copy(), {"data": "ingest-0"}, "none")
    others = {
        trial_identity(spec.model_copy(update={"steps": 31}), {"data": "ingest-0"}, "none"),
        trial_identity(spec, {"data": "ingest-1"}, "none"),
        trial_identity(spec, {"data": "ingest-0"}, "asha"),
    }
    assert len({first, *others}) == 4


def test_every_kind_of_stage_has_a_format_version() -> None:
    assert {item.kind for item in planned().stages} <= KINDS.keys()


def test_the_run_s_id_names_the_recipe_and_changes_with_its_stages() -> None:
    first = planned().run_id
    assert first.startswith("tiny-")
    assert planned("resources.gpus=1").run_id == first
    assert planned("training.steps=31").run_id != first


# -- brought weights ---------------------------------------------------------------------------------------------


def brought(path: Path) -> str:
    return f"ladder.networks=[plain_cnn_8, {{name: plain_cnn_6, weights: {path}}}, plain_cnn_4, plain_cnn_2]"


def test_brought_weights_count_by_their_content_not_their_path(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / name).write_bytes(content)
    a, b, c = (identities(planned(brought(tmp_path / name)))["pretrained/plain_cnn_6"] for name in "abc")
    assert a == b != c


def test_brought_weights_are_one_stage_in_every_topology(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    chosen = planned(brought(tmp_path / "a"))
    assert [item.name for item in chosen.stages if "plain_cnn_6" in item.name] == [
        "pretrained/plain_cnn_6",
        "score/plain_cnn_6",
        "evaluate/plain_cnn_6",
    ]


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=f"ladder.networks: weights file {tmp_path}/gone can't be read: No such file"):
        planned(brought(tmp_path / "gone"))


def test_weights_that_are_no_plain_file_are_refused_and_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "pipe", "is no plain file")):
        with pytest.raises(RecipeError, match=f"^ladder.networks: weights {path} {said}; name a .safetensors file"):
            planned(brought(path))


def test_imported_weights_are_evaluated_on_the_run_s_data(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    assert [role for role, _ in stage(planned(brought(tmp_path / "a")), "pretrained/plain_cnn_6").inputs] == ["data"]


# -- what is still to do -----------------------------------------------------------------------------------------
