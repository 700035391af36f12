"""Plans of TA paths: each path is a recipe of its own ladder, and equal stages of all of them are one stage.

The student of a path is taught by its last network, the smallest TA of it (the teacher where there is none), by single
guidance, as in TAKD. Only what that student needs is part of the path: in topologies whose TAs don't teach each other
the last TA alone counts, so many paths have the same student.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count

from orchestrator.datasets.registry import DatasetInfo
from orchestrator.paths.lattice import TAPath, ta_paths
from orchestrator.pipeline.graph import Expert, Final, Plan, Stage
from orchestrator.pipeline.ladder import LadderPlanner
from orchestrator.pipeline.logit_source import Kind, Source, tas_may_read
from orchestrator.pipeline.plan import check_losses
from orchestrator.pipeline.precision_choice import PrecisionChoice, resolved
from orchestrator.pipeline.students import StudentPlanner
from orchestrator.recipe.ladder import LadderNetwork
from orchestrator.recipe.methods import METHODS, OF_A_PATH
from orchestrator.recipe.schema import Recipe, Search
from orchestrator.recipe.topologies import TEACHERS, Topology


class Lattice:
    """All TA paths of a recipe's ladder.

    Args:
        recipe: its ladder's networks between the first and the last are the TAs.
        data: metadata of the images.
        choice: stands for ``training.precision: auto``, as in ``pipeline.plan.plan``.
        topologies: those that are compared.
        seeds: how many students each path has at least.

    Raises:
        RecipeError: for a recipe that does not fit the data.

    Attributes:
        asked: every path.
        different: those with different students, in the same order.
        source: where experts' outputs come from.
    """

    def __init__(
        self, recipe: Recipe, data: DatasetInfo, choice: PrecisionChoice | None, topologies: Sequence[Topology],
        seeds: int,
    ) -> None:  # fmt: skip
        check_losses(recipe, data.classes)
        resolved_recipe, self.precision = resolved(recipe, choice)
        seed = resolved_recipe.ladder.all_seeds[0]  # paths are compared on the first of several ladders
        ladder = resolved_recipe.ladder.model_copy(update={"seed": seed, "seeds": None})
        self.recipe = resolved_recipe.model_copy(
            update={"methods": (OF_A_PATH,), "search": Search(trials=0), "ladder": ladder}
        )
        self.measured = str(choice) if choice else "as the recipe says"
        self.data = data
        self.source = source_of(self.recipe, data.train_images, seeds)
        self.shared: dict[str, Stage] = {}
        self.asked = ta_paths([network.name for network in recipe.ladder.networks[1:-1]], topologies)
        by_student: dict[str, PlannedPath] = {}
        self._unshared: list[int] = []  # networks that each path's student needs
        for path in self.asked:
            planned = PlannedPath(path, _PathPlanner(self, path))
            student = planned.student(self.seeds(1)[0]).train
            first = by_student.setdefault(student.identity, planned)
            if first is not planned:
                first.same.append(path)
            self._unshared.append(len(trainings(with_inputs([student]))) - 1)
        self.different = list(by_student.values())

    def seeds(self, number: int) -> list[int]:
        """Returns so many seeds: those of the recipe first, then the smallest others."""
        listed = list(self.recipe.seeds)
        others = (seed for seed in count() if seed not in listed)
        return [*listed, *(next(others) for _ in range(number - len(listed)))][:number]

    def trainings_without_sharing(self, seeds: int) -> int:
        """Returns how many trainings all paths would take if each had to train all that it needs itself."""
        return sum(networks + seeds for networks in self._unshared)

    def plan(self, students: Sequence[Final], evaluated: bool) -> Plan:
        """Returns the plan of some paths' students: what they need, themselves, and if ``evaluated`` their tests."""
        stages = with_inputs(final.evaluate if evaluated else final.train for final in students)
        experts = [stage for stage in stages if stage.facts.part == "expert" and stage.kind != "evaluate"]
        seed = self.recipe.ladder.seed
        named = [(stage.name.partition("/")[2], stage) for stage in experts]
        found = [Expert(name, stage.spec.network, stage, name, seed) for name, stage in named]  # type: ignore[attr-defined]
        return Plan(
            recipe=self.recipe, stages=stages, ladder=(), others=tuple(found), repeats=(),
            evaluations={}, finals=tuple(students), searches={}, score=None, source=self.source,
            precision=self.measured,
        )  # fmt: skip


