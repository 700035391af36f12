"""A comparison of the TA paths of one recipe: which students it trains, and what they show."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

from orchestrator.artifacts.identity import canonical_json
from orchestrator.artifacts.store import Artifact
from orchestrator.errors import OptionError
from orchestrator.paths.budget import RULE, Needs, cheapest_first
from orchestrator.paths.choice import Outcome, cheapest_as_good, finalists, pareto_front
from orchestrator.paths.planning import Lattice, PlannedPath, trainings, with_inputs
from orchestrator.pipeline.graph import Final
from orchestrator.pipeline.specs import TrainSpec
from orchestrator.progress.forecast import work
from orchestrator.recipe.topologies import Topology
from orchestrator.report.content.paths_schema import VERSION, PathRow, PathsReport
from orchestrator.report.content.schema import Distillation
from orchestrator.report.content.statistics import deviation

Artifacts = Mapping[str, Artifact]


@dataclass(frozen=True)
class Question:
    """The question that a comparison answers, by the options of the command.

    Attributes:
        topologies: those compared.
        seeds: students of each path.
        finalists: paths that get more of them.
        final_seeds: students of each finalist.
        budget: trainings at most, finalists' included; None for no limit.
    """

    topologies: tuple[Topology, ...]
    seeds: int
    finalists: int
    final_seeds: int
    budget: int | None = None


class _Measured(NamedTuple):
    """A path's seeds and their accuracies; None where a student is not there."""

    seeds: list[int]
    validation: list[float | None]
    test: list[float | None]


