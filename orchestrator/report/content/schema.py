"""The schema of ``report.json``: every field with its type and meaning.

The content is held as plain mappings, typed here for the type checker and for pydantic. The tables of docs/report.md
and docs/report.schema.json are made from this module (``reference.py``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from typing_extensions import NotRequired, TypedDict

from orchestrator.pipeline.stage_state import State
from orchestrator.recipe.methods import REFERENCE

Role = Literal["teacher", "ta", "ta of another topology", "student"]
TrialStatus = Literal["finished", "stopped", "failed"]


def _means(text: str) -> Any:
    return Field(description=text)


class RunFacts(TypedDict):
    """The run as a whole."""

    id: Annotated[str, _means("also the name of its folder below `reports/`")]
    name: Annotated[str, _means("the recipe's name")]
    written: Annotated[float, _means("time of writing")]
    complete: Annotated[bool, _means("whether every stage has its artifact")]
    expert_outputs: Annotated[str, _means("which trainings read stored logits and which run the experts, and why")]
    precision: Annotated[str, _means("the measurement that chose the precision, or that the recipe did")]
    live: Annotated[bool, _means("whether it was going on at the time of writing")]
    command: Annotated[
        str | None,
        _means("the command that makes it again; `null` where the recipe does not come with the program"),
    ]


class StageRow(TypedDict):
    """A stage. What was made is told of the work that made it, in this run or an earlier one."""

    name: Annotated[str, _means("its name in the plan, such as `train/resnet8`")]
    kind: Annotated[str, _means("its kind")]
    id: Annotated[str, _means("its identity, also the name of its folder below `artifacts/`")]
    reused: Annotated[bool, _means("whether its artifact existed before this run")]
    start: Annotated[float | None, _means("start of the work")]
    end: Annotated[float | None, _means("end of the work")]
    node: Annotated[str | None, _means("machine of the work")]
    slot_seconds: Annotated[float | None, _means("seconds of work, added up over its workers")]
    state: Annotated[
        State | None,
        _means("`kept`: from an earlier run; `blocked`: by one that failed; `null`: missing, for no known reason"),
    ]
    status: Annotated[str, _means("progress in words; empty where it is done")]
    since: Annotated[float | None, _means("start of its state; `null` where it is done")]
    error: Annotated[str | None, _means("cause of its failure")]


class NetworkRow(TypedDict):
    """A network. The student's accuracies are means over the students taught by labels alone."""

    name: Annotated[str, _means("its name; of a TA trained for another topology with `@` and that topology")]
    role: Annotated[Role, _means("its place in the ladder")]
    parameters: Annotated[int | None, _means("number of parameters")]
    multiply_adds: Annotated[int | None, _means("of one image's forward pass")]
    validation_accuracy: Annotated[float | None, _means("of the weights that were kept")]
    test_accuracy: Annotated[float | None, _means("on test images")]


class TaughtWith(TypedDict):
    """Settings of a student's training, as the search or the recipe chose them."""

    temperature: Annotated[float, _means("without effect for students taught by labels alone")]
    kd_weight: Annotated[float, _means("weight of distillation in the loss; likewise without effect")]
    curriculum: Annotated[dict[str, Any] | None, _means("mode, selector and pacing; `null` without a curriculum")]


class StudentRow(TypedDict):
    """A final student."""

    method: Annotated[str, _means("its method")]
    seed: Annotated[int, _means("its seed")]
    validation_accuracy: Annotated[float | None, _means("of the weights that were kept")]
    test_accuracy: Annotated[float | None, _means("measured once")]
    steps: Annotated[int | None, _means("steps of training")]
    artifact: Annotated[str, _means("`id` of its training, whose folder holds `weights.safetensors`")]
    weights_sha256: Annotated[str | None, _means("SHA-256 of that file")]
    taught_with: Annotated[TaughtWith | None, _means("settings of its training (below)")]
    seconds: Annotated[float | None, _means("of training")]