class PlannedPath:
    """One path with its students, and in ``same`` the paths of the same students."""

    def __init__(self, path: TAPath, planner: _PathPlanner) -> None:
        self.path = path
        self.same: list[TAPath] = []
        self._planner = StudentPlanner({planner.seed: planner})
        self._students: dict[int, Final] = {}

    def student(self, seed: int) -> Final:
        """Returns the path's student of a seed."""
        if seed not in self._students:
            self._students[seed] = self._planner.final(METHODS[OF_A_PATH], seed)
        return self._students[seed]


class _PathPlanner(LadderPlanner):
    """Planner of one path's ladder; stages are those of the lattice, named by the networks that lead to them."""

    def __init__(self, lattice: Lattice, path: TAPath) -> None:
        self.shared = lattice.shared  # before the first stage is added
        self.smallest = lattice.recipe.ladder.networks[-2].name
        networks = lattice.recipe.ladder.networks
        mine = (networks[0], *(entry for entry in networks[1:-1] if entry.name in path.tas), networks[-1])
        ladder = lattice.recipe.ladder.model_copy(update={"networks": mine, "topology": path.topology})
        super().__init__(lattice.recipe.model_copy(update={"ladder": ladder}), lattice.data, lattice.precision)
        self.source = lattice.source

    def add(self, stage: Stage) -> Stage:
        known = self.shared.get(stage.identity)
        if known is None:
            name, facts = self._name(stage), stage.facts
            if facts.part == "student":
                facts = replace(facts, method=self._chain(len(self.recipe.ladder.networks) - 1))
            known = self.shared[stage.identity] = replace(stage, name=name, facts=facts)
        return self.stages.setdefault(known.identity, known)

    def is_smallest(self, entry: LadderNetwork) -> bool:
        """Of the whole ladder: a network is the same wherever a path ends, and the same as in a run of the recipe."""
        return entry.name == self.smallest

    def compared_with(self, taught_by: Sequence[Expert]) -> list[Expert]:
        """Of these, those that the student needs anyway: a TA that is trained from scratch has no teacher."""
        needed = {stage.identity for stage in with_inputs(expert.stage for expert in taught_by)}
        return [expert for expert in super().compared_with(taught_by) if expert.stage.identity in needed]

    def _scored_alone(self, expert: Expert) -> bool:
        return True  # nothing here needs a difficulty, and a score is to be shared by all paths

    def _name(self, stage: Stage) -> str:
        kind, facts = stage.name.partition("/")[0], stage.facts
        if facts.part == "student":
            return f"{kind}/{self._chain(len(self.recipe.ladder.networks) - 1)}/seed-{facts.seed}"
        if facts.expert:
            names = [entry.name for entry in self.recipe.ladder.networks]
            return f"{kind}/{self._chain(names.index(facts.expert))}"
        return stage.name

    def _chain(self, place: int) -> str:
        """Returns the networks that lead to one, by its place in the ladder, in order, with ``-`` between."""
        networks, topology = self.recipe.ladder.networks, self.recipe.ladder.topology
        entry, larger = networks[place], list(range(place))
        is_student = place == len(networks) - 1
        teachers = larger[-1:] if is_student else larger[TEACHERS[topology]]
        if entry.weights or not teachers:
            return entry.name
        if len(teachers) == 1:
            return f"{self._chain(teachers[0])}-{entry.name}"
        return f"{'-'.join(network.name for network in networks[: place + 1])}@{topology}"


def source_of(recipe: Recipe, images: int, seeds: int) -> Source:
    """Returns the source of experts' outputs for all paths, by the count of ``logit_source.choose`` for one path.

    Its last network's logits are stored once, or computed beside each of its students.
    """
    student, views = recipe.ladder.networks[-1], recipe.distillation.views
    kind, reason = recipe.distillation.source, "as the recipe says"
    if kind == "auto":
        stored = views * images
        steps = student.steps or recipe.training.steps
        beside = seeds * steps * (student.batch_size or recipe.training.batch_size)
        kind = "cached" if views and stored <= beside else "online"
        reason = f"expert forwards of a path: {stored:,} to store every view, {beside:,} beside its students"
    students: Kind = "cached" if kind == "cached" else "online"
    return Source(students, "cached" if students == "cached" and tas_may_read(recipe, images) else "online", reason)


def with_inputs(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """Returns stages and everything that they need, each once and after what it needs."""
    found: dict[str, Stage] = {}

    def visit(stage: Stage) -> None:
        if stage.identity not in found:
            for _, upstream in stage.inputs:
                visit(upstream)
            found[stage.identity] = stage

    for stage in stages:
        visit(stage)
    return tuple(found.values())


def trainings(stages: Iterable[Stage]) -> frozenset[str]:
    """Returns the identities of those stages that are trainings."""
    return frozenset(stage.identity for stage in stages if stage.kind == "train")
