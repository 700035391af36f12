"""search: the pacing search (Ray Tune, Optuna's samplers over a define-by-run space).

A search must give the same answer however its trials happen to finish. So points are proposed in rounds: the sampler
learns from a whole round, in the order of its proposals, before it proposes the next one. A finished trial is stored
by the identity of what it trained; a search that is run again, resumed, or lengthened takes stored trials as they are.
No state of Tune's is restored: the rounds are replayed over the stored trials, and a trial that was cut off goes on
from its own checkpoint.

Files of the artifact: ``search.json`` with every trial and the best one.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from typing import Any

import optuna
import ray.tune
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch

from orchestrator.artifacts import Artifact, Store
from orchestrator.graph import trial_identity
from orchestrator.specs import Range, SearchSpec, SpaceSpec, TrainSpec, apply_choice
from orchestrator.stages.job import Job, StageError
from orchestrator.stages.observers import StageObserver
from orchestrator.stages.train import results_of, single_device, train_here
from orchestrator.training.world import World

METRIC = "validation_accuracy"
ASHA_GRACE = 0.25  # share of a trial's steps that every trial may run


def run(job: Job) -> Artifact:
    """Search, and commit the trials and the best of them.

    Raises:
        StageError: when no trial could be finished.
    """
    start = time.time()
    spec = SearchSpec.from_plain(job.spec)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    job.say(doing="proposing trials")
    rounds = Rounds(job, spec)
    if not rounds.replay():
        _run_trials(job, spec, rounds)
    trials = rounds.records()
    finished = [trial for trial in trials if trial["status"] != "failed"]
    if not finished:
        raise StageError(f"all {len(trials)} trials failed; the first: {trials[0]['error'] if trials else 'none ran'}")
    best = max(finished, key=lambda trial: (trial[METRIC], -trial["validation_loss"], -trial["id"]))
    with job.store.scratch() as scratch:
        (scratch / "search.json").write_text(json.dumps({"trials": trials, "best": best}, indent=1))
        return job.commit(scratch, start, {"trials": trials, "best": best})


def propose(space: SpaceSpec, student: TrainSpec) -> Callable[[optuna.Trial], dict[str, Any]]:
    """Optuna's define-by-run space: what is asked depends on what was answered; a fixed value is not asked."""

    def one_of(trial: optuna.Trial, name: str, values: tuple[str, ...]) -> str:
        return values[0] if len(values) == 1 else trial.suggest_categorical(name, list(values))

    def within(trial: optuna.Trial, name: str, limits: Range) -> float:
        # Four digits: a point can be typed in again as it is printed.
        return limits.low if limits.low == limits.high else round(trial.suggest_float(name, limits.low, limits.high), 4)

    def point(trial: optuna.Trial) -> dict[str, Any]:
        choice: dict[str, Any] = {
            "temperature": within(trial, "temperature", space.temperature),
            "kd_weight": within(trial, "kd_weight", space.kd_weight),
        }
        if student.curriculum is None:
            return choice
        choice["mode"] = one_of(trial, "mode", space.modes)
        choice["selector"] = one_of(trial, "selector", space.selectors)
        if choice["mode"] == "static":  # everything is in play from the start: pacing changes nothing
            return choice
        choice["family"] = one_of(trial, "family", space.families)
        choice["a"] = within(trial, "a", space.a)
        choice["b"] = within(trial, "b", space.b)
        if choice["family"] == "fixed_exponential":
            choice["increase"] = within(trial, "increase", space.increase)
            choice["step_length"] = within(trial, "step_length", space.step_length)
        return choice

    return point


