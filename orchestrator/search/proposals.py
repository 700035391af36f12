"""Proposals of a search: a function of its spec and of earlier trials' results, never of the order in which they end.

Points are proposed in rounds: the sampler learns from a whole round, in the order of its proposals, before it proposes
the next one. A trial is stored by the identity of its training, so a search that is repeated, resumed or lengthened
takes stored trials as they are, and needs no other state.

Halving (Jamieson and Talwalkar, AISTATS 2016) compares points by short trials first, and the best go on to longer ones.
Here a short trial is a whole training of fewer steps, not the beginning of a long one: pacing and learning rate
are functions of progress, so a schedule that opens late is seen open, and is not left out for being slow.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import optuna

from orchestrator.artifacts.trials import METRIC, Point, TrialRecord
from orchestrator.pipeline.specs import SearchSpec, TrainSpec, apply_choice, searched_parts
from orchestrator.recipe.search_space import SETTINGS, Range, Setting, SpaceSpec


@dataclass(frozen=True)
class Attempt:
    """One training of a search: a point of the space, by its number, for so many steps."""

    number: int
    steps: int


def propose(space: SpaceSpec, student: TrainSpec) -> Callable[[optuna.trial.BaseTrial], Point]:
    """Returns Optuna's define-by-run space: what is asked depends on what was answered; a fixed value is not asked."""
    fields, experts = space.searched(searched_parts(student)), student.guidance.experts

    def value(
        trial: optuna.trial.BaseTrial, setting: Setting, name: str, among: Range | tuple[str | float, ...]
    ) -> str | float:  # fmt: skip
        if isinstance(among, tuple):
            return among[0] if len(among) == 1 else cast(str | float, trial.suggest_categorical(name, list(among)))
        if among.low == among.high:
            return among.low
        return setting.rounded(trial.suggest_float(name, among.low, among.high, log=setting.log))

    def point(trial: optuna.trial.BaseTrial) -> Point:
        choice: Point = {}
        for field in fields:
            setting = SETTINGS[field]
            if setting.when(choice):
                # Each stratum's expert is a parameter of its own: one for whole tables would have E^E alternatives, of
                # which the sampler could learn nothing from one to the next.
                among = setting.among(getattr(space, field), experts)
                choice |= {name: value(trial, setting, name, among) for name in setting.names(len(experts))}
        return choice

    return point


