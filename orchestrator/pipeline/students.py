"""The students' part of a plan: final students by every method, and the searches for their settings.

Imports neither torch nor ray.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator import user_code
from orchestrator.pipeline.evaluations import evaluation_of_student
from orchestrator.pipeline.graph import Final, Stage
from orchestrator.pipeline.inputs import DATA, SEARCH
from orchestrator.pipeline.ladder import LadderPlanner, role_of
from orchestrator.pipeline.logit_source import Kind
from orchestrator.pipeline.placement import Facts, Placement
from orchestrator.pipeline.specs import CurriculumSpec, GuidanceSpec, SearchSpec, TrainSpec
from orchestrator.recipe.curriculum import CurriculumRecipe
from orchestrator.recipe.early_stopping import SCHEDULERS
from orchestrator.recipe.losses import parameters_of
from orchestrator.recipe.methods import REFERENCE, Dealing, Method, method_of
from orchestrator.recipe.search_space import SpaceSpec
from orchestrator.recipe.topologies import INDEPENDENT


class StudentPlanner:
    """Stages of the final students; ``searches`` are those they need, by the method searched for.

    Args:
        ladders: the ladders by seed, of which the first teaches the students of searches.
    """

    def __init__(self, ladders: Mapping[int, LadderPlanner]) -> None:
        self.ladders, self.ladder = ladders, next(iter(ladders.values()))
        self.recipe = self.ladder.recipe
        self.searches: dict[str, Stage] = {}
        self.workers = self.recipe.workers_of(len(self.recipe.ladder.networks) - 1)[1].most

    def final(self, method: Method, seed: int) -> Final:
        """Returns the final student of a method and a seed."""
        ladder = self.ladders[self.recipe.ladder_seed(seed)]
        student, inputs = self._student(method, seed, ladder)
        if self._is_searched(method):
            student = student.model_copy(update={"searched": True})
            inputs += ((SEARCH, self._search(method_of(method.searched_as))),)
        student = student.model_copy(update={"both_weights": True})
        name = f"{method.name}/seed-{seed}"
        facts = Facts(part="student", method=method.name, seed=seed)
        placement = self.ladder.placement(self.workers)
        train = self.ladder.add(Stage("train", f"student/{name}", student, inputs, placement, facts))
        return Final(method.name, seed, ladder.seed, train, evaluation_of_student(ladder, name, student, train))

    def dealing(self, method: Method) -> Dealing | None:
        """Returns how the method deals experts to images; None without a curriculum.

        With one expert all dealings are the same, and a curriculum with all images in play from the start is
        ``single`` guidance.
        """
        if method.dealing and (method.experts != "all" or len(self.recipe.ladder.networks) == 2):
            plain = self.recipe.curriculum.mode in ("static", "promote") and not self._is_searched(method)
            return None if plain else "none"
        return method.dealing

    def _is_searched(self, method: Method) -> bool:
        return method.searched_as in self.recipe.searched_methods

    def _student(
        self, method: Method, seed: int, ladder: LadderPlanner
    ) -> tuple[TrainSpec, tuple[tuple[str, Stage], ...]]:
        """Returns a student's training by a method and a ladder, and its inputs, with settings as before any search."""
        recipe = self.recipe
        labels, gpus = GuidanceSpec(kind="labels"), recipe.resources.student_gpus
        spec = ladder.training(recipe.ladder.networks[-1], labels, gpus)
        spec = spec.model_copy(update={"seed": seed, "views": recipe.distillation.views})
        if method.experts == "none":
            alone = GuidanceSpec(kind=method.guidance or "labels")
            return spec.model_copy(update={"guidance": alone}), ((DATA, ladder.ingest),)
        topology = method.topology or recipe.ladder.topology
        teachers = method.choose(ladder.experts(topology))
        early = None
        if method.experts == "early":
            # The search chooses the share among those of the recipe; until then it is the teacher as it is in the end.
            early = 1.0 if self._is_searched(method) else recipe.distillation.early_at
            teachers = [ladder.early_expert(early)]
        drop = recipe.distillation.stochastic_drop if method.drops_experts else 0.0
        source: Kind = "online" if method.reads_networks else ladder.source.students
        guidance = ladder.guidance(teachers, source, drop)
        if early:
            guidance = guidance.model_copy(update={"early": early})
            teachers = ladder.early_experts()
        if method.guidance and not (method.combines_logits and len(teachers) == 1):
            guidance = guidance.model_copy(update={"kind": method.guidance})
        losses = recipe.search.space.losses
        if losses and self._is_searched(method):
            parameters = parameters_of(losses, recipe.distillation)
            guidance = guidance.model_copy(update={"loss_parameters": parameters})
        dealing = self.dealing(method)
        if dealing:
            guidance = guidance.model_copy(update={"kind": "selected"})
            chosen, families = self._curriculum(method, guidance.experts)
            spec = spec.model_copy(
                update={
                    "curriculum": CurriculumSpec(
                        scorer=recipe.difficulty.scorer,
                        balanced=recipe.difficulty.balanced,
                        mode=chosen.mode,
                        selector=chosen.selector,
                        confidence=chosen.confidence,
                        pacing=chosen.pacing,
                        control=dealing,
                        control_seed=seed,
                        code=user_code.sources(recipe.difficulty.scorer, *families),
                        table=chosen.table,
                    )
                }
            )
        spec = spec.model_copy(update={"guidance": guidance})
        inputs = dict(ladder.taught_by(teachers, source, topology))
        if dealing:
            main = ladder.score_of(topology)
            inputs[role_of(main)] = main
        return spec, ((DATA, ladder.ingest), *inputs.items())

    def _curriculum(self, method: Method, experts: Sequence[str]) -> tuple[CurriculumRecipe, Sequence[str]]:
        """Returns a method's curriculum and the families that its pacing may have; ``experts`` are smallest first."""
        recipe = self.recipe
        if method.stratum is not None:
            table = tuple(method.expert if place == method.stratum else experts[-1] for place in range(len(experts)))
            cell = CurriculumRecipe(mode="static", selector="table", table=table)
            return cell, (cell.pacing.family,)
        if self._is_searched(method):
            # The search chooses all but the confidence; what the recipe says of the rest must not count.
            return CurriculumRecipe(confidence=recipe.curriculum.confidence), recipe.search.space.families
        return recipe.curriculum, (recipe.curriculum.pacing.family,)

    def _search(self, method: Method) -> Stage:
        if method.name not in self.searches:
            search = self.recipe.search
            student, inputs = self._student(method, search.seed, self.ladder)
            student = student.model_copy(update={"steps": search.steps or student.steps})
            spec = SearchSpec(
                student=student,
                space=self._space(method, student),
                trials=search.trials,
                round_size=search.round_size,
                sampler=search.sampler,
                scheduler=search.scheduler,
                rungs=search.rungs if SCHEDULERS[search.scheduler].has_rungs else (),
                warm_start=search.warm_start,
                seed=search.seed,
            )
            name = "search" if method.name == REFERENCE else f"search/{method.name}"
            resources = self.recipe.resources
            placement = Placement(
                "ray_tune", search.round_size * self.workers, resources.cpus, resources.student_gpus, self.workers
            )
            stage = Stage("search", name, spec, inputs, placement, Facts(method=method.name))
            self.searches[method.name] = self.ladder.add(stage)
        return self.searches[method.name]

    def _space(self, method: Method, student: TrainSpec) -> SpaceSpec:
        """Returns the space of a method's search; which experts teach is chosen where any of them can be left out."""
        space, topology = self.recipe.search.space, method.topology or self.recipe.ladder.topology
        experts = student.guidance.experts
        space = space.with_table(experts) if student.curriculum else space.model_copy(update={"table": None})
        if method.experts == "all" and topology in INDEPENDENT and len(experts) > 1:
            return space
        return space.model_copy(update={"experts": None})