class Trial(TypedDict):
    """A trial. A failed one has `error`; any other has `identity`, `validation_loss`, `seconds` and `curve`."""

    id: Annotated[int, _means("its number, from 0")]
    config: Annotated[dict[str, Any], _means("the point that was tried")]
    status: Annotated[TrialStatus, _means("`stopped`: early")]
    validation_accuracy: Annotated[float | None, _means("after its last step")]
    steps: Annotated[int, _means("steps done")]
    rungs: NotRequired[
        Annotated[
            list[tuple[int, float]],
            _means(
                "pairs of step and validation accuracy: one for each training of that point, several with "
                "`search.scheduler: halving`"
            ),
        ]
    ]
    identity: NotRequired[Annotated[str, _means("identity of its training")]]
    validation_loss: NotRequired[Annotated[float, _means("after its last step")]]
    seconds: NotRequired[Annotated[float, _means("of training")]]
    curve: NotRequired[Annotated[list[tuple[int, float]], _means("pairs of step and validation accuracy")]]
    error: NotRequired[Annotated[str, _means("cause of its failure")]]


class Search(TypedDict):
    """A search."""

    trials: Annotated[list[Trial], _means("every trial; while the search goes on, those so far (below)")]
    best: Annotated[
        Trial | None,
        _means(
            "of the trials of the most steps that of the highest validation accuracy, the lower loss deciding between "
            "equals; `null` until the search is done"
        ),
    ]


class Comparison(TypedDict):
    """Two methods, paired by seed. On few test images all differences can be the same by chance."""

    reference: Annotated[str, _means("the method that is compared")]
    method: Annotated[str, _means("the method that it is compared with")]
    pairs: Annotated[int, _means("number of seeds that both have")]
    difference: Annotated[
        float | None, _means("mean over the pairs of the reference's test accuracy less the method's")
    ]
    spread: Annotated[float | None, _means("sample standard deviation of the differences; `null` below two pairs")]
    low: Annotated[
        float | None,
        _means("lower end of the mean's 95 % interval; `null` also where all differences are the same"),
    ]
    high: Annotated[float | None, _means("upper end of the same interval")]


class Sensitivity(TypedDict):
    """Validation accuracy over the trials of a search, compared after the same steps."""

    trials: Annotated[int, _means("number of trials compared")]
    steps: Annotated[int | None, _means("steps after which they are compared")]
    low: Annotated[float, _means("the lowest")]
    first_quartile: Annotated[float, _means("the first quartile")]
    median: Annotated[float, _means("the median")]
    third_quartile: Annotated[float, _means("the third quartile")]
    high: Annotated[float, _means("the highest")]
    seed_spread: Annotated[
        float | None, _means("sample standard deviation over seeds of the method's final students, on validation")
    ]


class Difficulty(TypedDict, total=False):
    """The score stage's findings. Empty without a curriculum method, or before they are there."""

    images: Annotated[int, _means("number of training images")]
    views: Annotated[int, _means("number of views stored of each")]
    difficulties: Annotated[list[str], _means("difficulties computed")]
    experts_right: Annotated[dict[str, float], _means("accuracy of each expert on the training images")]
    severity_correlation: Annotated[
        dict[str, float | None],
        _means(
            "rank correlation of each difficulty with the known severity, where the data have one; `null`: not "
            "defined, since the difficulty is constant"
        ),
    ]
    cost: Annotated[dict[str, float], _means("of the score stage")]


class Strata(TypedDict):
    """Which expert taught which images, over all steps and seeds."""

    experts: Annotated[list[str], _means("the experts, smallest first")]
    methods: Annotated[
        dict[str, list[list[float]]],
        _means(
            "for each curriculum method a row a stratum, easiest first, with each expert's share of its images; a row "
            "adds up to 1, or is 0 where nothing was taught"
        ),
    ]


class Wall(TypedDict):
    """Time of all stages."""

    work_seconds: Annotated[float, _means("all stages' durations added up")]
    busy_seconds: Annotated[float, _means("time with at least one stage at work")]
    overlap: Annotated[float, _means("the first divided by the second")]


class Spent(TypedDict):
    """Seconds of trainings by `data` (waiting for images), `compute` (on a GPU: queueing work), `validation`,
    `checkpoint` and `report`."""

    ladder: Annotated[dict[str, float], _means("of networks of the ladder")]
    students: Annotated[dict[str, float], _means("of students")]


