"""``ladder.seeds``: ladders of several seeds, the students that each teaches, and what they share with one ladder."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.kinds import ScoreSpec
from orchestrator.pipeline.specs import TrainSpec
from tests.examples import identities, planned, stage

TWO = ("ladder.seeds=[0, 1]", "seeds=[5, 6, 7]")


def ladder_seeds(item: Stage) -> set[int]:
    """The seeds of the ladders that a stage's networks belong to, by its inputs and theirs."""
    spec = item.spec
    own = {spec.views_seed} if isinstance(spec, TrainSpec | ScoreSpec) else set()
    return own.union(*(ladder_seeds(upstream) for role, upstream in item.inputs if role != "search"))


def test_one_seed_is_the_ladder_of_that_seed() -> None:
    for seeds, seed in (("[0]", "0"), ("[3]", "3")):
        assert identities(planned(f"ladder.seeds={seeds}")) == identities(planned(f"ladder.seed={seed}"))


def test_the_students_seeds_are_taught_by_the_ladders_in_turn() -> None:
    chosen = planned(*TWO)
    for final in chosen.finals:
        wanted = {5: 0, 6: 1, 7: 0}[final.seed]
        assert final.ladder_seed == wanted and ladder_seeds(final.train) == {wanted}
    assert all(ladder_seeds(search) == {0} for search in chosen.searches.values())


@pytest.mark.parametrize("source", ["cached", "online"])
def test_a_further_ladder_is_made_of_the_stages_of_a_recipe_with_its_seed_alone(source: str) -> None:
    common = (f"distillation.source={source}", "search.trials=0", "ladder.topology=sequential")
    first, second = (planned(*common, f"ladder.seed={number}", f"seeds=[{5 + number}]") for number in (0, 1))
    both = planned(*common, "ladder.seeds=[0, 1]", "seeds=[5, 6]")
    assert {*identities(first).values(), *identities(second).values()} == {*identities(both).values()}


def test_stages_and_experts_of_a_further_ladder_have_its_seed_in_their_names() -> None:
    chosen = planned(*TWO)
    assert [expert.name for expert in chosen.repeats] == [
        "plain_cnn_8@seed-1", "plain_cnn_6@seed-1", "plain_cnn_4@seed-1", "plain_cnn_4@sequential@seed-1",
        "plain_cnn_4@dense@seed-1",
    ]  # fmt: skip
    assert {expert.name for expert in chosen.experts} == set(chosen.evaluations)
    by_name = {item.name: item for item in planned().stages}
    further = {name for name in identities(chosen) if name.endswith("@seed-1")}
    assert {
        "train/plain_cnn_8@seed-1", "fold/1-of-2@seed-1", "score@seed-1", "score/dense@seed-1",
        "evaluate/plain_cnn_4@sequential@seed-1",
    } <= further  # fmt: skip
    assert {name.removesuffix("@seed-1") for name in further} == {
        name for name, item in by_name.items() if item.facts.part != "student" and item.kind not in ("ingest", "search")
    }
    assert all(stage(chosen, name).facts.ladder_seed == 1 for name in further)
    assert stage(chosen, "evaluate/plain_cnn_8@seed-1").facts.label == "plain_cnn_8@seed-1"


def test_brought_weights_are_one_expert_of_all_ladders(tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"anything")
    chosen = planned(
        *TWO, f"ladder.networks=[{{name: plain_cnn_8, weights: {weights}}}, plain_cnn_4, plain_cnn_2]", "methods=[kd]"
    )
    assert [expert.name for expert in chosen.experts] == ["plain_cnn_8", "plain_cnn_4", "plain_cnn_4@seed-1"]


def test_storing_and_running_experts_are_compared_for_all_ladders() -> None:
    few, many = (planned("distillation.source=auto", f"ladder.seeds={seeds}") for seeds in ("[0]", "[0, 1]"))
    assert few.source.reason != many.source.reason
    stored = [int(chosen.source.reason.split()[2].replace(",", "")) for chosen in (few, many)]
    assert stored[1] == 2 * stored[0]