class Proposals:
    """Points of a search and their results.

    Args:
        spec: the search.
        find: returns the stored record of a training, or None.
        earlier: trials of earlier searches over the same artifacts, for the sampler to learn from.
    """

    def __init__(
        self, spec: SearchSpec, find: Callable[[TrainSpec], TrialRecord | None], earlier: Sequence[TrialRecord] = ()
    ) -> None:
        self.spec, self.find = spec, find
        self.lengths, self.places = spec.rung_steps, spec.rung_places
        self.ask_for = propose(spec.space, spec.student)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # optuna's notes on experimental arguments
            self.study = optuna.create_study(sampler=_sampler(spec), direction="maximize")
        self.points: list[Point] = []
        self.asked: list[optuna.Trial] = []
        self.found: dict[Attempt, TrialRecord] = {}
        self.found_of: dict[int, list[Attempt]] = {}  # the same attempts, by number
        self.first_of: dict[str, Attempt] = {}  # those that wait, by their training
        self.waiting: list[Attempt] = []
        self.running: set[Attempt] = set()
        self.twins: dict[Attempt, list[Attempt]] = {}  # those of other points that are the very same training
        self.rung = 0
        self.told = 0
        for record in earlier:
            self._learn(record)

    def training(self, attempt: Attempt) -> TrainSpec:
        """Returns the training of an attempt."""
        return apply_choice(self.spec.student, self.points[attempt.number]).model_copy(update={"steps": attempt.steps})

    def next(self) -> Attempt | None:
        """Returns the next training that is not stored; None while others must end first, or when all is done."""
        while not self.waiting and not self.running and self._add_batch():
            pass
        if not self.waiting:
            return None
        attempt = self.waiting.pop(0)
        self.running.add(attempt)
        return attempt

    @property
    def done(self) -> bool:
        """Whether every training has ended."""
        return not self.waiting and not self.running and not self._more()

    def settle(self, attempt: Attempt, record: TrialRecord) -> None:
        """Record the result of an attempt."""
        self.running.discard(attempt)
        for same in (attempt, *self.twins.pop(attempt, ())):
            self._keep(same, record)

    def trials(self) -> list[TrialRecord]:
        """Returns a record of every point, as proposed: its longest training, and its accuracy at each rung."""
        trials = []
        for number, config in enumerate(self.points):
            attempts = sorted(self.found_of.get(number, ()), key=lambda item: item.steps)
            records = [self.found[attempt] for attempt in attempts]
            if not records:
                continue
            good = [record for record in records if record["status"] != "failed"]
            last = good[-1] if good else records[-1]
            trial = last.copy()
            trial["id"], trial["config"] = number, config
            trial["rungs"] = [(item["steps"], _accuracy(item)) for item in good]
            if good:
                trial["seconds"] = sum(record["seconds"] for record in good)
                if last["steps"] < self.spec.student.steps:
                    trial["status"] = "stopped"
            trials.append(trial)
        return trials

    # -- batches -------------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        return len(self.points) < self.spec.trials or self.rung + 1 < len(self.lengths)

    def _add_batch(self) -> bool:
        """Add the next round of points, or of a rung's best; whether there was any."""
        self._tell()
        self.first_of.clear()
        if len(self.points) < self.spec.trials:
            for _ in range(min(self.spec.round_size, self.spec.trials - len(self.points))):
                trial = self.study.ask()
                self.asked.append(trial)
                self.points.append(self.ask_for(trial))
                self._add(Attempt(len(self.points) - 1, self.lengths[0]))
            return True
        if self.rung + 1 < len(self.lengths):
            best = self._best(self.lengths[self.rung], self.places[self.rung + 1])
            self.rung += 1
            for number in best:
                self._add(Attempt(number, self.lengths[self.rung]))
            return True
        return False

    def _add(self, attempt: Attempt) -> None:
        training = self.training(attempt)
        stored = self.find(training)
        if stored is not None:
            self._keep(attempt, stored)
            return
        first = self.first_of.setdefault(training.model_dump_json(), attempt)
        if first is attempt:
            self.waiting.append(attempt)
        else:
            self.twins.setdefault(first, []).append(attempt)

    def _keep(self, attempt: Attempt, record: TrialRecord) -> None:
        self.found[attempt] = _numbered(record, attempt)
        self.found_of.setdefault(attempt.number, []).append(attempt)

    def _best(self, steps: int, count: int) -> list[int]:
        """The best different points among those that were trained for so many steps, the best first."""
        good = {
            attempt.number: record
            for attempt, record in self.found.items()
            if attempt.steps == steps and record["status"] != "failed"
        }
        best: list[int] = []
        for number in sorted(
            good, key=lambda number: (-_accuracy(good[number]), good[number]["validation_loss"], number)
        ):
            if self.points[number] not in [self.points[other] for other in best]:
                best.append(number)
        return best[:count]

    # -- the sampler -------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell the sampler the last round's results: those of the first rung, where all points can be compared."""
        for number in range(self.told, len(self.points)):
            record = self.found[Attempt(number, self.lengths[0])]
            if record["status"] == "failed":
                self.study.tell(self.asked[number], state=optuna.trial.TrialState.FAIL)
            else:
                self.study.tell(self.asked[number], _accuracy(record))
        self.told = len(self.points)

    def _learn(self, record: TrialRecord) -> None:
        """Take an earlier search's trial, if it lies in this search's space and was trained for as many steps."""
        values = {steps: accuracy for steps, accuracy in record.get("rungs", [])}
        config = record["config"]
        fixed = optuna.trial.FixedTrial(config)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a value outside this space is refused below
            try:
                if self.lengths[0] not in values or self.ask_for(fixed) != config:
                    return
                params = {name: config[name] for name in fixed.distributions}
                frozen = optuna.trial.create_trial(
                    params=params, distributions=fixed.distributions, value=values[self.lengths[0]]
                )
            except ValueError:
                return
        self.study.add_trial(frozen)


def _numbered(record: TrialRecord, attempt: Attempt) -> TrialRecord:
    """Returns the record as that of another point of the same training."""
    numbered = record.copy()
    numbered["id"] = attempt.number
    return numbered


def _accuracy(record: TrialRecord) -> float:
    accuracy = record[METRIC]
    assert accuracy is not None, "a failed trial has no accuracy"
    return accuracy


def _sampler(spec: SearchSpec) -> optuna.samplers.BaseSampler:
    if spec.sampler == "random":
        return optuna.samplers.RandomSampler(seed=spec.seed)
    return optuna.samplers.TPESampler(
        seed=spec.seed, n_startup_trials=max(4, spec.trials // 3), multivariate=True, group=True
    )
