"""Proposals of a search: independent of the order in which trials end, in rounds, with and without halving."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest

from orchestrator.artifacts.trials import METRIC, TrialRecord, best_of
from orchestrator.pipeline.specs import CurriculumSpec, GuidanceSpec, NetworkSpec, SearchSpec, TrainSpec, settings_of
from orchestrator.recipe.choices import OptimizerSpec, PacingSpec
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.search.proposals import Attempt, Proposals, propose

STEPS = 400


def student() -> TrainSpec:
    return TrainSpec(
        network=NetworkSpec(name="plain_cnn_2", classes=10, channels=1, image_size=28),
        guidance=GuidanceSpec(kind="selected", experts=("small", "large"), source="cached"),
        optimizer=OptimizerSpec(), steps=STEPS, batch_size=8, augmentation="none", views=2, views_seed=0,
        precision="fp32", evaluate_every=0, keep="best", seed=0, threads=1,
        curriculum=CurriculumSpec(
            scorer="margin", balanced=False, mode="promote", selector="stratified", confidence=0.5,
            pacing=PacingSpec(), control="none", control_seed=0,
        ),
    )  # fmt: skip


def search(**changes: Any) -> SearchSpec:
    fields: dict[str, Any] = {
        "student": student(), "space": SpaceSpec(), "trials": 12, "round_size": 4, "sampler": "tpe",
        "scheduler": "none", "rungs": (), "warm_start": (), "seed": 7,
    }  # fmt: skip
    return SearchSpec(**(fields | changes))


def outcome(training: TrainSpec, number: int) -> TrialRecord:
    """A made-up result: late openers do well, and longer trainings better."""
    assert training.curriculum is not None
    value = 0.5 + 0.3 * training.curriculum.pacing.a + 0.1 * training.steps / STEPS
    return {
        "id": number, "config": {}, "status": "finished", METRIC: value, "validation_loss": 1 - value,
        "steps": training.steps, "seconds": 1.0, "curve": [(training.steps, value)],
    }  # fmt: skip


def played(
    spec: SearchSpec, at_once: int = 1, order: int = 0, stored: dict[str, TrialRecord] | None = None,
    fails: Callable[[Attempt], bool] = lambda attempt: False, earlier: list[TrialRecord] | None = None,
) -> tuple[Proposals, list[Attempt]]:  # fmt: skip
    """A whole search with so many trainings at once, ended in an order of chance; and the trainings that were run."""
    store = {} if stored is None else stored
    proposals = Proposals(spec, lambda training: store.get(training.model_dump_json()), earlier or [])
    generator = random.Random(order)
    running: list[Attempt] = []
    ran: list[Attempt] = []
    while True:
        while len(running) < at_once and (attempt := proposals.next()):
            running.append(attempt)
            ran.append(attempt)
        if not running:
            assert proposals.done
            return proposals, ran
        assert not proposals.done
        ended = running.pop(generator.randrange(len(running)))
        training = proposals.training(ended)
        if fails(ended):
            record: TrialRecord = {
                "id": ended.number, "config": {}, "status": "failed", "error": "no", "steps": 0, METRIC: None,
            }  # fmt: skip
        else:
            record = store[training.model_dump_json()] = outcome(training, ended.number)
        proposals.settle(ended, record)


@pytest.mark.parametrize("changes", [{}, {"sampler": "random"}, {"scheduler": "halving", "rungs": (0.1, 0.5)}])
def test_the_search_depends_neither_on_concurrency_nor_on_the_order_in_which_trials_end(
    changes: dict[str, Any],
) -> None:
    spec = search(**changes)
    alone, _ = played(spec)
    for at_once, order in ((2, 1), (3, 2), (7, 3)):
        assert played(spec, at_once, order)[0].trials() == alone.trials()


def test_stored_trainings_are_not_run_again_and_a_lengthened_search_runs_only_new_ones() -> None:
    stored: dict[str, TrialRecord] = {}
    # The sampler's plan depends on how many trials it has; a random one proposes the same points first.
    _, ran = played(search(sampler="random"), stored=stored)
    again, nothing = played(search(sampler="random"), stored=stored)
    assert len(ran) == 12 and not nothing and len(again.trials()) == 12
    longer, new = played(search(sampler="random", trials=14), stored=stored)
    assert {attempt.number for attempt in new} == {12, 13}
    assert [trial["config"] for trial in longer.trials()[:12]] == [trial["config"] for trial in again.trials()]


class TestHalving:
    SPEC = search(scheduler="halving", rungs=(0.1, 0.5))

    def test_every_rung_costs_about_as_many_steps_as_the_first(self) -> None:
        assert self.SPEC.rung_steps == (40, 200, 400)
        assert self.SPEC.rung_places == (12, 3, 2)

    def test_the_best_of_a_rung_go_on_and_the_best_of_the_longest_wins(self) -> None:
        proposals, ran = played(self.SPEC)
        of_rung = {steps: [item.number for item in ran if item.steps == steps] for steps in self.SPEC.rung_steps}
        assert [len(numbers) for numbers in of_rung.values()] == [12, 3, 2]
        trials = proposals.trials()
        short = {trial["id"]: trial["rungs"][0][1] for trial in trials}
        assert min(short[number] for number in of_rung[200]) >= max(
            short[number] for number in short if number not in of_rung[200]
        )
        best = best_of(trials)
        assert best is not None and best["status"] == "finished" and best["steps"] == STEPS
        assert [trial["status"] for trial in trials].count("stopped") == 10

    def test_a_short_trial_is_a_whole_training_of_fewer_steps(self) -> None:
        proposals, ran = played(self.SPEC)
        for attempt in ran:
            training = proposals.training(attempt)
            assert training.steps == attempt.steps
            whole = proposals.training(Attempt(attempt.number, STEPS))
            assert training.model_copy(update={"steps": STEPS}) == whole

    def test_a_search_without_early_stopping_takes_over_the_trainings_of_whole_length(self) -> None:
        stored: dict[str, TrialRecord] = {}
        played(search(scheduler="halving", rungs=(0.25,), sampler="random"), stored=stored)
        _, ran = played(search(sampler="random"), stored=stored)
        assert len(ran) == 12 - 3

    def test_a_training_that_fails_does_not_go_on(self) -> None:
        proposals, ran = played(self.SPEC, fails=lambda attempt: attempt.number % 2 == 0)
        assert {attempt.number % 2 for attempt in ran if attempt.steps > 40} == {1}
        assert [trial["status"] for trial in proposals.trials()].count("failed") == 6

    def test_a_search_all_of_whose_trainings_fail_ends_without_a_best(self) -> None:
        proposals, _ = played(self.SPEC, fails=lambda attempt: True)
        assert best_of(proposals.trials()) is None


class TestPointsThatAreProposedTwice:
    """As the sampler does where much is fixed: without pacing to choose, static is one point."""

    PLAIN = SpaceSpec().model_dump(mode="json")
    FIXED = {field: it["low"] for field, it in PLAIN.items() if isinstance(it, dict)}  # noqa: RUF012
    SPACE = SpaceSpec.from_plain({"modes": ["static"], **FIXED})  # two points: selectors

    def test_each_is_trained_once_even_when_both_come_in_one_round(self) -> None:
        proposals, ran = played(search(space=self.SPACE), at_once=4)
        assert len(ran) == 2
        trials = proposals.trials()
        assert [trial["id"] for trial in trials] == list(range(12))
        assert len({trial[METRIC] for trial in trials if trial["config"] == trials[0]["config"]}) == 1

    def test_equal_trials_take_one_place_of_a_rung(self) -> None:
        _, ran = played(search(space=self.SPACE, scheduler="halving", rungs=(0.5,)))
        assert sorted(attempt.steps for attempt in ran) == [STEPS // 2] * 2 + [STEPS] * 2

    def test_a_failure_is_that_of_all_of_them(self) -> None:
        proposals, _ = played(search(space=self.SPACE), at_once=4, fails=lambda attempt: True)
        assert {trial["status"] for trial in proposals.trials()} == {"failed"}


class TestTables:
    """A table is asked stratum by stratum, so that the sampler learns about each stratum's expert."""

    SPACE = SpaceSpec.from_plain({"selectors": ["table"], "modes": ["static"]}).with_table(("small", "large"))
    FIRST, SECOND = "table[0]", "table[1]"

    def test_any_expert_may_teach_any_stratum(self) -> None:
        proposals, _ = played(search(space=self.SPACE, trials=24))
        found = {(trial["config"][self.FIRST], trial["config"][self.SECOND]) for trial in proposals.trials()}
        assert found == {(one, other) for one in ("small", "large") for other in ("small", "large")}

    def test_the_space_may_name_the_experts(self) -> None:
        space = self.SPACE.model_copy(update={"table": ("large",)})
        proposals, _ = played(search(space=space))
        assert {trial["config"][self.FIRST] for trial in proposals.trials()} == {"large"}

    def test_a_point_becomes_the_table_of_the_student_and_back(self) -> None:
        proposals, ran = played(search(space=self.SPACE))
        for attempt in ran:
            training, point = proposals.training(attempt), proposals.points[attempt.number]
            assert training.curriculum is not None
            assert training.curriculum.table == (point[self.FIRST], point[self.SECOND])
            assert settings_of(training).items() >= point.items()

    def test_no_table_is_asked_for_other_selectors(self) -> None:
        proposals, _ = played(search())
        assert not any(self.FIRST in trial["config"] for trial in proposals.trials())

    def test_the_sampler_learns_from_the_tables_of_an_earlier_search(self) -> None:
        earlier = played(search(space=self.SPACE))[0].trials()
        cold, warm = (
            played(search(space=self.SPACE, seed=8), earlier=list(known))[0].trials() for known in ([], earlier)
        )
        assert [trial["config"] for trial in warm] != [trial["config"] for trial in cold]

    def test_a_search_without_tables_has_the_plain_form_of_before(self) -> None:
        plain = search().model_dump(mode="json")
        assert "table" not in plain["space"] and "table" not in plain["student"]["curriculum"]
        assert SearchSpec.from_plain(plain) == search()
        assert search(space=self.SPACE.model_copy(update={"table": ("small",)})).model_dump()["space"]["table"]


