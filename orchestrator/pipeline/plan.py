"""Recipe -> stages: which networks, scores, searches, students and evaluations a recipe asks for.

Imports neither torch nor ray.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator import user_code
from orchestrator.datasets.registry import DatasetInfo
from orchestrator.pipeline import logit_source
from orchestrator.pipeline.brought_weights import sha256_of_weights
from orchestrator.pipeline.graph import Expert, Final, Plan, Stage
from orchestrator.pipeline.precision_choice import PrecisionChoice, resolved
from orchestrator.pipeline.specs import (
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
from orchestrator.recipe.early_stopping import SCHEDULERS
from orchestrator.recipe.methods import METHODS, REFERENCE, Dealing, Method
from orchestrator.recipe.schema import CurriculumRecipe, LadderNetwork, Recipe
from orchestrator.recipe.topologies import TEACHERS, Topology


def plan(recipe: Recipe, data: DatasetInfo, precision: PrecisionChoice | None = None) -> Plan:
    """All stages of a recipe on a data set.

    ``precision`` stands for ``training.precision: auto``; as long as it has not been measured, fp32 does.
    """
    return _Planner(recipe, data, precision).plan()


class _Planner:
    """Builds the stages of one recipe. Equal stages are one stage, whatever asked for them."""

    def __init__(self, recipe: Recipe, data: DatasetInfo, choice: PrecisionChoice | None) -> None:
        self.data, self.choice = data, choice
        self.recipe, self.precision = resolved(recipe, choice)
        self.known: dict[str, Stage] = {}
        self.labels: dict[str, str] = {}  # an expert stage's identity -> its label
        self.ladders: dict[Topology, list[Expert]] = {}
        self.evaluations: dict[str, Stage] = {}
        self.searches: dict[str, Stage] = {}
        self.source = logit_source.choose(recipe, data.train_images)
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
        main_score = None
        if any(METHODS[method].dealing for method in recipe.methods):
            main_score = self.score_of(recipe.ladder.topology)
        finals = [self._final(METHODS[method], seed) for method in recipe.methods for seed in recipe.seeds]
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
            precision=str(self.choice) if self.choice else "as the recipe says",
        )

    # -- networks of the ladder ----------------------------------------------------------------------------------

    def network(self, name: str) -> NetworkSpec:
        channels, height, _ = self.data.image_shape
        return NetworkSpec(
            name=name, classes=self.data.classes, channels=channels, image_size=height, code=user_code.sources(name)
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
                PretrainedSpec(
                    network=network,
                    sha256=sha256_of_weights(entry.weights),
                    precision=self.precision,
                    threads=self.recipe.resources.cpus,
                ),
                (("data", self.ingest),),
                settings={"path": str(Path(entry.weights).expanduser().absolute())},
            )
        else:
            teachers = larger[TEACHERS[topology]]
            training = self._training(entry, self._guidance(teachers, self.source.tas), smallest=smallest)
            if training.guidance.source == "cached":
                training = training.model_copy(update={"views": self.recipe.distillation.views})
            stage = Stage(
                "train",
                f"train/{entry.name}",
                training,
                (("data", self.ingest), *self._taught_by(teachers, self.source.tas, topology)),
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

    def _taught_by(
        self, teachers: list[Expert], kind: logit_source.Kind, topology: Topology
    ) -> list[tuple[str, Stage]]:
        """What a network needs of the experts that teach it: themselves, or the scores that hold their logits."""
        if kind == "online":
            return [(f"expert:{teacher.label}", teacher.stage) for teacher in teachers]
        scores = [self._score_with(teacher, topology) for teacher in teachers]
        return list({_role(score): score for score in scores}.items())

    def _guidance(self, teachers: list[Expert], kind: logit_source.Kind, stochastic_drop: float = 0.0) -> GuidanceSpec:
        """``single`` for one expert, ``dense`` for several, ``labels`` for none."""
        if not teachers:
            return GuidanceSpec(kind="labels")
        distillation = self.recipe.distillation
        return GuidanceSpec(
            kind="single" if len(teachers) == 1 else "dense",
            experts=tuple(teacher.label for teacher in reversed(teachers)),
            temperature=distillation.temperature,
            kd_weight=distillation.kd_weight,
            stochastic_drop=stochastic_drop if len(teachers) > 1 else 0.0,
            source=kind,
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
            precision=self.precision,
            evaluate_every=training.evaluate_every,
            keep=training.keep,
            seed=recipe.ladder.seed,
            threads=recipe.resources.cpus,
            record_learned_step=smallest,
        )

    # -- scores --------------------------------------------------------------------------------------------------

    def score_of(self, topology: Topology) -> Stage:
        """The main ladder's logits and difficulties; of another topology, the logits of the TAs it does not share.

        Without those of experts that are scored alone.
        """
        ladder = list(reversed(self.ladder(topology)))
        own = topology == self.recipe.ladder.topology
        shared = set() if own else self._own_labels()
        experts = [expert for expert in ladder if expert.label not in shared and not self._scored_alone(expert)]
        return self._score("score" if own else f"score/{topology}", experts, ladder if own else [])

    def _score_with(self, expert: Expert, topology: Topology) -> Stage:
        """The score that holds an expert's logits, for a student, or a TA, of a topology's ladder."""
        if self._scored_alone(expert):
            return self._score(f"score/{expert.label}", [expert], [])
        return self.score_of(self.recipe.ladder.topology if expert.label in self._own_labels() else topology)

    def _scored_alone(self, expert: Expert) -> bool:
        """Whether an expert has a score of its own, so that a TA waits for its teachers alone.

        And so that no TA is made again when a difficulty changes. The smallest expert teaches none.
        """
        return self.source.tas == "cached" and expert.network != self.network(self.recipe.ladder.networks[-2].name)

    def _own_labels(self) -> set[str]:
        return {expert.label for expert in self.ladder(self.recipe.ladder.topology)}

    def _score(self, name: str, experts: list[Expert], ladder: list[Expert]) -> Stage:
        """A score of ``experts``, and of the difficulties by all of ``ladder``, each with the smallest first."""
        recipe = self.recipe
        folds = 0
        if ladder:
            folds = recipe.difficulty.held_out_folds or (3 if recipe.difficulty.scorer == "held_out_loss" else 0)
        spec = ScoreSpec(
            experts=tuple(expert.label for expert in experts),
            networks=tuple(expert.network for expert in experts),
            views=recipe.distillation.views if self.source.students == "cached" else 0,
            views_seed=recipe.ladder.seed,
            augmentation=recipe.training.augmentation,
            precision=self.precision,
            threads=recipe.resources.cpus,
            ladder=tuple(expert.label for expert in ladder),
            fold_network=self.network(recipe.ladder.networks[-2].name) if folds else None,
            folds=folds,
            code=user_code.sources(recipe.difficulty.scorer) if ladder else {},
        )
        inputs = [("data", self.ingest), *((f"expert:{expert.label}", expert.stage) for expert in experts)]
        others = [self._score(f"score/{expert.label}", [expert], []) for expert in ladder if self._scored_alone(expert)]
        inputs += [(_role(score), score) for score in others]
        inputs += [(f"fold:{fold}", self._fold(fold, folds)) for fold in range(folds)]
        return self._add(
            Stage("score", name, spec, tuple(inputs), settings={"workers": recipe.resources.score_workers})
        )

    def _fold(self, fold: int, folds: int) -> Stage:
        """The smallest expert's network, trained on labels without one fold: for the held-out loss."""
        entry = self.recipe.ladder.networks[-2]
        spec = self._training(entry, GuidanceSpec(kind="labels")).model_copy(update={"fold": fold, "folds": folds})
        return self._add(
            Stage("train", f"fold/{fold + 1}-of-{folds}", spec, (("data", self.ingest),), settings={"role": "single"})
        )

    # -- students ------------------------------------------------------------------------------------------------

    def _final(self, method: Method, seed: int) -> Final:
        student, inputs = self._student(method, seed)
        settings = {"role": "single"}
        if self._is_searched(method):
            assert method.searched_as is not None
            student = student.model_copy(update={"searched": True})
            inputs += (("search", self._search(METHODS[method.searched_as])),)
        name = f"{method.name}/seed-{seed}"
        train = self._add(Stage("train", f"student/{name}", student, inputs, settings))
        return Final(method.name, seed, train, self._evaluation(name, student.network, train))

    def _is_searched(self, method: Method) -> bool:
        return method.searched_as in self.recipe.searched_methods

    def _student(self, method: Method, seed: int) -> tuple[TrainSpec, tuple[tuple[str, Stage], ...]]:
        """A student's training by one method, and its inputs; before any search has chosen its settings."""
        recipe = self.recipe
        spec = self._training(recipe.ladder.networks[-1], GuidanceSpec(kind="labels"))
        spec = spec.model_copy(update={"seed": seed, "views": recipe.distillation.views})
        if method.experts == "none":
            alone = GuidanceSpec(kind=method.guidance or "labels")
            return spec.model_copy(update={"guidance": alone}), (("data", self.ingest),)
        topology = method.topology or recipe.ladder.topology
        teachers = method.choose(self.ladder(topology))
        drop = recipe.distillation.stochastic_drop if method.drops_experts else 0.0
        source: logit_source.Kind = "online" if method.reads_networks else self.source.students
        guidance = self._guidance(teachers, source, drop)
        if method.guidance:
            guidance = guidance.model_copy(update={"kind": method.guidance})
        dealing = self._dealing(method)
        if dealing:
            guidance = guidance.model_copy(update={"kind": "selected"})
            searched = self._is_searched(method)
            # The search chooses these; what the recipe says for where nothing is searched must not count.
            chosen = CurriculumRecipe() if searched else recipe.curriculum
            families = recipe.search.space.families if searched else (chosen.pacing.family,)
            spec = spec.model_copy(
                update={
                    "curriculum": CurriculumSpec(
                        scorer=recipe.difficulty.scorer,
                        balanced=recipe.difficulty.balanced,
                        mode=chosen.mode,
                        selector=chosen.selector,
                        confidence=recipe.curriculum.confidence,
                        pacing=chosen.pacing,
                        control=dealing,
                        control_seed=seed,
                        code=user_code.sources(recipe.difficulty.scorer, *families),
                    )
                }
            )
        spec = spec.model_copy(update={"guidance": guidance})
        inputs = dict(self._taught_by(teachers, source, topology))
        if dealing:
            main = self.score_of(topology)
            inputs[_role(main)] = main
        return spec, (("data", self.ingest), *inputs.items())

    def _dealing(self, method: Method) -> Dealing | None:
        """How the method deals experts to images, as far as it shows; None where it is ``single`` guidance.

        With one expert all dealings are one, and a curriculum that has all images in play from the start is none.
        """
        if method.dealing and len(self.recipe.ladder.networks) == 2:
            plain = self.recipe.curriculum.mode in ("static", "promote") and not self._is_searched(method)
            return None if plain else "none"
        return method.dealing

    def _search(self, method: Method) -> Stage:
        if method.name not in self.searches:
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
                rungs=search.rungs if SCHEDULERS[search.scheduler].has_rungs else (),
                warm_start=search.warm_start,
                seed=search.seed,
            )
            name = "search" if method.name == REFERENCE else f"search/{method.name}"
            self.searches[method.name] = self._add(Stage("search", name, spec, inputs))
        return self.searches[method.name]

    def _evaluation(self, label: str, network: NetworkSpec, stage: Stage) -> Stage:
        spec = EvaluateSpec(network=network, precision=self.precision, threads=self.recipe.resources.cpus)
        return self._add(Stage("evaluate", f"evaluate/{label}", spec, (("data", self.ingest), ("network", stage))))


def _role(score: Stage) -> str:
    """A score's role as an input: ``score`` the main one's, ``score:<...>`` another's."""
    return score.name.replace("/", ":")
