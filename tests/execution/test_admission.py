"""The stages that are handed to Ray, and when: by the state of a run and the room of its cluster alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from orchestrator.execution.admission import AHEAD_SECONDS, admit
from orchestrator.execution.capacity import NO_GROWTH, Capacity, Growth, Node
from orchestrator.execution.run_state import RunState
from orchestrator.pipeline.graph import Failure, Stage
from orchestrator.pipeline.kinds import IngestSpec
from orchestrator.pipeline.placement import Facts, Launch, Part, Placement
from orchestrator.recipe.methods import BASELINE, REFERENCE
from orchestrator.stages.status import Status


def stage(
    name: str, *needs: Stage, kind: str = "train", launch: Launch = "in_process", workers: int = 1, gpus: float = 0.0,
    cpus: int = 1, part: Part | None = None, method: str | None = None,
) -> Stage:  # fmt: skip
    spec = IngestSpec(dataset={"name": name}, fingerprint="")
    inputs = tuple((f"input:{upstream.name}", upstream) for upstream in needs)
    return Stage(kind, name, spec, inputs, Placement(launch, workers, cpus, gpus), Facts(part=part, method=method))


def ladder(name: str, *needs: Stage, workers: int = 1, gpus: float = 0.0, cpus: int = 1) -> Stage:
    return stage(name, *needs, launch="ray_train", workers=workers, gpus=gpus, cpus=cpus, part="expert")


def shared(name: str, *needs: Stage, workers: int) -> Stage:
    """A student that several workers train."""
    return stage(name, *needs, launch="ray_train", workers=workers, part="student")


INGEST = stage("ingest", kind="ingest", launch="ray_data")
TEACHER = ladder("teacher", INGEST)
TA = ladder("ta", INGEST, TEACHER)
BROUGHT = stage("brought", INGEST, kind="pretrained")
SCORE = stage("score", INGEST, TEACHER, TA, kind="score", launch="ray_data", workers=2)
SCORE_OF_TEACHER = stage("score-of-teacher", INGEST, TEACHER, kind="score", launch="ray_data", workers=2)
SEARCH = stage("search", INGEST, SCORE, kind="search", launch="ray_tune", workers=3)
SEARCH_OF_LABELS = stage(
    "search-of-labels", INGEST, kind="search", launch="ray_tune", workers=3, method=BASELINE
)  # fmt: skip
LABELS = [stage(f"labels-{seed}", INGEST) for seed in range(4)]
TAUGHT = stage("taught", INGEST, TEACHER)
SEARCHED = stage("searched", INGEST, SCORE, SEARCH)
SEARCH_BY_TEACHER = stage(
    "search-by-teacher", INGEST, SCORE_OF_TEACHER, kind="search", launch="ray_tune", workers=3, method=REFERENCE
)  # fmt: skip
TEST = stage("test", INGEST, LABELS[0], kind="evaluate")
TEST_OF_TEACHER = stage("test-of-teacher", INGEST, TEACHER, kind="evaluate")
SEARCH_ON_A_GPU = stage("search-on-a-gpu", INGEST, kind="search", launch="ray_tune", workers=3, gpus=0.25)
ON_A_GPU = [ladder("whole", INGEST, gpus=1.0), *(stage(f"part-{n}", INGEST, gpus=0.25) for n in range(3))]


@dataclass(frozen=True)
class Case:
    """Stages in the plan's order, what has become of some, and the stages that are to be handed over.

    Stages ``in_line`` are in Ray's hands and have posted nothing; those ``running`` have posted these seconds left.
    """

    name: str
    stages: list[Stage]
    admitted: str
    done: str = ""
    in_line: str = ""
    running: dict[str, float | None] | None = None
    failed: str = ""
    slots: float = 4
    gpus: float = 0
    nodes: int = 1  # of as many slots and GPUs each
    growth: Growth = NO_GROWTH

    def run(self) -> RunState:
        run = RunState(self.stages, {})
        for name in self.done.split():
            run.stages[name].state = "done"
        for name in (*self.in_line.split(), *(self.running or {})):
            run.submitted(run.stages[name].stage)
        for name, left in (self.running or {}).items():
            status: Status = {"doing": "reading"} if left is None else {"seconds_left": left}
            run.posted(name, status)
        for name in self.failed.split():
            run.failed(Failure(name, error="it diverged"))
        return run

    def capacity(self) -> Capacity:
        part = Placement(gpus=0.25 if self.gpus else 0.0)
        return Capacity([Node({"CPU": self.slots, "GPU": self.gpus})] * self.nodes, self.growth, part)


STUDENTS = [INGEST, *LABELS]
CASES = [
    Case("a search without experts lets the ladder start", [INGEST, SEARCH_OF_LABELS, TEACHER], "teacher",
         done="ingest"),
    Case("a search without experts goes beside a ladder that trains", [INGEST, SEARCH_OF_LABELS, TEACHER, TA],
         "search-of-labels", done="ingest", running={"teacher": 60.0}),
    Case("a search with experts does not wait for another network of the ladder to start",
         [INGEST, TEACHER, SCORE_OF_TEACHER, ladder("other", INGEST), SEARCH_BY_TEACHER], "search-by-teacher",
         done="ingest teacher score-of-teacher", in_line="other"),
    Case("a run begins with its data set, and its teacher's workers start beside it", [INGEST, TEACHER],
         "ingest teacher"),
    Case("a cluster of one slot leaves it to the data set", [INGEST, TEACHER], "ingest", slots=1),
    Case("an ingest, which foretells no end, is about to end and lets the teacher's workers start", [INGEST, TEACHER],
         "teacher", running={"ingest": None}),
    Case("workers that start ahead leave a slot to the ingest that they wait for",
         [INGEST, ladder("teacher", INGEST, workers=4)], "", running={"ingest": None}),
    Case("the ladder goes before students that stand before it in the plan", [INGEST, *LABELS[:1], TEACHER],
         "teacher labels-0", done="ingest"),
    Case("a network of the ladder is handed over even where all slots are in use", [*STUDENTS, TEACHER],
         "teacher", done="ingest", running={item.name: 60.0 for item in LABELS}),
    Case("workers of the ladder take slots from students", [INGEST, ladder("teacher", INGEST, workers=3), *LABELS],
         "teacher labels-0", done="ingest"),
    Case("a network that waits in line for workers has its slots kept", [INGEST, TEACHER, *LABELS],
         "labels-0", done="ingest", in_line="teacher", slots=2),
    Case("no more students are handed over than there are slots", STUDENTS, "labels-0 labels-1", done="ingest",
         slots=2),
    Case("a node that joins takes the next student", STUDENTS, "labels-2", done="ingest", slots=3,
         running={"labels-0": 60.0, "labels-1": 60.0}),
    Case("a node that leaves holds students back", STUDENTS, "", done="ingest", slots=1,
         running={"labels-0": 60.0, "labels-1": 60.0}),
    Case("a slot that is free again takes the next student", STUDENTS, "labels-2", done="ingest labels-0", slots=2,
         running={"labels-1": 60.0}),
    Case("one student is handed over even where a slot is larger than the cluster", STUDENTS, "labels-0",
         done="ingest", slots=0),
    Case("students wait for their inputs here, not in Ray's line", [INGEST, TEACHER, TAUGHT], "", done="ingest",
         in_line="teacher"),
    Case("a TA waits for a teacher that takes long", [INGEST, TEACHER, TA], "", done="ingest",
         running={"teacher": AHEAD_SECONDS + 1}),
    Case("a TA waits for a teacher that has not told how long it takes", [INGEST, TEACHER, TA], "", done="ingest",
         running={"teacher": None}),
    Case("a TA's workers start when its teacher is about to end", [INGEST, TEACHER, TA], "ta", done="ingest",
         running={"teacher": AHEAD_SECONDS}),
    Case("a TA waits for weights that were brought to be measured", [INGEST, BROUGHT, ladder("ta", INGEST, BROUGHT)],
         "", done="ingest", running={"brought": None}),
    Case("a network whose workers were started ahead has its slots kept", [INGEST, TEACHER, TA, *LABELS], "labels-0",
         done="ingest", in_line="ta", running={"teacher": 5.0}, slots=3),
    Case("a score waits in Ray's line and takes no slot there", [INGEST, TEACHER, TA, SCORE, *LABELS],
         "score labels-0 labels-1", done="ingest", in_line="teacher ta"),
    Case("a score whose experts are there has its workers' slots kept", [INGEST, TEACHER, TA, SCORE, *LABELS],
         "labels-0 labels-1", done="ingest teacher ta", in_line="score"),
    Case("a TA that reads scores waits for a score that leaves its workers no slot",
         [INGEST, TEACHER, SCORE_OF_TEACHER, ladder("reader", SCORE_OF_TEACHER, workers=4)], "", done="ingest teacher",
         running={"score-of-teacher": 3.0}),
    Case("a TA that reads scores starts when they are about to be there",
         [INGEST, TEACHER, SCORE_OF_TEACHER, ladder("reader", SCORE_OF_TEACHER, workers=3)], "reader",
         done="ingest teacher", running={"score-of-teacher": 3.0}),
    Case("rounds of a search go before other students", [INGEST, TEACHER, TA, SCORE, *LABELS, SEARCH],
         "search labels-0", done="ingest teacher ta score"),
    Case("a search waits for its score here and takes no slot", [INGEST, TEACHER, TA, SCORE, SEARCH, *LABELS],
         "labels-0 labels-1", done="ingest teacher ta", in_line="score"),
    Case("a search waits as long as a network waits for a whole GPU", [INGEST, ON_A_GPU[0], SEARCH_ON_A_GPU], "",
         done="ingest", in_line="whole", gpus=1),
    Case("a network that stands behind a search in the plan asks for its whole GPU before it",
         [INGEST, SEARCH_ON_A_GPU, ON_A_GPU[0]], "whole", done="ingest", gpus=1),
    Case("a search takes the other GPUs once the network has its own", [INGEST, ON_A_GPU[0], SEARCH_ON_A_GPU],
         "search-on-a-gpu", done="ingest", running={"whole": 60.0}, gpus=2),
    Case("students that wait for a search leave slots to others",
         [INGEST, TEACHER, TA, SCORE, SEARCH, SEARCHED, LABELS[0]], "labels-0",
         done="ingest teacher ta score", in_line="search"),
    Case("brief stages are handed over whatever runs", [*STUDENTS, TEACHER, TEST_OF_TEACHER, TEST],
         "test-of-teacher test", done="ingest teacher labels-0", running={item.name: 60.0 for item in LABELS[1:]},
         slots=3),
    Case("an evaluation follows as soon as its student is in Ray's hands", [*STUDENTS, TEST], "test",
         done="ingest", running={item.name: 60.0 for item in LABELS}),
    Case("students take no part of a GPU that a network waits to have whole", [INGEST, *ON_A_GPU], "", done="ingest",
         in_line="whole", gpus=1),
    Case("a network asks for its whole GPU before students take parts of it", [INGEST, *ON_A_GPU], "whole",
         done="ingest", gpus=1),
    Case("students take parts of a second GPU while a network has the first", [INGEST, *ON_A_GPU],
         "part-0 part-1 part-2", done="ingest", running={"whole": 60.0}, slots=8, gpus=2),
    Case("a worker of four CPUs takes the room of four students", [INGEST, ladder("large", INGEST, cpus=4), *LABELS],
         "labels-0 labels-1", done="ingest", running={"large": 60.0}, slots=6),
    Case("students take no CPUs of nodes while a worker waits for four on one",
         [INGEST, ladder("large", INGEST, cpus=4), *LABELS], "", done="ingest", in_line="large", slots=4, nodes=2,
         running={"labels-2": 9.0}),
    Case("workers of four GPUs leave the others of their node to students",
         [INGEST, ladder("large", INGEST, workers=4, gpus=1.0), *ON_A_GPU[1:], stage("part-3", INGEST, gpus=0.25),
          stage("part-4", INGEST, gpus=0.25)], "part-0 part-1 part-2 part-3", done="ingest",
         running={"large": 60.0}, slots=64, gpus=5),
    Case("a network on GPUs leaves the CPUs of other nodes to students on CPUs",
         [INGEST, ladder("large", INGEST, workers=2, gpus=1.0, cpus=8), *LABELS[:1]], "labels-0", done="ingest",
         running={"large": 60.0}, slots=9, gpus=1, nodes=2),
    Case("a student of two workers waits until both have room",
         [INGEST, shared("pair", INGEST, workers=2), *LABELS[:1]], "", done="ingest", slots=2,
         running={"labels-0": 60.0}),
    Case("a student of two workers takes the room of two", [INGEST, shared("pair", INGEST, workers=2), *LABELS],
         "pair labels-0", done="ingest", slots=3),
    Case("workers of one student may be on several nodes", [INGEST, shared("pair", INGEST, workers=2)], "pair",
         done="ingest", slots=1, nodes=2),
    Case("a student of two workers is handed over where it has the cluster to itself",
         [INGEST, shared("pair", INGEST, workers=2), *LABELS[:1]], "pair", done="ingest", slots=1),
    Case("students take the nodes that an autoscaler may start", STUDENTS, "labels-0 labels-1 labels-2", done="ingest",
         slots=1, growth=Growth([Node({"CPU": 1.0})] * 3)),
    Case("an autoscaler of unknown bounds is asked for nodes, the ladder first", [*STUDENTS, TEACHER],
         "teacher labels-0 labels-1 labels-2 labels-3", done="ingest", slots=0, growth=Growth(is_known=False)),
    Case("a failed teacher blocks its TAs, its students and its test, and nothing else",
         [INGEST, TEACHER, TA, TAUGHT, TEST_OF_TEACHER, LABELS[0]], "labels-0", done="ingest", failed="teacher"),
    Case("nothing is handed over twice", [INGEST, TEACHER, TA, SCORE], "", done="ingest", in_line="teacher",
         running={}),
    Case("nothing is handed over when everything is done", STUDENTS, "",
         done=" ".join(item.name for item in STUDENTS)),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_admission(case: Case) -> None:
    run = case.run()
    before = {name: replace(entry) for name, entry in run.stages.items()}
    assert " ".join(item.name for item in admit(run, case.capacity())) == case.admitted
    assert run.stages == before  # a decision changes nothing