class Survey:
    """The comparison.

    Args:
        lattice: all paths, with their stages.
        question: what is asked.
        multiply_adds: of one image through each network of the ladder, by name.
        command: the command, for the report.

    Attributes:
        paths: those with different students; their numbers are places in this list.
        seen: numbers of those that are trained, in the order of the budget's rule.
        needs: what the students of each path need.
        one_student: what one of them needs.

    Raises:
        OptionError: when the budget is too small for any path.
    """

    def __init__(self, lattice: Lattice, question: Question, multiply_adds: Mapping[str, int], command: str) -> None:
        self.lattice, self.question, self.command = lattice, question, command
        self.multiply_adds = multiply_adds
        self.paths = lattice.different
        self.needs = [self._needs(self._students(path, question.seeds)) for path in self.paths]
        self.one_student = [self._needs(self._students(path, 1)) for path in self.paths]
        self.seen = self._affordable()
        if not self.seen:
            least = min(len(needs.trainings) for needs in self.needs) + self._further_seeds
            raise OptionError(
                f"--budget {question.budget}: the cheapest path and a finalist's further seeds take {least} trainings; "
                "give at least as many, or fewer --seeds or --final-seeds"
            )

    @property
    def _further_seeds(self) -> int:
        return self.question.final_seeds - self.question.seeds

    def _affordable(self) -> list[int]:
        """Returns the numbers of the paths that the budget allows, beside further seeds for as many finalists."""
        budget = self.question.budget
        if budget is None:
            return cheapest_first(self.needs)
        for count in range(min(self.question.finalists, len(self.paths)), 0, -1):
            seen = cheapest_first(self.needs, budget - count * self._further_seeds)
            if len(seen) >= count:
                return seen
        return []

    def _students(self, path: PlannedPath, seeds: int) -> list[Final]:
        return [path.student(seed) for seed in self.lattice.seeds(seeds)]

    def _needs(self, students: Sequence[Final]) -> Needs:
        stages = with_inputs(student.train for student in students)
        images = self.lattice.data.train_images
        return Needs(
            {stage.identity: work(stage.spec, self.multiply_adds, images) for stage in stages}, trainings(stages)
        )

    # -- what is trained -----------------------------------------------------------------------------------------

    def first_students(self) -> list[Final]:
        """Returns the students of every path that is seen."""
        return [student for at in self.seen for student in self._students(self.paths[at], self.question.seeds)]

    def choose(self, artifacts: Artifacts) -> list[int]:
        """Returns the numbers of the finalists, best first, once all first students are there."""
        outcomes = [self._outcome(at, self.question.seeds, artifacts) for at in self.seen]
        known = [outcome for outcome in outcomes if outcome is not None]
        assert len(known) == len(self.seen), "finalists are chosen when every path has its students"
        return [self.seen[place] for place in finalists(known, self.question.finalists)]

    def final_students(self, chosen: Sequence[int]) -> list[Final]:
        """Returns all students of the finalists."""
        return [student for at in chosen for student in self._students(self.paths[at], self.question.final_seeds)]

    def _outcome(self, at: int, seeds: int, artifacts: Artifacts) -> Outcome | None:
        found = _validation(self._students(self.paths[at], seeds), artifacts)
        values = tuple(value for value in found if value is not None)
        return Outcome(self.cost_of(at), values) if len(values) == len(found) else None

    def cost_of(self, at: int) -> float:
        """Returns the multiply-adds of one student of a path and of all that it needs."""
        return sum(self.one_student[at].multiply_adds.values())

    # -- what it shows -------------------------------------------------------------------------------------------

    @cached_property
    def id(self) -> str:
        """Returns the name of the report's folder; the same comparison of the same recipe and data has the same."""
        asked = [student.train.identity for path in self.paths for student in self._students(path, 1)]
        text = canonical_json({"students": asked, **asdict(self.question)})
        return f"{self.lattice.recipe.name}-paths-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def content(self, artifacts: Artifacts, chosen: Sequence[int] = ()) -> PathsReport:
        """Returns the content of the report, from the artifacts so far.

        Args:
            artifacts: by identity.
            chosen: numbers of the finalists, once there are any.
        """
        question, recipe = self.question, self.lattice.recipe
        rows = [self._row(at, artifacts, chosen) for at in range(len(self.paths))]
        known = [row for row in rows if row["validation_mean"] is not None]
        outcomes = [Outcome(row["multiply_adds"], _all_of(row["validation"])) for row in known]
        for place in pareto_front(outcomes):
            known[place]["on_front"] = True
        best = cheapest = None
        ended = [place for place, row in enumerate(known) if row["finalist"]]
        if chosen and len(ended) == len(chosen):
            place = ended[finalists([outcomes[each] for each in ended], 1)[0]]
            best, cheapest = known[place]["number"], known[cheapest_as_good(outcomes, place)]["number"]
        students = [*self.first_students(), *self.final_students(chosen)]
        done = trainings(with_inputs(student.train for student in students))
        return {
            "version": VERSION, "id": self.id, "name": recipe.name, "command": self.command, "written": time.time(),
            "complete": best is not None and all(row["test_mean"] is not None for row in rows if row["finalist"]),
            "ladder": [network.name for network in recipe.ladder.networks], "topologies": list(question.topologies),
            "distillation": self._distillation(),
            "seeds": question.seeds, "final_seeds": question.final_seeds, "budget": question.budget, "rule": RULE,
            "expert_outputs": str(self.lattice.source), "paths": len(self.lattice.asked), "different": len(self.paths),
            "seen": len(self.seen), "trainings": len(done),
            "trainings_of_all": len(frozenset().union(*(needs.trainings for needs in self.needs))),
            "trainings_without_sharing": self.lattice.trainings_without_sharing(question.seeds),
            "rows": rows, "best": best, "cheapest": cheapest,
        }  # fmt: skip

    def _distillation(self) -> Distillation:
        student = self.paths[0].student(self.lattice.seeds(1)[0]).train.spec
        assert isinstance(student, TrainSpec)
        guidance = student.guidance
        return {
            "temperature": guidance.temperature, "kd_weight": guidance.kd_weight, "loss": guidance.loss,
            "loss_parameters": guidance.loss_parameters.get(guidance.loss, {}), "ce_weight": guidance.labels_weight,
        }  # fmt: skip

    def _row(self, at: int, artifacts: Artifacts, chosen: Sequence[int]) -> PathRow:
        path, is_finalist = self.paths[at], at in chosen
        found = self._measured(path, at, artifacts, is_finalist)
        whole = bool(found.validation) and None not in found.validation
        tested = bool(found.test) and None not in found.test
        return {
            "number": at + 1, "topology": path.path.topology, "tas": list(path.path.tas), "words": path.path.words,
            "same": [str(other) for other in path.same], "seen": at in self.seen, "finalist": is_finalist,
            "on_front": False, "networks": len(self.one_student[at].trainings), "multiply_adds": self.cost_of(at),
            "seeds": found.seeds, "validation": found.validation,
            "validation_mean": statistics.fmean(_all_of(found.validation)) if whole else None,
            "validation_spread": deviation(found.validation) if whole else None, "test": found.test,
            "test_mean": statistics.fmean(_all_of(found.test)) if tested else None,
            "test_spread": deviation(found.test) if tested else None,
        }  # fmt: skip

    def _measured(self, path: PlannedPath, at: int, artifacts: Artifacts, is_finalist: bool) -> _Measured:
        if at not in self.seen:
            return _Measured([], [], [])
        count = self.question.final_seeds if is_finalist else self.question.seeds
        students = self._students(path, count)
        tests = [_accuracy(artifacts, student.evaluate.identity, "test_accuracy") for student in students]
        return _Measured(self.lattice.seeds(count), _validation(students, artifacts), tests if is_finalist else [])


def _validation(students: Sequence[Final], artifacts: Artifacts) -> list[float | None]:
    return [_accuracy(artifacts, student.train.identity, "validation_accuracy") for student in students]


def _accuracy(artifacts: Artifacts, identity: str, name: str) -> float | None:
    artifact = artifacts.get(identity)
    return float(artifact.results[name]) if artifact else None


def _all_of(values: Sequence[float | None]) -> tuple[float, ...]:
    return tuple(value for value in values if value is not None)