class Rounds(Searcher):
    """Hands Tune the points of one round after another, and answers from the store what has been tried before."""

    def __init__(self, job: Job, spec: SearchSpec) -> None:
        super().__init__(metric=METRIC, mode="max")
        self.job, self.spec, self.store = job, spec, job.store
        sampler: optuna.samplers.BaseSampler
        if spec.sampler == "tpe":
            sampler = optuna.samplers.TPESampler(
                seed=spec.seed, n_startup_trials=max(4, spec.trials // 3), multivariate=True, group=True
            )
        else:
            sampler = optuna.samplers.RandomSampler(seed=spec.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # optuna's notes on experimental arguments
            self.inner = OptunaSearch(propose(spec.space, spec.student), metric=METRIC, mode="max", sampler=sampler)
        self.points: list[dict[str, Any]] = []
        self.found: list[dict[str, Any] | None] = []
        self.told = 0
        self.running: dict[str, int] = {}  # Tune's trial id -> point
        self.waiting: list[int] = []

    # -- rounds --------------------------------------------------------------------------------------------------

    def replay(self) -> bool:
        """Go as far as stored trials reach; whether that is the end."""
        while not self.waiting and not self.running:
            if len(self.points) >= self.spec.trials:
                self._tell()
                return True
            self._next_round()
        return False

    def _next_round(self) -> None:
        self._tell()
        for _ in range(min(self.spec.round_size, self.spec.trials - len(self.points))):
            number = len(self.points)
            point = self.inner.suggest(str(number))
            assert isinstance(point, dict)
            self.points.append(point)
            stored = self.store.read_text(*self._place(number))
            self.found.append(json.loads(stored) | {"id": number} if stored else None)
            if stored is None:
                self.waiting.append(number)

    def _tell(self) -> None:
        """Tell the sampler the round's results in the order in which its points were proposed."""
        for number in range(self.told, len(self.points)):
            record = self.found[number]
            assert record is not None
            failed = record["status"] == "failed"
            self.inner.on_trial_complete(str(number), None if failed else {METRIC: record[METRIC]}, error=failed)
        self.told = len(self.points)

    def identity(self, number: int) -> str:
        """The identity of a point's trial."""
        student = apply_choice(self.spec.student, self.points[number])
        inputs = {role: artifact.identity for role, artifact in self.job.inputs.items()}
        return trial_identity(student, inputs, self.spec.scheduler)

    def _place(self, number: int) -> tuple[str, str]:
        return "trials", f"{self.identity(number)}.json"

    def records(self) -> list[dict[str, Any]]:
        """Every trial, in the order of proposal."""
        return [record for record in self.found if record is not None]

    # -- what Tune calls -----------------------------------------------------------------------------------------

    def suggest(self, trial_id: str) -> Any:
        if not self.waiting and not self.running and self.replay():
            return Searcher.FINISHED
        if not self.waiting:
            return None
        number = self.waiting.pop(0)
        self.running[trial_id] = number
        return {"point": self.points[number], "identity": self.identity(number), "number": number}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        number = self.running.pop(trial_id)
        config = self.points[number]
        if error or result is None or "failure" in result:
            why = (result or {}).get("failure", "the trial's process died; see Ray's logs")
            self.found[number] = {
                "id": number,
                "config": config,
                "status": "failed",
                "error": why,
                "steps": 0,
                METRIC: None,
            }
            return
        record = {
            "id": number,
            "identity": self.identity(number),
            "config": config,
            "status": "finished" if result["step"] >= self.spec.student.steps else "stopped",
            METRIC: result[METRIC],
            "validation_loss": result["validation_loss"],
            "steps": result["step"],
            "seconds": result["seconds"],
            "curve": result["curve"],
        }
        self.found[number] = record
        self.store.write_text(json.dumps(record), *self._place(number))
        done = [item for item in self.found if item and item["status"] != "failed"]
        best = max(done, key=lambda item: item[METRIC])
        self.job.say(step=len(done), steps=self.spec.trials, unit="trials", accuracy=best[METRIC], best=best["config"])

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the stored trials are the search's state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see ``save``."""


class TrialObserver(StageObserver):
    """The listener inside a trial: each validation is reported to Tune, which may stop the trial there."""

    def __init__(self, job: Job, steps: int) -> None:
        super().__init__(job)
        self.steps = steps
        self.curve: list[tuple[int, float]] = []

    def evaluated(self, row: dict[str, Any], state: Callable[[], bytes]) -> bool:
        written = super().evaluated(row, state)
        self.curve.append((row["step"], row["validation_accuracy"]))
        if row["step"] < self.steps:  # the last report is the trial's result
            ray.tune.report(row | {"curve": self.curve})
        return written

    def tick(self, step: int, steps: int, images_per_second: float) -> None:
        return None


def _trial(config: dict[str, Any], job: Job, student: TrainSpec) -> None:
    """One trial: the student under one point of the space, in the trial's own process."""
    spec = apply_choice(student, config["point"])
    trial = Job(**{**vars(job), "identity": config["identity"], "name": f"{job.name}/{config['number']}"})
    observer = TrialObserver(trial, spec.steps)
    try:
        trained = train_here(trial, spec, observer, World(), single_device(job))
    except StageError as error:
        ray.tune.report({METRIC: 0.0, "step": 0, "failure": str(error)})
        return
    last = trained.history[-1]
    ray.tune.report(last | results_of(trained) | {"curve": [(row["step"], row[METRIC]) for row in trained.history]})
    Store(job.storage).drop_checkpoint(config["identity"])


def _run_trials(job: Job, spec: SearchSpec, rounds: Rounds) -> None:
    resources = job.resources
    ask = {"CPU": resources.cpus} | ({"GPU": resources.student_gpus} if resources.student_gpus else {})
    scheduler = None
    if spec.scheduler == "asha":
        scheduler = ray.tune.schedulers.ASHAScheduler(
            time_attr="step", max_t=spec.student.steps, grace_period=max(1, int(ASHA_GRACE * spec.student.steps))
        )
    tuner = ray.tune.Tuner(
        ray.tune.with_resources(ray.tune.with_parameters(_trial, job=job, student=spec.student), ask),
        tune_config=ray.tune.TuneConfig(
            metric=METRIC,
            mode="max",
            search_alg=rounds,
            scheduler=scheduler,
            num_samples=spec.trials,
            reuse_actors=True,
            trial_name_creator=lambda trial: f"trial-{trial.config['number']:03d}",
            trial_dirname_creator=lambda trial: f"trial-{trial.config['number']:03d}",
        ),
        run_config=ray.tune.RunConfig(
            name=f"{job.name.replace('/', '-')}-{job.identity.rsplit('-', 1)[-1][:8]}",
            storage_path=f"{job.store.ray_path}/logs",
            verbose=0,
        ),
    )
    tuner.fit()
