"""Recipe -> stages: which networks, scores, searches, students and evaluations a recipe asks for.

Imports neither torch nor ray.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from orchestrator import own_code
from orchestrator.datasets.registry import DatasetInfo
from orchestrator.graph import Expert, Final, Plan, Stage
from orchestrator.recipe import LadderNetwork, Recipe, RecipeError
from orchestrator.specs import (
    CurriculumSpec,
    EvaluateSpec,
    GuidanceSpec,
    IngestSpec,
    NetworkSpec,
    PretrainedSpec,
    ScoreSpec,
    SearchSpec,
    TrainSpec,
)

Topology = Literal["direct", "sequential", "dense", "scratch"]

# The guidance of each method, and the topology of the TAs that its experts come from (None: the recipe's own).
CURRICULUM_METHODS = {"ces_kd": "none", "ces_random": "random", "ces_reversed": "reversed"}
TOPOLOGY_OF: dict[str, Topology] = {"takd": "sequential", "dgkd": "dense", "dgkd_stochastic": "dense"}


def plan(recipe: Recipe, data: DatasetInfo) -> Plan:
    """All stages of a recipe on a data set."""
    return _Planner(recipe, data).plan()


class _Planner:
    """Builds the stages of one recipe. Equal stages are one stage, whatever asked for them."""

    def __init__(self, recipe: Recipe, data: DatasetInfo) -> None:
        self.recipe, self.data = recipe, data
        self.known: dict[str, Stage] = {}
        self.labels: dict[str, str] = {}  # an expert stage's identity -> its label
        self.ladders: dict[Topology, list[Expert]] = {}
        self.evaluations: dict[str, Stage] = {}
        self.searches: dict[str, Stage] = {}
        dataset = recipe.dataset.model_dump(mode="json", exclude={"root", "download"})
        self.ingest = self._add(
            Stage(
                "ingest",
                "ingest",
                IngestSpec(dataset=dataset, fingerprint=data.fingerprint),
                settings={"dataset": recipe.dataset.model_dump(mode="json")},
            )
        )

    def _add(self, stage: Stage) -> Stage:
        return self.known.setdefault(stage.identity, stage)

    def plan(self) -> Plan:
        recipe = self.recipe
        own = self.ladder(recipe.ladder.topology)
        self.source, reason = self._source(len(own))
        main_score = None
        if any(method in CURRICULUM_METHODS for method in recipe.methods):
            main_score = self.score_of(recipe.ladder.topology)
        finals = [self._final(method, seed) for method in recipe.methods for seed in recipe.seeds]
        every = {expert.label: expert for ladder in self.ladders.values() for expert in ladder}
        others = [expert for label, expert in every.items() if label not in {item.label for item in own}]
        for expert in (*own, *others):
            self.evaluations[expert.label] = self._evaluation(expert.label, expert.network, expert.stage)
        return Plan(
            recipe=recipe,
            stages=tuple(self.known.values()),
            ladder=tuple(own),
            others=tuple(others),
            evaluations=self.evaluations,
            finals=tuple(finals),
            searches=self.searches,
            score=main_score,
            source=self.source,
            source_reason=reason,
        )

    # -- networks of the ladder ----------------------------------------------------------------------------------

    def network(self, name: str) -> NetworkSpec:
        channels, height, _ = self.data.image_shape
        return NetworkSpec(
            name=name, classes=self.data.classes, channels=channels, image_size=height, code=own_code.sources(name)
        )

    def ladder(self, topology: Topology) -> list[Expert]:
        """The experts of a topology, teacher first."""
        if topology not in self.ladders:
            experts: list[Expert] = []
            for entry in self.recipe.ladder.networks[:-1]:
                experts.append(self._expert(entry, experts, topology))
            self.ladders[topology] = experts
        return self.ladders[topology]

    def _expert(self, entry: LadderNetwork, larger: list[Expert], topology: Topology) -> Expert:
        network = self.network(entry.name)
        smallest = entry is self.recipe.ladder.networks[-2]
        if entry.weights:
            stage = Stage(
                "pretrained",
                f"pretrained/{entry.name}",
                PretrainedSpec(network=network, sha256=_file_hash(entry.weights)),
                settings={"path": str(Path(entry.weights).expanduser().absolute())},
            )
        else:
            teachers = {
                "direct": larger[:1],
                "sequential": larger[-1:],
                "dense": larger,
                "scratch": [],
            }[topology]
            stage = Stage(
                "train",
                f"train/{entry.name}",
                self._training(entry, self._guidance(teachers, stochastic_drop=0.0), smallest=smallest),
                (("data", self.ingest), *((f"expert:{teacher.label}", teacher.stage) for teacher in teachers)),
                settings={"role": "ladder", "workers": entry.workers or self.recipe.resources.workers},
            )
        label = self.labels.get(stage.identity)
        if label is None:
            # The largest TA has the teacher alone above it, so it is the same network in every topology but scratch;
            # its name must not depend on which of them was asked for first, or a new method would rename it.
            taught = "direct" if len(larger) == 1 and topology != "scratch" else topology
            label = entry.name if topology == self.recipe.ladder.topology else f"{entry.name}@{taught}"
            self.labels[stage.identity] = label
            if label != entry.name:
                stage = Stage(stage.kind, f"train/{label}", stage.spec, stage.inputs, stage.settings)
        return Expert(label, network, self._add(stage))

    def _guidance(self, teachers: list[Expert], stochastic_drop: float) -> GuidanceSpec:
        """``single`` for one expert, ``dense`` for several, ``labels`` for none; TAs run their experts online."""
        if not teachers:
            return GuidanceSpec(kind="labels")
        distillation = self.recipe.distillation
        return GuidanceSpec(
            kind="single" if len(teachers) == 1 else "dense",
            experts=tuple(teacher.label for teacher in reversed(teachers)),
            temperature=distillation.temperature,
            kd_weight=distillation.kd_weight,
            stochastic_drop=stochastic_drop if len(teachers) > 1 else 0.0,
            source="online",
        )

    def _training(self, entry: LadderNetwork, guidance: GuidanceSpec, smallest: bool = False) -> TrainSpec:
        recipe, training = self.recipe, self.recipe.training
        optimizer = training.optimizer
        if entry.learning_rate:
            optimizer = optimizer.model_copy(update={"learning_rate": entry.learning_rate})
        return TrainSpec(
            network=self.network(entry.name),
            guidance=guidance,
            optimizer=optimizer,
            steps=entry.steps or training.steps,
            batch_size=training.batch_size,
            augmentation=training.augmentation,
            views=0,
            views_seed=recipe.ladder.seed,
            precision=training.precision,
            evaluate_every=training.evaluate_every,
            keep=training.keep,
            seed=recipe.ladder.seed,
            threads=recipe.resources.cpus,
            record_learned_step=smallest,
        )

    # -- scores --------------------------------------------------------------------------------------------------

    def score_of(self, topology: Topology) -> Stage:
        """The main ladder's logits and difficulties; of another topology, the logits of the TAs it does not share."""
        own = topology == self.recipe.ladder.topology
        experts = list(reversed(self.ladder(topology)))
        if not own:
            shared = {expert.label for expert in self.ladder(self.recipe.ladder.topology)}
            experts = [expert for expert in experts if expert.label not in shared]
        recipe = self.recipe
        folds = 0
        if own:
            folds = recipe.difficulty.held_out_folds or (3 if recipe.difficulty.scorer == "held_out_loss" else 0)
        spec = ScoreSpec(
            experts=tuple(expert.label for expert in experts),
            networks=tuple(expert.network for expert in experts),
            views=recipe.distillation.views if self.source == "cached" else 0,
            views_seed=recipe.ladder.seed,
            augmentation=recipe.training.augmentation,
            precision=recipe.training.precision,
            threads=recipe.resources.cpus,
            difficulties=own,
            fold_network=self.network(recipe.ladder.networks[-2].name) if folds else None,
            folds=folds,
            code=own_code.sources(recipe.difficulty.scorer) if own else {},
        )
        inputs = [("data", self.ingest), *((f"expert:{expert.label}", expert.stage) for expert in experts)]
        inputs += [(f"fold:{fold}", self._fold(fold, folds)) for fold in range(folds)]
        name = "score" if own else f"score/{topology}"
        return self._add(Stage("score", name, spec, tuple(inputs), settings={"actors": recipe.resources.score_workers}))

    def _fold(self, fold: int, folds: int) -> Stage:
        """The smallest expert's network, trained on labels without one fold: for the held-out loss."""
        entry = self.recipe.ladder.networks[-2]
        spec = self._training(entry, GuidanceSpec(kind="labels")).model_copy(update={"fold": fold, "folds": folds})
        return self._add(
            Stage("train", f"fold/{fold + 1}-of-{folds}", spec, (("data", self.ingest),), settings={"role": "single"})
        )

    def _source(self, experts: int) -> tuple[Literal["online", "cached"], str]:
        """Cached or online expert outputs for the students, and why, by counting expert forwards.

        Cached: every view of every training image once by every expert. Online: one forward (``dense``: one an
        expert) for every image of every step of every student and trial.
        """
        recipe = self.recipe
        distillation, search = recipe.distillation, recipe.search
        if distillation.source != "auto":
            return distillation.source, "as the recipe says"
        if distillation.views == 0:
            return "online", "every pass has a new view (distillation.views is 0)"
        cached = distillation.views * self.data.train_images * experts
        entry = recipe.ladder.networks[-1]
        steps = entry.steps or recipe.training.steps
        online = 0
        for method in recipe.methods:
            width = experts if method.startswith("dgkd") else int(method != "labels")
            runs = len(recipe.seeds) * steps
            if method in search.methods:
                runs += search.trials * (search.steps or steps)
            online += width * runs * recipe.training.batch_size
        chosen: Literal["online", "cached"] = "cached" if cached <= online else "online"
        return chosen, f"expert forwards: {cached:,} to store every view, {online:,} to run experts beside the students"

    # -- students ------------------------------------------------------------------------------------------------

    def _final(self, method: str, seed: int) -> Final:
        student, inputs = self._student(method, seed)
        settings = {"role": "single"}
        if self._is_searched(method):
            student = student.model_copy(update={"searched": True})
            inputs += (("search", self._search("ces_kd" if method in CURRICULUM_METHODS else method)),)
        train = self._add(Stage("train", f"student/{method}/seed-{seed}", student, inputs, settings))
        return Final(method, seed, train, self._evaluation(f"{method}/seed-{seed}", student.network, train))

    def _is_searched(self, method: str) -> bool:
        search = self.recipe.search
        return search.trials > 0 and ("ces_kd" if method in CURRICULUM_METHODS else method) in search.methods

    def _student(self, method: str, seed: int) -> tuple[TrainSpec, tuple[tuple[str, Stage], ...]]:
        """A student's training by one method, and its inputs; before any search has chosen its settings."""
        recipe = self.recipe
        spec = self._training(recipe.ladder.networks[-1], GuidanceSpec(kind="labels"))
        spec = spec.model_copy(update={"seed": seed, "views": recipe.distillation.views})
        if method == "labels":
            return spec, (("data", self.ingest),)
        topology = TOPOLOGY_OF.get(method, recipe.ladder.topology)
        ladder = self.ladder(topology)
        if method == "kd":
            teachers = ladder[:1]
        elif method in ("kd_smallest", "takd"):
            teachers = ladder[-1:]
        else:
            teachers = ladder
        drop = recipe.distillation.stochastic_drop if method == "dgkd_stochastic" else 0.0
        guidance = self._guidance(teachers, drop).model_copy(update={"source": self.source})
        if method in CURRICULUM_METHODS:
            guidance = guidance.model_copy(update={"kind": "selected"})
            chosen = recipe.curriculum
            families = recipe.search.space.families if self._is_searched(method) else ()
            spec = spec.model_copy(
                update={
                    "curriculum": CurriculumSpec(
                        scorer=recipe.difficulty.scorer,
                        balanced=recipe.difficulty.balanced,
                        mode=chosen.mode,
                        selector=chosen.selector,
                        confidence=chosen.confidence,
                        pacing=chosen.pacing,
                        control=CURRICULUM_METHODS[method],  # type: ignore[arg-type]
                        control_seed=seed,
                        code=own_code.sources(recipe.difficulty.scorer, chosen.pacing.family, *families),
                    )
                }
            )
        spec = spec.model_copy(update={"guidance": guidance})
        inputs: list[tuple[str, Stage]] = [("data", self.ingest)]
        if self.source == "online":
            inputs += [(f"expert:{teacher.label}", teacher.stage) for teacher in teachers]
        own = {expert.label for expert in self.ladder(recipe.ladder.topology)}
        needed = {teacher.label for teacher in teachers}
        cached = self.source == "cached"
        if method in CURRICULUM_METHODS or (cached and needed & own):
            inputs.append(("score", self.score_of(recipe.ladder.topology)))
        if cached and needed - own:
            inputs.append((f"score:{topology}", self.score_of(topology)))
        return spec, tuple(inputs)

    def _search(self, method: str) -> Stage:
        if method not in self.searches:
            search = self.recipe.search
            student, inputs = self._student(method, search.seed)
            student = student.model_copy(update={"steps": search.steps or student.steps})
            spec = SearchSpec(
                student=student,
                space=search.space,
                trials=search.trials,
                round_size=search.round_size,
                sampler=search.sampler,
                scheduler=search.scheduler,
                rungs=search.rungs if search.scheduler == "halving" else (),
                warm_start=search.warm_start,
                seed=search.seed,
            )
            name = "search" if method == "ces_kd" else f"search/{method}"
            self.searches[method] = self._add(Stage("search", name, spec, inputs))
        return self.searches[method]

    def _evaluation(self, label: str, network: NetworkSpec, stage: Stage) -> Stage:
        spec = EvaluateSpec(
            network=network, precision=self.recipe.training.precision, threads=self.recipe.resources.cpus
        )
        return self._add(Stage("evaluate", f"evaluate/{label}", spec, (("data", self.ingest), ("network", stage))))


def _file_hash(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).expanduser().read_bytes()).hexdigest()
    except OSError as error:
        raise RecipeError(f"ladder.networks: weights file {path} can't be read: {error.strerror}") from error