class Makespan(TypedDict):
    """The last execution against the least time possible. Work includes the start of processes and Ray Train's
    controllers; Ray's services, Ray Train's lesser helpers and the driver are left out."""

    makespan_seconds: Annotated[float, _means("from Ray being up to the last stage's end")]
    lower_bound_seconds: Annotated[float, _means("the greater of the critical path and the work divided by the slots")]
    ratio: Annotated[float | None, _means("makespan divided by bound")]
    work_seconds: Annotated[float, _means("work of all stages made")]
    slots: Annotated[float, _means("single-worker trainings that the cluster has room for")]
    critical_path_seconds: Annotated[float, _means("duration of the longest chain of stages that wait for each other")]
    critical_path: Annotated[list[str], _means("the stages of that chain")]
    stages: Annotated[int, _means("number of stages made")]


class Cost(TypedDict):
    """Slot-seconds of all stages, in whichever run they were made. A slot is the room of one single-worker training."""

    slot_seconds: Annotated[float, _means("in all")]
    by_kind: Annotated[dict[str, float], _means("by kind of stage")]


class Seeds(TypedDict):
    """Seeds of the recipe."""

    ladder: Annotated[int, _means("of the experts")]
    students: Annotated[list[int], _means("of the final students")]
    search: Annotated[int, _means("of the search")]
    dataset: Annotated[int, _means("of the validation split and generated images")]


class Size(TypedDict):
    """Size of a network."""

    parameters: Annotated[int, _means("number of parameters")]
    multiply_adds: Annotated[int, _means("of one image's forward pass")]


class Derived(TypedDict):
    """The parts that follow from others."""

    comparisons: Annotated[
        list[Comparison],
        _means(
            f"test accuracy of {REFERENCE} against that of each other method (below); without {REFERENCE}, of the "
            "method with the highest mean"
        ),
    ]
    sensitivity: Annotated[
        dict[str, Sensitivity | None], _means("for each searched method (below); `null` before any trial has ended")
    ]
    cost: Annotated[Cost, _means("slot-seconds (below)")]


class Report(Derived):
    """Everything."""

    version: Annotated[int, _means("version of this layout, now 1")]
    run: Annotated[RunFacts, _means("the run as a whole (below)")]
    recipe: Annotated[
        dict[str, Any],
        _means("the recipe with every default and override in it; saved as YAML it makes the same run"),
    ]
    stages: Annotated[list[StageRow], _means("every stage, each after those it needs (below)")]
    warnings: Annotated[
        list[str],
        _means(
            "sentences on experts that are no better than guessing on the validation images (1 % of the binomial "
            "distribution at 1 / classes), or below the student on labels"
        ),
    ]
    networks: Annotated[list[NetworkRow], _means("the experts, teacher first, then the student (below)")]
    methods: Annotated[
        list[StudentRow], _means("every final student: one entry a method and seed, in recipe order (below)")
    ]
    search: Annotated[Search, _means(f"the search for {REFERENCE} (below); no trials and `null` without a search")]
    searches: Annotated[dict[str, Search], _means("the search of each searched method")]
    coinciding: Annotated[
        dict[str, str],
        _means(
            "methods whose students are those of an earlier method, with that method: on a ladder without a TA the "
            "teacher is the smallest expert, too"
        ),
    ]
    difficulty: Annotated[Difficulty, _means("findings of the score stage (below)")]
    experts_by_stratum: Annotated[Strata, _means("which expert taught which images (below)")]
    wall: Annotated[Wall, _means("time of all stages (below)")]
    spent: Annotated[Spent, _means("time of all trainings by activity (below)")]
    schedule: Annotated[Makespan | None, _means("of the last run that had something to do (below); `null` before any")]
    versions: Annotated[
        dict[str, str | list[str]],
        _means("version of Python and of each package that made the artifacts; a list where artifacts differ"),
    ]
    seeds: Annotated[Seeds, _means("seeds of the recipe (below)")]
    capacity: Annotated[list[Size], _means("size of each network of the ladder, teacher first (below)")]


PARTS: dict[str, type] = {
    "run": RunFacts, "a stage": StageRow, "a network": NetworkRow, "a method's student": StudentRow,
    "taught_with": TaughtWith, "a search": Search, "a trial": Trial, "a comparison": Comparison,
    "sensitivity": Sensitivity, "difficulty": Difficulty, "experts_by_stratum": Strata, "wall": Wall, "spent": Spent,
    "schedule": Makespan, "cost": Cost, "seeds": Seeds, "a network's size": Size,
}  # fmt: skip
"""By the heading of the part's table in docs/report.md."""
