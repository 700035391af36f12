"""Stages of TA paths: what teaches what, and what paths share with each other and with a run of the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.artifacts.store import file_sha256
from orchestrator.datasets import describe
from orchestrator.paths.lattice import TAPath
from orchestrator.paths.planning import Lattice, PlannedPath, source_of, trainings, with_inputs
from orchestrator.pipeline import brought_weights
from orchestrator.pipeline.graph import Stage
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.recipe.topologies import Topology
from tests.examples import identities, planned, tiny

FOUR = "ladder.networks=[plain_cnn_10, plain_cnn_8, plain_cnn_6, plain_cnn_4, plain_cnn_2]"
BOTH: tuple[Topology, ...] = ("direct", "sequential")
SOURCES = pytest.mark.parametrize("source", ["online", "cached"])


def lattice(*overrides: str, topologies: tuple[Topology, ...] = BOTH, seeds: int = 2) -> Lattice:
    recipe = tiny(*overrides)
    return Lattice(recipe, describe(recipe.dataset), None, topologies, seeds)


def students(of: Lattice, seeds: int = 2) -> list[Stage]:
    return [path.student(seed).train for path in of.different for seed in of.seeds(seeds)]


def found(of: Lattice, topology: Topology, *tas: str) -> PlannedPath:
    """The path with the student of this one."""
    wanted = TAPath(topology, tas)
    return next(path for path in of.different if wanted in (path.path, *path.same))


def taught_by(stage: Stage) -> tuple[str, ...]:
    assert isinstance(stage.spec, TrainSpec)
    return stage.spec.guidance.experts


@SOURCES
@pytest.mark.parametrize("topology", ["direct", "sequential", "dense", "scratch"])
def test_the_last_network_of_a_path_alone_teaches_its_student(source: str, topology: Topology) -> None:
    of = lattice(f"distillation.source={source}", topologies=(topology,))
    for path in of.asked:
        student = found(of, path.topology, *path.tas).student(0).train
        assert taught_by(student) == ((*path.tas[-1:], "plain_cnn_8")[0],)
        assert isinstance(student.spec, TrainSpec) and student.spec.guidance.kind == "single"


@SOURCES
@pytest.mark.parametrize(
    ("topology", "teachers"),
    [("sequential", ("plain_cnn_6",)), ("dense", ("plain_cnn_6", "plain_cnn_8"))],
)
def test_the_tas_of_a_path_are_taught_within_it(source: str, topology: Topology, teachers: tuple[str, ...]) -> None:
    of = lattice(f"distillation.source={source}", topologies=(topology,))
    stages = with_inputs([found(of, topology, "plain_cnn_6", "plain_cnn_4").student(0).train])
    tas = {stage.facts.expert: taught_by(stage) for stage in stages if stage.facts.part == "expert"}
    assert tas == {"plain_cnn_8": (), "plain_cnn_6": ("plain_cnn_8",), "plain_cnn_4": teachers}


@SOURCES
def test_where_tas_do_not_teach_each_other_the_last_one_alone_counts(source: str) -> None:
    of = lattice(FOUR, f"distillation.source={source}", topologies=("direct",))
    assert (len(of.asked), len(of.different)) == (8, 4)
    assert [path.path.tas for path in of.different] == [(), ("plain_cnn_8",), ("plain_cnn_6",), ("plain_cnn_4",)]
    stages = with_inputs([found(of, "direct", "plain_cnn_8", "plain_cnn_4").student(0).train])
    assert "plain_cnn_8" not in [stage.facts.expert for stage in stages]


@SOURCES
def test_prefixes_are_trained_once(source: str) -> None:
    """Of 3 TAs: the teacher, 1 + 2 + 4 TAs by what lies before them, and 8 students a seed."""
    of = lattice(FOUR, f"distillation.source={source}")
    assert (len(of.asked), len(of.different)) == (16, 8)
    assert len(trainings(with_inputs(students(of)))) == 1 + 7 + 8 * 2
    # In each topology 8 teachers and 8 * 2 students; 12 TAs by each other, 7 by the teacher (each path its last alone).
    assert of.trainings_without_sharing(2) == 2 * (8 + 16) + 12 + 7


def test_dense_differs_from_sequential_where_a_ta_has_two_larger_networks() -> None:
    both = lattice(FOUR, topologies=("sequential", "dense"))
    more = [str(path.path) for path in both.different if path.path.topology == "dense"]
    assert more == [
        "dense: plain_cnn_8 > plain_cnn_6", "dense: plain_cnn_8 > plain_cnn_4", "dense: plain_cnn_6 > plain_cnn_4",
        "dense: plain_cnn_8 > plain_cnn_6 > plain_cnn_4",
    ]  # fmt: skip


@SOURCES
def test_paths_share_the_ladder_of_a_run_of_the_recipe(source: str) -> None:
    overrides = ("methods=[kd, kd_smallest, takd]", "search.trials=0", f"distillation.source={source}")
    run = identities(planned(*overrides))
    mine = {stage.identity for stage in with_inputs(students(lattice(*overrides)))}
    shared = {"train/plain_cnn_8", "train/plain_cnn_6", "train/plain_cnn_4", "train/plain_cnn_4@sequential"}
    assert {run[name] for name in (*shared, "student/kd/seed-0", "student/kd/seed-1")} <= mine


@SOURCES
def test_stages_have_names_of_their_own_and_come_after_what_they_need(source: str) -> None:
    of = lattice(FOUR, f"distillation.source={source}", topologies=("direct", "sequential", "dense", "scratch"))
    stages = of.plan([path.student(seed) for path in of.different for seed in (0, 1)], evaluated=True).stages
    assert len({stage.name for stage in stages}) == len({stage.identity for stage in stages}) == len(stages)
    placed = {stage.identity: place for place, stage in enumerate(stages)}
    assert all(placed[item.identity] < placed[stage.identity] for stage in stages for _, item in stage.inputs)
    assert stages[0].kind == "ingest"


def test_a_plan_tests_students_only_where_it_is_asked_to() -> None:
    of = lattice()
    first = [path.student(0) for path in of.different]
    assert all(stage.kind != "evaluate" for stage in of.plan(first, evaluated=False).stages)
    tests = [stage for stage in of.plan(first[:1], evaluated=True).stages if stage.kind == "evaluate"]
    assert tests[-1] == first[0].evaluate
    # A student is measured beside its experts, so those are tested too.
    assert all(stage.facts.part == "expert" for stage in tests[:-1])


@SOURCES
@pytest.mark.parametrize("topology", ["direct", "sequential", "dense", "scratch"])
def test_a_student_s_test_needs_no_training_that_the_student_does_not_need(source: str, topology: Topology) -> None:
    """Without a guided TA the teacher is no part of a path, and is not trained to be compared with."""
    of = lattice(FOUR, f"distillation.source={source}", topologies=(topology,))
    for path in of.different:
        student = path.student(0)
        assert trainings(with_inputs([student.evaluate])) == trainings(with_inputs([student.train])), path.path


@SOURCES
def test_no_path_needs_a_difficulty(source: str) -> None:
    stages = with_inputs(students(lattice(f"distillation.source={source}")))
    assert all(stage.facts.part != "fold" for stage in stages)
    assert all(stage.name != "score" for stage in stages)


def test_weights_that_are_brought_are_hashed_once_for_all_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, hashed = tmp_path / "weights.safetensors", list[Path]()
    file.write_bytes(b"weights")

    def counted(path: Path) -> str:
        hashed.append(path)
        return file_sha256(path)

    monkeypatch.setattr(brought_weights, "file_sha256", counted)
    brought = f"ladder.networks=[{{name: plain_cnn_8, weights: {file}}}, plain_cnn_6, plain_cnn_4, plain_cnn_2]"
    assert len(lattice(brought).asked) == 8 and hashed == [file]
    file.write_bytes(b"other weights")
    lattice(brought)
    assert hashed == [file, file], "a file that has changed is hashed again"


def test_a_plan_has_no_ladder_of_one_topology() -> None:
    of = lattice()
    planned = of.plan([path.student(0) for path in of.different], evaluated=False)
    assert planned.ladder == () and len(planned.experts) == 4


def test_of_several_ladder_seeds_the_first_is_compared() -> None:
    one, several = lattice("ladder.seed=5"), lattice("ladder.seeds=[5, 6]")
    assert [stage.identity for stage in students(one)] == [stage.identity for stage in students(several)]


def test_seeds_are_those_of_the_recipe_and_then_the_smallest_others() -> None:
    of = lattice("seeds=[7, 1]")
    assert [of.seeds(count) for count in (1, 2, 5)] == [[7], [7, 1], [7, 1, 0, 2, 3]]


def test_logits_are_stored_where_that_takes_fewer_forwards_of_a_path_s_last_network() -> None:
    recipe = tiny("distillation.source=auto", "distillation.views=4")
    images = 384  # 1,536 forwards; 30 steps of 32 images are 960 a student
    assert source_of(recipe, images, 1).students == "online"
    assert source_of(recipe, images, 2).students == "cached"
    assert source_of(tiny("distillation.source=auto", "distillation.views=0"), images, 9).students == "online"