class TestWarmStart:
    def test_the_sampler_learns_from_an_earlier_search(self) -> None:
        earlier = played(search())[0].trials()
        cold, warm = (played(search(seed=8), earlier=list(trials))[0].trials() for trials in ([], earlier))
        assert [trial["config"] for trial in warm] != [trial["config"] for trial in cold]
        opened = [sum(float(trial["config"].get("a", 0)) for trial in trials) for trials in (cold, warm)]
        assert opened[1] > opened[0]  # late openers did well before

    def test_trials_outside_the_space_or_of_another_length_teach_nothing(self) -> None:
        earlier = played(search())[0].trials()
        narrow = search(seed=8, space=SpaceSpec.from_plain({"temperature": [9.0, 12.0]}))
        short = search(seed=8, student=student().model_copy(update={"steps": STEPS // 2}))
        for spec in (narrow, short):
            assert played(spec, earlier=earlier)[0].trials() == played(spec)[0].trials()


class TestLosses:
    SPACE = SpaceSpec.from_plain({"losses": ["kd", "dkd"], "ce_weight": [0.1, 0.9]})

    def test_losses_and_the_weight_of_the_labels_are_proposed_where_the_space_has_them(self) -> None:
        proposals, _ = played(search(space=self.SPACE))
        assert {point["loss"] for point in proposals.points} == {"kd", "dkd"}
        assert len({point["ce_weight"] for point in proposals.points}) > 1
        taught = [proposals.training(Attempt(number, STEPS)).guidance for number in range(12)]
        assert [(guidance.loss, guidance.ce_weight) for guidance in taught] == [
            (point["loss"], point["ce_weight"]) for point in proposals.points
        ]

    def test_a_space_without_them_proposes_what_it_did_before(self) -> None:
        fixed = SpaceSpec.from_plain({"losses": ["kd"], "ce_weight": 0.5})  # fixed values are not asked
        with_them, without = (played(search(space=space))[0].points for space in (fixed, SpaceSpec()))
        assert [{name: point[name] for name in point if name not in ("loss", "ce_weight")} for point in with_them] == (
            without
        )


class TestLearningRate:
    SPACE = SpaceSpec.from_plain({"learning_rate": [0.001, 1.0]})

    def test_it_is_proposed_evenly_over_its_logarithm(self) -> None:
        proposals, _ = played(search(space=self.SPACE, sampler="random", trials=60))
        rates = [float(point["learning_rate"]) for point in proposals.points]
        below = [sum(rate < end for rate in rates) / len(rates) for end in (0.01, 0.1)]
        assert below == [pytest.approx(1 / 3, abs=0.15), pytest.approx(2 / 3, abs=0.15)]
        assert {proposals.training(Attempt(number, STEPS)).optimizer.learning_rate for number in range(60)} == set(
            rates
        )

    def test_students_on_labels_have_it_alone(self) -> None:
        alone = student().model_copy(update={"guidance": GuidanceSpec(kind="labels"), "curriculum": None})
        point = propose(self.SPACE, alone)(optuna.trial.FixedTrial({"learning_rate": 0.02}))
        assert point == {"learning_rate": 0.02}

    def test_a_space_without_it_proposes_what_it_did_before(self) -> None:
        fixed = SpaceSpec.from_plain({"learning_rate": 0.1})  # a fixed value is not asked
        with_it, without = (played(search(space=space))[0].points for space in (fixed, SpaceSpec()))
        assert [{name: point[name] for name in point if name != "learning_rate"} for point in with_it] == without
