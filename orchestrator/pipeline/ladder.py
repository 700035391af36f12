"""The ladder's part of a plan: experts of every topology, their scores, and what all trainings have in common.

Imports neither torch nor ray.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace

from orchestrator import user_code
from orchestrator.datasets.registry import DatasetInfo
from orchestrator.pipeline import logit_source
from orchestrator.pipeline.brought_weights import sha256_of_weights, weights_file
from orchestrator.pipeline.graph import Expert, Stage
from orchestrator.pipeline.inputs import DATA, expert_role, fold_role, score_role
from orchestrator.pipeline.kinds import IngestSpec, PretrainedSpec, ScoreSpec
from orchestrator.pipeline.placement import Facts, Launch, Placement
from orchestrator.pipeline.snapshots import records_learned_step, snapshot_of
from orchestrator.pipeline.specs import GuidanceSpec, NetworkSpec, TrainSpec
from orchestrator.recipe.choices import Precision
from orchestrator.recipe.ladder import LadderNetwork
from orchestrator.recipe.losses import parameters_of
from orchestrator.recipe.schema import Recipe
from orchestrator.recipe.snapshots import early_methods, early_shares, steps_of
from orchestrator.recipe.topologies import TEACHERS, Topology


class LadderPlanner:
    """Stages of the data, and of the experts of one seed and their scores. Equal stages are one stage.

    A ladder of a further seed is planned by another planner, made by ``with_seed``. Seeds are in the names of its
    stages and experts, but not in labels and roles, so that its stages are those of a recipe with that seed alone.

    Attributes:
        stages: all stages that were asked for so far, by identity, each after what it needs; of all seeds.
        single: placement of a single-worker training or evaluation.
        source: where experts' outputs come from.
    """

    def __init__(self, recipe: Recipe, data: DatasetInfo, precision: Precision) -> None:
        self.recipe, self.data, self.precision = recipe, data, precision
        self.seed, self.facts = recipe.ladder.all_seeds[0], Facts()
        self.source = logit_source.choose(recipe, data.train_images)
        self.single = self.placement(1)
        self.stages: dict[str, Stage] = {}
        self.labels: dict[str, str] = {}  # an expert stage's identity -> its label
        self.ladders: dict[Topology, list[Expert]] = {}
        dataset = recipe.dataset.model_dump(mode="json", exclude={"root", "download"})
        self.ingest = self.add(
            Stage(
                "ingest",
                "ingest",
                IngestSpec(dataset=dataset, fingerprint=data.fingerprint),
                placement=Placement("ray_data"),
                facts=Facts(dataset=recipe.dataset),
            )
        )

    def with_seed(self, seed: int) -> LadderPlanner:
        """Returns a planner of the ladder of a further seed, which adds to the same stages."""
        other = copy(self)
        other.seed, other.facts = seed, Facts(ladder_seed=seed)
        other.labels, other.ladders = {}, {}
        return other

    def placement(self, workers: int) -> Placement:
        """Returns the placement of a student, a fold or an evaluation: in process for one worker, else by Ray Train."""
        resources = self.recipe.resources
        launch: Launch = "in_process" if workers == 1 else "ray_train"
        return Placement(launch, workers, resources.cpus, resources.student_gpus)

    def threads(self, gpus: float) -> int:
        """Returns the threads of a process with so many GPUs; beside a GPU their number must change no identity."""
        return 1 if gpus else self.recipe.resources.cpus

    def add(self, stage: Stage) -> Stage:
        """Returns the stage, or the equal one that was added before."""
        return self.stages.setdefault(stage.identity, stage)

    # -- networks ------------------------------------------------------------------------------------------------

    def network(self, name: str) -> NetworkSpec:
        """Returns the spec of a network on this data."""
        channels, height, _ = self.data.image_shape
        return NetworkSpec(
            name=name, classes=self.data.classes, channels=channels, image_size=height, code=user_code.sources(name)
        )

    def experts(self, topology: Topology) -> list[Expert]:
        """Returns the experts of a topology, teacher first."""
        if topology not in self.ladders:
            experts: list[Expert] = []
            trained: list[Expert] = []
            for entry in self.recipe.ladder.networks[:-1]:
                if entry.at:
                    experts.append(self._after(entry.at, trained[-1]))
                else:
                    trained.append(self._expert(entry, trained, topology))
                    experts.append(trained[-1])
            self.ladders[topology] = experts
        return self.ladders[topology]

    def every_expert(self) -> dict[str, Expert]:
        """Returns the experts of all topologies that were asked for, and early ones, by label."""
        ladders = (*self.ladders.values(), self.early_experts())
        return {expert.label: expert for ladder in ladders for expert in ladder}

    def early_experts(self) -> list[Expert]:
        """Returns the teacher after each of the shares of its training that a method of the recipe has."""
        return [self.early_expert(share) for share in early_shares(self.recipe)]

    def early_expert(self, share: float) -> Expert:
        """Returns the teacher after a share of its training."""
        teacher = self.experts(self.recipe.ladder.topology)[0]
        return teacher if share == 1 else self._after(share, teacher)

    def compared_with(self, taught_by: Sequence[Expert]) -> list[Expert]:
        """Returns the experts that a student is tested beside: those that taught it, and then the teacher."""
        if not taught_by:
            return []
        teacher = self.experts(self.recipe.ladder.topology)[0]
        return list({expert.label: expert for expert in (*taught_by, teacher)}.values())

    def _after(self, share: float, expert: Expert) -> Expert:
        """Returns a trained expert after a share of its training."""
        found = snapshot_of(expert, share, self.ingest, self.single, self.precision)
        return replace(found, stage=self.add(found.stage))

    def _expert(self, entry: LadderNetwork, larger: list[Expert], topology: Topology) -> Expert:
        network, resources = self.network(entry.name), self.recipe.resources
        facts = replace(self.facts, part="expert", expert=entry.name, topology=topology)
        if entry.weights:
            path = weights_file(entry)
            network = network.model_copy(update={"renormalised": entry.normalisation is not None})
            stage = Stage(
                "pretrained",
                self.facts.named(f"pretrained/{entry.name}"),
                PretrainedSpec(
                    network=network,
                    sha256=sha256_of_weights(path),
                    precision=self.precision,
                    threads=self.threads(resources.student_gpus),
                    normalisation=entry.normalisation,
                ),
                ((DATA, self.ingest),),
                self.single,
                replace(facts, weights=path.absolute()),
            )
        else:
            teachers = larger[TEACHERS[topology]]
            _, workers = self.recipe.workers_of(self.recipe.ladder.networks.index(entry))
            training = self.training(entry, self.guidance(teachers, self.source.tas), resources.gpus)
            training = training.model_copy(update={"record_learned_step": self.is_smallest(entry)})
            if training.guidance.source == "cached":
                training = training.model_copy(update={"views": self.recipe.distillation.views})
            stage = Stage(
                "train",
                self.facts.named(f"train/{entry.name}"),
                training,
                ((DATA, self.ingest), *self.taught_by(teachers, self.source.tas, topology)),
                Placement(
                    "ray_train",
                    workers.most,
                    resources.cpus,
                    resources.gpus,
                    fewest_workers=workers.fewest if workers.is_elastic else None,
                ),
                replace(facts, snapshots=steps_of(self.recipe, entry)),
            )
        label = self.labels.get(stage.identity)
        if label is None:
            # The largest TA has the teacher alone above it, so it is the same network in every topology but scratch;
            # its name must not depend on which of them was asked for first, or a new method would rename it.
            taught = "direct" if len(larger) == 1 and topology != "scratch" else topology
            label = entry.name if topology == self.recipe.ladder.topology else f"{entry.name}@{taught}"
            self.labels[stage.identity] = label
            if label != entry.name:
                facts = replace(stage.facts, expert=label)
                stage = replace(stage, name=facts.named(f"train/{label}"), facts=facts)
        return Expert(label, network, self.add(stage), self.facts.named(label), self.seed)

    def is_smallest(self, entry: LadderNetwork) -> bool:
        """Returns whether a network is the smallest expert's, which records when images are learned."""
        return records_learned_step(self.recipe, entry)

    def taught_by(self, teachers: list[Expert], kind: logit_source.Kind, topology: Topology) -> list[tuple[str, Stage]]:
        """Returns a network's inputs from the experts that teach it: themselves, or the scores with their logits."""
        if kind == "online":
            return [(expert_role(teacher.label), teacher.stage) for teacher in teachers]
        scores = [self._score_with(teacher, topology) for teacher in teachers]
        return list({role_of(score): score for score in scores}.items())

    def guidance(self, teachers: list[Expert], kind: logit_source.Kind, stochastic_drop: float = 0.0) -> GuidanceSpec:
        """Returns guidance ``single`` for one expert, ``dense`` for several, ``labels`` for none."""
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
            loss=distillation.loss,
            loss_parameters=parameters_of([distillation.loss], distillation),
            ce_weight=distillation.ce_weight,
        )

    def training(self, entry: LadderNetwork, guidance: GuidanceSpec, gpus: float) -> TrainSpec:
        """Returns the training of a network of the ladder under a guidance, by workers of so many GPUs."""
        training = self.recipe.training
        optimizer = training.optimizer
        if entry.learning_rate:
            optimizer = optimizer.model_copy(update={"learning_rate": entry.learning_rate})
        return TrainSpec(
            network=self.network(entry.name),
            guidance=guidance,
            optimizer=optimizer,
            steps=entry.steps or training.steps,
            batch_size=entry.batch_size or training.batch_size,
            norm_batch=training.norm_batch,
            compile=training.compile,
            augmentation=training.augmentation,
            views=0,
            views_seed=self.seed,
            precision=self.precision,
            evaluate_every=training.evaluate_every,
            keep=training.keep,
            seed=self.seed,
            threads=self.threads(gpus),
        )

    # -- scores --------------------------------------------------------------------------------------------------

    def score_of(self, topology: Topology) -> Stage:
        """Returns the score of a topology, without the experts that are scored alone.

        The main topology's score has the logits of its ladder and the difficulties; that of another topology has the
        logits of the TAs that it does not share with the main one.
        """
        ladder = list(reversed(self.experts(topology)))
        own = topology == self.recipe.ladder.topology
        shared = set() if own else self._own_labels()
        experts = [expert for expert in ladder if expert.label not in shared and not self._scored_alone(expert)]
        facts = self.facts if own else replace(self.facts, topology=topology)
        return self._score(facts, experts, ladder if own else [])

    def _score_with(self, expert: Expert, topology: Topology) -> Stage:
        """Returns the score with an expert's logits, for a student or a TA of a topology's ladder."""
        if self._scored_alone(expert):
            return self._score_alone(expert)
        early = [it for it in self.early_experts() if it.label not in self._own_labels()]
        if expert.label in {it.label for it in early}:
            return self._score(replace(self.facts, method=early_methods(self.recipe)[0]), early, [])
        return self.score_of(self.recipe.ladder.topology if expert.label in self._own_labels() else topology)

    def _score_alone(self, expert: Expert) -> Stage:
        return self._score(replace(self.facts, expert=expert.label), [expert], [])

    def _scored_alone(self, expert: Expert) -> bool:
        """Returns whether an expert is scored alone.

        It is where TAs read scores, so that a TA waits for its teachers alone, and is not trained again when a
        difficulty changes. Snapshots and the smallest network teach no TA.
        """
        teaches = expert.stage.kind != "snapshot" and expert.network.name != self.recipe.ladder.networks[-2].name
        return self.source.tas == "cached" and teaches

    def _own_labels(self) -> set[str]:
        return {expert.label for expert in self.experts(self.recipe.ladder.topology)}

    def _score(self, facts: Facts, experts: list[Expert], ladder: list[Expert]) -> Stage:
        """Returns the score of ``experts``, with difficulties by all of ``ladder``; both have the smallest first."""
        recipe = self.recipe
        folds = recipe.folds if ladder else 0
        top_k = recipe.distillation.top_k
        spec = ScoreSpec(
            experts=tuple(expert.label for expert in experts),
            networks=tuple(expert.network for expert in experts),
            views=recipe.distillation.views if self.source.students == "cached" else 0,
            views_seed=self.seed,
            augmentation=recipe.training.augmentation,
            precision=self.precision,
            threads=self.threads(recipe.resources.student_gpus),
            ladder=tuple(expert.label for expert in ladder),
            fold_network=self.network(recipe.ladder.networks[-2].name) if folds else None,
            folds=folds,
            code=user_code.sources(recipe.difficulty.scorer) if ladder else {},
            top_k=top_k if top_k and top_k < self.data.classes else None,
        )
        inputs = [(DATA, self.ingest), *((expert_role(expert.label), expert.stage) for expert in experts)]
        others = [self._score_alone(expert) for expert in ladder if self._scored_alone(expert)]
        inputs += [(role_of(score), score) for score in others]
        inputs += [(fold_role(fold), self.fold(fold, folds)) for fold in range(folds)]
        scored = facts.expert or facts.method or facts.topology
        name = facts.named(f"score/{scored}" if scored else "score")
        resources = recipe.resources
        placement = Placement("ray_data", resources.score_workers, resources.cpus, resources.student_gpus)
        return self.add(Stage("score", name, spec, tuple(inputs), placement, facts))

    def fold(self, fold: int, folds: int) -> Stage:
        """Returns the training of the smallest expert's network on labels without one fold, for the held-out loss."""
        ladder, resources = self.recipe.ladder, self.recipe.resources
        entry = ladder.training_of(ladder.networks[-2])
        spec = self.training(entry, GuidanceSpec(kind="labels"), resources.student_gpus)
        steps = self.recipe.difficulty.fold_steps or spec.steps
        spec = spec.model_copy(update={"fold": fold, "folds": folds, "steps": steps})
        name, inputs = self.facts.named(f"fold/{fold + 1}-of-{folds}"), ((DATA, self.ingest),)
        placement = self.placement(resources.student_workers)
        return self.add(Stage("train", name, spec, inputs, placement, replace(self.facts, part="fold")))


def role_of(score: Stage) -> str:
    """Returns a score's role as an input."""
    return score_role(score.facts.expert or score.facts.method or score.facts.topology)
