"""The training loop: images shown, validations, checkpoints and failures."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from curricula.pacing import FAMILIES
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training import optim
from orchestrator.training.data.folds import folds_of, training_images
from orchestrator.training.errors import TrainingDivergedError
from orchestrator.training.evaluation import evaluate
from orchestrator.training.guidance.experts import OnlineExperts
from orchestrator.training.loop import train
from orchestrator.training.networks import new_network
from orchestrator.training.state import TrainingState
from tests.training.examples import (
    BATCH,
    CPU,
    LADDER,
    PASS,
    TRAINING_IMAGES,
    Keeper,
    Killed,
    Shown,
    arrays,
    assert_same_training,
    curriculum_of,
    data,
    expert_network,
    learn,
    optimizer,
    pacing,
    teaching,
    teaching_of,
    training,
)
from tests.training.networks import MASKED, NO_BATCH_NORM


def shown_by(spec: TrainSpec) -> Shown:
    """Returns the images that a training shows, step by step, or by groups of steps that are taught at once."""
    shown = Shown(data().images)
    learn(spec, on=replace(data(), images=shown))
    return shown


class TestWhatIsShown:
    def test_every_pass_shows_every_training_image_once_in_a_new_view(self) -> None:
        shown = shown_by(training(steps=4 * PASS))
        for start in range(0, 4 * PASS, PASS):
            once = np.concatenate(shown.steps[start : start + PASS])
            np.testing.assert_array_equal(np.sort(once), data().train)
        assert shown.view_numbers == [0] * PASS + [1] * PASS + [2] * PASS + [3] * PASS

    def test_with_a_number_of_views_they_are_shown_in_turn(self) -> None:
        shown = shown_by(training(steps=4 * PASS, views=3))
        assert shown.view_numbers == [0] * PASS + [1] * PASS + [2] * PASS + [0] * PASS

    @pytest.mark.parametrize("mode", ["reveal", "both"])
    @pytest.mark.parametrize("family", FAMILIES)
    def test_reveal_never_shows_an_image_outside_its_active_set(self, family: str, mode: str) -> None:
        extra = {"increase": 1.5, "step_length": 0.1} if family == "fixed_exponential" else {}
        chosen = pacing(mode, family, a=0.8, b=0.2)
        chosen = chosen.model_copy(update={"pacing": chosen.pacing.model_copy(update=extra)})
        spec = training(NO_BATCH_NORM, guidance=teaching("selected", experts=["middle"]), curriculum=chosen,
                        batch_size=12, steps=40, evaluate_every=40)  # fmt: skip
        shown = shown_by(spec)
        assert len(shown.steps) == spec.steps
        curriculum, _ = curriculum_of(chosen, 1)
        step, grown = 0, []
        while step < spec.steps:
            active = data().train[curriculum.active(step / spec.steps, minimum=spec.batch_size)]
            batches = math.ceil(len(active) / spec.batch_size)
            of_this_pass = np.concatenate(shown.steps[step : step + batches])
            assert set(of_this_pass) <= set(active)
            if step + batches <= spec.steps:
                np.testing.assert_array_equal(np.sort(of_this_pass), np.sort(active))
            grown.append(len(active))
            step += batches
        assert grown[0] < TRAINING_IMAGES == grown[-1]

    @pytest.mark.parametrize("mode", ["static", "promote"])
    def test_a_curriculum_with_everything_in_play_shows_the_images_of_labels(self, mode: str) -> None:
        spec = training(guidance=teaching("selected"), curriculum=pacing(mode))
        selected, labels = (np.concatenate(shown_by(it).steps) for it in (spec, training()))
        np.testing.assert_array_equal(selected, labels)

    def test_a_fold_is_trained_without_its_images(self) -> None:
        fold = folds_of(TRAINING_IMAGES, 3, seed=5)
        for number in range(3):
            spec = training(fold=number, folds=3, steps=6)
            held_out, used = data().train[fold == number], data().train[fold != number]
            every = np.concatenate(shown_by(spec).steps)
            assert set(every) == set(used)
            assert not set(every) & set(held_out)
            np.testing.assert_array_equal(training_images(spec, data()), used)


class TestHistory:
    def test_there_is_a_row_every_so_many_steps_and_one_at_the_end(self) -> None:
        keeper = Keeper()
        trained = learn(training(evaluate_every=5), keeper)
        assert [row["step"] for row in trained.history] == [5, 10, 14]
        assert [row["step"] for row in keeper.rows] == [5, 10, 14]

    def test_without_a_number_of_steps_there_is_a_row_after_every_pass(self) -> None:
        trained = learn(training(evaluate_every=0))
        assert [row["step"] for row in trained.history] == [3, 6, 9, 12, 14]

    def test_a_row_has_the_network_s_metrics_at_that_step(self) -> None:
        trained = learn(training())
        network = new_network(training().network, 0)
        network.load_state_dict(trained.weights)
        accuracy, loss = evaluate(network, data(), data().validation, bf16=False)
        row = trained.history[-1]
        assert row["validation_accuracy"] == accuracy
        assert row["validation_loss"] == pytest.approx(loss, rel=1e-5)
        assert row["learning_rate"] == optim.learning_rate(training().optimizer, 13, 14)
        assert row["seconds"] <= trained.seconds

    def test_the_parts_of_the_time_add_up_to_the_whole(self) -> None:
        trained = learn(training(evaluate_every=5), Keeper())
        assert all(seconds >= 0 for seconds in trained.spent.values())
        assert trained.spent["compute"] > 0 and trained.spent["validation"] > 0
        assert sum(trained.spent.values()) == pytest.approx(trained.seconds, rel=0.05, abs=0.02)

    def test_training_loss_and_accuracy_are_means_over_the_images_shown_since_the_last_row(self) -> None:
        # Without learning the first row is the network's own loss on the training images.
        still = training(optimizer=optimizer(learning_rate=1e-30), evaluate_every=PASS, augmentation="none")
        still = still.model_copy(update={"network": training(NO_BATCH_NORM).network})
        row = learn(still).history[0]
        accuracy, loss = evaluate(new_network(still.network, still.seed), data(), data().train, bf16=False)
        assert row["training_accuracy"] == pytest.approx(accuracy)
        assert row["training_loss"] == pytest.approx(loss, rel=1e-5)

    def test_a_curriculum_adds_the_images_and_experts_in_play(self) -> None:
        curriculum = pacing("both", "linear", a=1.0, b=0.25)
        history = learn(training(guidance=teaching("selected"), curriculum=curriculum)).history
        fractions = [0.25 + 0.75 * step / 14 for step in (4, 8, 12, 14)]
        assert [row["active_fraction"] for row in history] == pytest.approx(fractions, abs=1 / TRAINING_IMAGES)
        assert [row["expert_limit"] for row in history] == [math.ceil(3 * fraction) for fraction in fractions]


class TestWhatIsKept:
    def test_best_keeps_the_weights_of_the_best_validation(self) -> None:
        for seed in range(3):
            spec = training(
                keep="best", optimizer=optimizer(learning_rate=0.4, schedule="constant"), steps=20, seed=seed
            )
            trained = learn(spec.model_copy(update={"evaluate_every": 1}))
            best = max(trained.history, key=lambda row: (row["validation_accuracy"], -row["validation_loss"]))
            assert (trained.kept_step, trained.validation_accuracy, trained.validation_loss) == (
                best["step"], best["validation_accuracy"], best["validation_loss"]
            )  # fmt: skip
            network = new_network(spec.network, 0)
            network.load_state_dict(trained.weights)
            accuracy, loss = evaluate(network, data(), data().validation, bf16=False)
            assert accuracy == best["validation_accuracy"]
            assert loss == pytest.approx(best["validation_loss"], rel=1e-5)

    def test_of_validations_of_equal_accuracy_best_keeps_the_one_with_the_smallest_loss(self) -> None:
        trained = learn(training(NO_BATCH_NORM, keep="best", optimizer=optimizer(learning_rate=1e-5), evaluate_every=2))
        assert len({row["validation_accuracy"] for row in trained.history}) == 1
        least = min(trained.history, key=lambda row: row["validation_loss"])
        assert trained.kept_step == least["step"] > trained.history[0]["step"]

    def test_last_keeps_the_weights_of_the_last_step(self) -> None:
        trained = learn(training(keep="last", optimizer=optimizer(learning_rate=0.4)))
        assert trained.kept_step == 14
        assert trained.validation_loss == trained.history[-1]["validation_loss"]

    def test_the_choice_of_checkpoint_does_not_change_the_training(self) -> None:
        best, last = learn(training(keep="best")), learn(training(keep="last"))
        assert [row["validation_loss"] for row in best.history] == [row["validation_loss"] for row in last.history]


class TestDivergence:
    """A learning rate of 1e9."""

    MESSAGE = re.compile(
        r"no longer finite at step (\d+) of 14, learning rate (\S+); "
        r"(?:the last good checkpoint is that of step (\d+)|no checkpoint was written)\. Lower .*learning_rate"
    )

    def failure(self, keeper: Keeper, **changes: Any) -> re.Match[str]:
        # Without batch norm the first step still leaves finite losses.
        too_fast = optimizer(learning_rate=1e9, schedule="constant", warmup=0.0)
        with pytest.raises(TrainingDivergedError) as raised:
            learn(training(NO_BATCH_NORM, optimizer=too_fast, **changes), keeper)
        found = self.MESSAGE.search(str(raised.value))
        assert found is not None, raised.value
        return found

    def test_it_stops_with_the_step_its_learning_rate_and_the_last_good_step(self) -> None:
        keeper = Keeper()
        step, rate, last_good = self.failure(keeper, evaluate_every=1).groups()
        assert float(rate) == 1e9
        assert int(step) < 14
        assert int(last_good) == keeper.rows[-1]["step"] <= int(step)

    def test_before_the_first_validation_no_checkpoint_was_written(self) -> None:
        keeper = Keeper()
        step, _, last_good = self.failure(keeper, evaluate_every=14).groups()
        assert int(step) < 13  # the step itself, not the validation that found it
        assert last_good is None
        assert keeper.kept is None

    def test_a_checkpoint_between_validations_is_written_only_while_the_loss_is_finite(self) -> None:
        keeper = Keeper(between=True)
        step, _, last_good = self.failure(keeper, evaluate_every=14).groups()
        assert keeper.kept is not None
        assert TrainingState.from_bytes(keeper.kept).step == int(last_good) == int(step)  # as many as were good

    def test_a_resumed_training_names_the_checkpoint_it_came_from(self) -> None:
        keeper = Keeper(kill_at=4)
        with pytest.raises(Killed):
            learn(training(NO_BATCH_NORM), keeper)
        assert self.failure(Keeper(keeper.kept), evaluate_every=10).group(3) == "4"

    def test_no_row_of_a_diverged_training_has_a_loss_that_is_not_finite(self) -> None:
        keeper = Keeper()
        self.failure(keeper, evaluate_every=1)
        assert all(math.isfinite(row[loss]) for row in keeper.rows for loss in ("training_loss", "validation_loss"))


def test_a_network_whose_running_statistics_are_not_finite_has_diverged_though_its_loss_is() -> None:
    spec, keeper = training(), Keeper()
    network = new_network(spec.network, spec.seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            module.running_var.fill_(math.inf)
    with pytest.raises(TrainingDivergedError, match=r"a weight or running statistic was no longer finite at step 3"):
        train(spec, network, data(), teaching_of(spec), device=CPU, observer=keeper)
    assert not keeper.rows


def test_a_network_with_a_mask_of_infinite_values_has_not_diverged() -> None:
    trained = learn(training(MASKED))
    assert torch.isneginf(trained.weights["mask"]).any()


@pytest.mark.parametrize("kind", ["single", "dense", "selected"])
def test_an_expert_whose_logits_are_not_finite_is_named_and_not_the_learning_rate(kind: str) -> None:
    networks = [expert_network(name) for name in LADDER]
    for network in networks[:1]:
        next(network.parameters()).data[0] = float("nan")
    spec = training(guidance=teaching(kind), curriculum=pacing("static") if kind == "selected" else None)
    taught_by = teaching_of(spec)
    taught_by.experts = OnlineExperts(networks[: len(spec.guidance.experts)], CPU, bf16=False)
    with pytest.raises(TrainingDivergedError) as raised:
        learn(spec, taught_by=taught_by)
    assert f"logits of {next(iter(LADDER))} are not finite" in str(raised.value)
    assert "learning_rate" not in str(raised.value)


def test_a_taught_student_that_diverges_by_itself_has_its_learning_rate_in_the_error() -> None:
    spec = training(guidance=teaching("single"), optimizer=optimizer(learning_rate=1e12))
    with pytest.raises(TrainingDivergedError, match=r"learning_rate.*distillation\.kd_weight"):
        learn(spec)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_learns_in_either_precision(precision: str) -> None:
    spec = training(precision=precision, steps=40, optimizer=optimizer(learning_rate=0.02), augmentation="none")
    trained = learn(spec)
    assert trained.bf16 == (precision == "bf16")
    assert trained.validation_accuracy > 0.5  # chance is 0.25
    assert all(value.dtype != torch.bfloat16 for value in trained.weights.values())


def test_precision_makes_a_difference() -> None:
    bf16, fp32 = learn(training(precision="bf16")), learn(training(precision="fp32"))
    assert bf16.validation_loss != fp32.validation_loss
    assert bf16.validation_loss == pytest.approx(fp32.validation_loss, rel=0.2)


class TestLearnedStep:
    def test_without_it_there_is_none(self) -> None:
        assert learn(training(steps=2)).learned_step is None

    def test_it_is_the_end_of_the_pass_from_which_on_a_prediction_stayed_right(self) -> None:
        # Labels of which every third is wrong: easy images are learned, those are not.
        labels = torch.from_numpy(arrays().labels.copy())
        wrong = np.arange(TRAINING_IMAGES) % 3 == 0
        labels[torch.from_numpy(data().train[wrong])] += 1
        spec = training(record_learned_step=True, steps=16 * PASS + 1, augmentation="none",
                        optimizer=optimizer(learning_rate=0.02))  # fmt: skip
        found = learn(spec, on=replace(data(), labels=labels % 4)).learned_step
        assert found is not None
        never = 16 * PASS + 1  # one past the last whole pass
        assert set(found.tolist()) <= {*range(PASS, never, PASS), never}
        assert found[wrong].mean() > found[~wrong].mean() + PASS

    def test_recording_changes_nothing_of_the_training(self) -> None:
        recorded, plain = learn(training(record_learned_step=True)), learn(training())
        assert recorded.learned_step is not None
        assert_same_training(replace(recorded, learned_step=None), plain)


def test_a_set_smaller_than_a_batch_is_one_batch() -> None:
    few = replace(data(), train=data().train[: BATCH // 2])
    assert len(learn(training(steps=3, evaluate_every=0), on=few).history) == 3
