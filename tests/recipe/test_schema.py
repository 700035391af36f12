"""Validation of recipes and its messages."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from orchestrator.datasets import describe
from orchestrator.pipeline.plan import plan
from orchestrator.recipe import loading as recipes
from orchestrator.recipe.loading import load
from orchestrator.recipe.reference import fields
from orchestrator.recipe.resources import Resources
from orchestrator.recipe.schema import Recipe
from tests.examples import TINY, refusal, tiny


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_that_comes_with_the_program_loads_and_can_be_planned(name: str) -> None:
    recipe = load(name)
    assert recipe.name == name
    if recipe.dataset.name != "image_folder":  # whose classes are known only where the files lie
        assert plan(recipe, describe(recipe.dataset)).finals


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_comes_back_the_same_from_its_resolved_form(name: str) -> None:
    recipe = load(name)
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


def test_the_default_recipe_needs_no_name() -> None:
    assert load(None) == load(recipes.DEFAULT_RECIPE)


# -- unknown fields ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "field", "nearest", "known"),
    [
        ("trainng.steps=3", "trainng", "training", "ladder"),
        ("training.stpes=3", "training.stpes", "steps", "batch_size"),
        ("training.optimizer.learning_rat=3", "training.optimizer.learning_rat", "learning_rate", "momentum"),
        ("dataset.nmae=cifar10", "dataset.nmae", "name", "root"),
        ("dataset.synthetic.image=3", "dataset.synthetic.image", "images", "noise"),
        ("curriculum.pacing.famly=exp", "curriculum.pacing.famly", "family", "step_length"),
        ("search.space.temprature=2", "search.space.temprature", "temperature", "kd_weight"),
        ("search.space.a={lo: 0.1, low: 0.2, high: 1}", "search.space.a.lo", "low", "high"),
        ("ladder.networks=[a, {name: b, step: 3}]", "ladder.networks[1].step", "steps", "learning_rate"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_name_and_those_known_there(
    override: str, field: str, nearest: str, known: str
) -> None:
    message = refusal(override)
    assert message.startswith(f"{field}: unknown field; did you mean '{nearest}'?; known here: ")
    assert known in message.partition("known here: ")[2].split(", ")
    assert "\n" not in message


@settings(max_examples=30)
@given(word=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1), section=st.sampled_from(["", "training.", "search."]))
def test_any_word_that_is_no_field_is_refused_by_its_dotted_name(word: str, section: str) -> None:
    names = {field.name for field in fields()}
    if f"{section}{word}" not in names:
        assert refusal(f"{section}{word}=1").startswith(f"{section}{word}: unknown field")


# -- wrong values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.steps=many", "training.steps: found 'many'; give a whole number"),
        ("training.steps='128'", "training.steps: found '128'; give a whole number"),
        ("training.steps=1.5", "training.steps: found 1.5; give a whole number"),
        ("training.steps=true", "training.steps: found true; give a whole number"),
        ("training.steps=", "training.steps: found nothing; give a whole number"),
        ("training.steps=0", "training.steps: found 0; give a number above 0"),
        ("dataset.seed='128'", "dataset.seed: found '128'; give a whole number"),
        ("dataset.synthetic.images='128'", "dataset.synthetic.images: found '128'; give a whole number"),
        ("training.optimizer.learning_rate=fast", "training.optimizer.learning_rate: found 'fast'; give a number"),
        ("training.optimizer.learning_rate=.inf", "training.optimizer.learning_rate: found .inf; give a finite number"),
        ("distillation.kd_weight=.nan", "distillation.kd_weight: found .nan; give a finite number"),
        ("distillation.kd_weight=-1", "distillation.kd_weight: found -1; give a number of at least 0"),
        ("distillation.loss=dkb", "distillation.loss: found 'dkb'; give one of 'kd', 'standardised', 'dkd' or 'dist'"),
        ("distillation.dkd.warmup=2", "distillation.dkd.warmup: found 2; give a number of at most 1"),
        ("search.space.losses=[kd, dkt]", "search.space.losses[1]: found 'dkt'; give one of 'kd', 'standardised'"),
        ("search.space.losses=[]", "search.space.losses: found []; give a list of at least 1"),
        ("resources.gpus=-1", "resources.gpus: found -1; give a number of at least 0"),
        ("training.optimizer.momentum=1", "training.optimizer.momentum: found 1; give a number below 1"),
        ("difficulty.balanced=1", "difficulty.balanced: found 1; give true or false"),
        ("dataset.download='yes'", "dataset.download: found 'yes'; give true or false"),
        ("name=3", "name: found 3; give text"),
        ("name=../up", "name: found '../up'; give letters, digits"),
        (
            "curriculum.pacing.family=lineer",
            "curriculum.pacing.family: found 'lineer'; give one of log, exp",
        ),
        ("search.space.families=[exp, rot]", "search.space.families[1]: found 'rot'; give one of log, exp"),
        ("difficulty.scorer=lossy", "difficulty.scorer: found 'lossy'; give one of expert_loss, margin"),
        ("difficulty.scorer=my own:lossy", "difficulty.scorer: found 'my own:lossy'; give one of expert_loss, margin"),
        ("training.keep=bets", "training.keep: found 'bets'; give one of 'best' or 'last'; did you mean 'best'?"),
        ("methods=[kd, ces_dk]", "methods[1]: found 'ces_dk'; give one of labels, kd, "),
        ("methods=kd", "methods: found 'kd'; give a list"),
        ("methods=[]", "methods: found []; give a list of at least 1"),
        (f"seeds={list(range(257))}", "seeds: found [0, 1, 2"),
        ("difficulty.held_out_folds=101", "difficulty.held_out_folds: found 101; give a number of at most 100"),
        (f"name={'a' * 101}", "name: found 'aaaa"),
        ("seeds=[0, one]", "seeds[1]: found 'one'; give a whole number"),
        ("seeds=[-1]", "seeds[0]: found -1; give a number of at least 0"),
        ("training.optimizer.milestones=[0.5, 2]", "training.optimizer.milestones[1]: found 2; give a number of at m"),
        ("ladder.networks=[a]", "ladder.networks: found ['a']; give a list of at least 2"),
        ("ladder.networks=[a, 3]", "ladder.networks[1]: found 3; give a mapping with any of the fields name, steps"),
        ("ladder.networks=[a, {name: b, steps: x}]", "ladder.networks[1].steps: found 'x'; give a whole number"),
        ("training=3", "training: found 3; give a mapping with any of the fields steps, batch_size"),
        ("dataset.validation=2.0", "dataset.validation: 2.0 is neither a number of images (1 or more) nor a share"),
        ("search.space.a=fast", "search.space.a: give a number, or two: [low, high]"),
        ("search.space.a=", "search.space.a: give a number, or two: [low, high]"),
        ("search.space.a=[1, 0.5]", "search.space.a: low 1.0 is above high 0.5"),
        ("search.space.a=[x, 1]", "search.space.a.low: found 'x'; give a number"),
        ("search.space.b=[0, 0.5]", "search.space.b: found [0, 0.5]; every value must be above 0 and at most 1"),
        ("search.space.kd_weight=[-1, 2]", "search.space.kd_weight: found [-1, 2]; every value must be at least 0"),
        ("search.space.temperature=0", "search.space.temperature: found [0, 0]; every value must be above 0"),
        ("search.space.increase=[1, 2]", "search.space.increase: found [1, 2]; every value must be above 1"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_its_field_the_value_and_valid_ones(
    override: str, expected: str
) -> None:
    message = refusal(override)
    assert message.startswith(expected)
    assert "\n" not in message


def test_several_mistakes_are_named_together_one_a_line() -> None:
    assert [line.partition(":")[0] for line in refusal("training.steps=x", "seeds=[a]", "nam=b").splitlines()] == [
        "training.steps",
        "seeds[0]",
        "nam",
    ]


def test_an_error_in_a_nested_section_lists_that_section_s_fields() -> None:
    assert "fields networks, topology, seed" in refusal("ladder=[a, b]")


@pytest.mark.parametrize("field", ["name", "dataset", "ladder", "training", "training.steps", "dataset.name"])
def test_a_missing_field_is_named(field: str, tmp_path: Path) -> None:
    content = yaml.safe_load(Path(TINY).read_text())
    *path, last = field.split(".")
    place = content
    for key in path:
        place = place[key]
    del place[last]
    (tmp_path / "less.yaml").write_text(yaml.safe_dump(content))
    assert refusal(source=str(tmp_path / "less.yaml")) == f"{field}: required, but not set"


def test_a_network_without_a_name_is_named_by_its_place() -> None:
    assert refusal("ladder.networks=[a, {steps: 3}]") == "ladder.networks[1].name: required, but not set"


# -- fields that must fit each other -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["ladder.networks=[a, b, a]"], "ladder.networks: a is in the ladder twice"),
        (["ladder.networks=[a, {name: b, weights: w.safetensors}]"], "ladder.networks: the student (last network) has"),
        (["seeds=[3, 4, 3]"], "seeds: 3 is in [3, 4, 3] twice"),
        (["ladder.seeds=[3, 4, 3]"], "ladder.seeds: 3 is in [3, 4, 3] twice"),
        (
            ["ladder.seeds=[3, 4, 5]"],
            "ladder.seeds has 3 seeds, but seeds has 2, so some ladders would teach no student",
        ),
        (
            ["ladder.seed=7", "ladder.seeds=[3, 4]"],
            "ladder.seeds: found [3, 4], but ladder.seed is 7; leave out one of the two",
        ),
        (["methods=[kd, kd]"], "methods: kd is in ['kd', 'kd'] twice"),
        (["search.methods=[kd, kd]"], "search.methods: kd is in ['kd', 'kd'] twice; leave one out"),
        (["search.methods=[ces_kd, ces_random]"], "search.methods: ces_random has nothing to search"),
        (
            ["search.methods=[labels, kd]"],
            "search: methods has labels, with nothing to search; set search.space.learning_rate, or leave it out",
        ),
        (["search.space.learning_rate=[0, 0.1]"], "search.space.learning_rate: found [0, 0.1]; every value must be"),
        (["resources={gpus: 0.5, workers: 2}"], "resources.gpus is 0.5, but 2 workers train a network together"),
        (
            ["resources={student_gpus: 0.5}", "ladder.networks=[a, {name: b, workers: 2}]"],
            "resources.student_gpus is 0.5, but 2 workers train a network together, and each needs a whole GPU; "
            "give 1, or set ladder.networks[1].workers to 1",
        ),
        (
            ["resources.student_workers=40"],
            "training.batch_size is 32, less than the 40 workers that share it (resources.student_workers)",
        ),
        (
            ["ladder.networks=[{name: a, batch_size: 3, workers: 4}, b]"],
            "ladder.networks[0].batch_size is 3, less than the 4 workers that share it (ladder.networks[0].workers)",
        ),
        (
            ["resources.micro_batch=8"],
            "resources.micro_batch is 8, but batch normalisation takes its statistics over the whole batch, of which a "
            "worker of plain_cnn_8 has 32 at once; set training.norm_batch to 8 or less",
        ),
        (
            ["resources={micro_batch: 8, workers: 4, student_workers: 2}", "training.norm_batch=16"],
            "resources.micro_batch is 8, but batch normalisation takes its statistics over 16 images, of which a "
            "worker of plain_cnn_4 (a fold) has 16 at once",
        ),
        (["difficulty.held_out_folds=1"], "difficulty.held_out_folds is 1; a held-out loss needs at least 2"),
        (
            ["distillation={top_k: 2, source: auto}"],
            "distillation.top_k is 2, which shortens stored logits, but distillation.source is auto; set it to cached",
        ),
        (
            ["distillation={top_k: 2, source: online}"],
            "distillation.top_k is 2, which shortens stored logits, but distillation.source is online; set it to",
        ),
        (
            ["distillation={top_k: 2, source: cached, loss: standardised}"],
            "distillation.loss has standardised, which is computed from all logits of an expert, but "
            "distillation.top_k is 2",
        ),
        (
            ["distillation={top_k: 2, source: cached}", "search.space.losses=[kd, standardised]"],
            "search.space.losses has standardised, which is computed from all logits of an expert, but",
        ),
        (["distillation.top_k=0"], "distillation.top_k: found 0; give a number above 0"),
        (
            ["curriculum={selector: table, table: [plain_cnn_4]}"],
            "curriculum.selector is table, but curriculum.table has 1 entries; name the expert of each of 3 strata",
        ),
        (
            ["curriculum={selector: table, table: [plain_cnn_4, plain_cnn_2, plain_cnn_8]}"],
            "curriculum.table has plain_cnn_2, which is no expert of the ladder; they are plain_cnn_4, plain_cnn_6",
        ),
        (["curriculum.table=[plain_cnn_8, plain_cnn_8, plain_cnn_8]"], "curriculum.table is set, but curriculum.sel"),
        (["search.space.table=[plain_cnn_9]"], "search.space.table has plain_cnn_9, which is no expert of the ladder"),
        (
            ["search.space.table=[plain_cnn_8]"],
            "search.space.table is set, but search.space.selectors has stratified, competent alone; add table, or",
        ),
        (["distillation.views=0"], "distillation.source is cached but distillation.views is 0"),
        (["training.augmentation=resized_crop_flip"], "training.augmentation is resized_crop_flip, which is for im"),
        (["dataset={name: image_folder}"], "training.augmentation is crop, which is for images of one size"),
        (["dataset.image_size=64"], "dataset: image_size is for image_folder, parquet, saved_dataset only"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(overrides: list[str], named: str) -> None:
    assert refusal(*overrides).startswith(named)


@pytest.mark.parametrize(
    "overrides",
    [
        ["resources={micro_batch: 8, workers: 4, student_workers: 4}"],  # a worker has 8 images of the whole batch
        ["resources.micro_batch=8", "training.norm_batch=8"],
        ["resources={micro_batch: 8, workers: 3, student_workers: 8}", "training.norm_batch=7"],
        ["resources={student_workers: 2, student_gpus: 1}"],
    ],
)
def test_a_worker_may_take_its_part_of_a_batch_in_as_small_parts_as_norm_groups_are(overrides: list[str]) -> None:
    assert tiny(*overrides)


def test_a_node_s_cache_is_an_absolute_path() -> None:
    assert Resources(cache="/fast/copies").cache == "/fast/copies"
    with pytest.raises(ValidationError, match=r"found 'copies'; give an absolute path"):
        Resources(cache="copies")
