"""The schema of ``report.json``: every field with its type and meaning.

The content is held as plain mappings, typed here for the type checker and for pydantic. The tables of docs/report.md
and docs/report.schema.json are made from this module (``reference.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, with_config
from typing_extensions import NotRequired, TypedDict

from orchestrator.artifacts.trained import WEIGHTS
from orchestrator.artifacts.trials import Point
from orchestrator.artifacts.trials import TrialRecord as Trial
from orchestrator.pipeline.placement import Part
from orchestrator.pipeline.stage_state import State
from orchestrator.recipe.choices import Mode, Selector
from orchestrator.recipe.methods import REFERENCE
from orchestrator.recipe.plain_form import RecipeFields
from orchestrator.report.content.hypothesis_schema import HYPOTHESIS_PARTS, Hypothesis
from orchestrator.report.content.meanings import means

Role = Literal["teacher", "ta", "ta of another topology", "snapshot", "student"]


class RunFacts(TypedDict):
    """The run as a whole."""

    id: Annotated[str, means("also the name of its folder below `reports/`")]
    name: Annotated[str, means("the recipe's name")]
    written: Annotated[float, means("time of writing")]
    complete: Annotated[bool, means("whether every stage has its artifact")]
    expert_outputs: Annotated[str, means("which trainings read stored logits and which run the experts, and why")]
    precision: Annotated[str, means("the measurement that chose the precision, or that the recipe did")]
    live: Annotated[bool, means("whether it was going on at the time of writing")]
    command: Annotated[str | None, means("makes it again; `null` where the recipe does not come with the program")]


class StageRow(TypedDict):
    """A stage. `start`, `end` and `node` are those of the work that made it, in this run or an earlier one. `state` is
    `kept` for an artifact of an earlier run, `blocked` after a failure of another stage, `null` for unknown reasons."""

    name: Annotated[str, means("its name in the plan")]
    kind: Annotated[str, means("its kind")]
    part: NotRequired[Annotated[Part | None, means("part of the network that it trains or tests; `null` for others")]]
    ladder_seed: NotRequired[
        Annotated[int | None, means("seed of the ladder that it belongs to, where that is not the run's first")]
    ]
    id: Annotated[str, means("its identity, also the name of its folder below `artifacts/`")]
    reused: Annotated[bool, means("whether its artifact existed before this run")]
    start: Annotated[float | None, means("start of the work")]
    end: Annotated[float | None, means("end of the work")]
    node: Annotated[str | None, means("machine of the work")]
    slot_seconds: Annotated[float | None, means("seconds of work, added up over its workers")]
    state: Annotated[State | None, means("its state")]
    status: Annotated[str, means("its progress in words; empty where it is done")]
    since: Annotated[float | None, means("start of its state; `null` where it is done")]
    error: Annotated[str | None, means("cause of its failure")]


class Images(TypedDict):
    """Numbers of images, `null` before they have been read."""

    train: Annotated[int | None, means("training images")]
    validation: Annotated[int | None, means("validation images")]
    test: Annotated[int | None, means("test images")]
    wrong_labels: Annotated[int | None, means("training images whose label `dataset.label_noise` has replaced")]


class NetworkRow(TypedDict):
    """A network. The student's accuracies are means over the students taught by labels alone, `null` without them."""

    name: Annotated[
        str,
        means(
            "its name, with `@` and what it is for: another topology, or a ladder of another seed (`@seed-1`); of a "
            "snapshot, with its share (`@0.5`)"
        ),
    ]
    network: NotRequired[Annotated[str, means("its registered name, or `module:callable`")]]
    role: Annotated[Role, means("its place in the ladder")]
    parameters: Annotated[int | None, means("number of parameters")]
    multiply_adds: Annotated[int | None, means("of one image's forward pass")]
    validation_accuracy: Annotated[float | None, means("of the weights that were kept")]
    test_accuracy: Annotated[float | None, means("on test images")]
    calibration_error: Annotated[float | None, means("expected calibration error on test images, of 15 bins")]
    ladder_seed: NotRequired[Annotated[int | None, means("seed of its ladder; `null` for the student")]]


@with_config(ConfigDict(extra="allow"))
class Curriculum(TypedDict):
    """A student's curriculum, which has the other fields of its spec too."""

    mode: Annotated[Mode, means("its mode")]
    selector: Annotated[Selector, means("its expert selector")]
    table: NotRequired[
        Annotated[list[str], means("of the selector `table`: the expert of each stratum, the easiest first")]
    ]
    pacing: Annotated[Point, means("its pacing function: settings by name, such as `family`, `a` and `b`")]


class Distillation(TypedDict):
    """Settings of the distillation of a network."""

    temperature: Annotated[float, means("temperature of distillation")]
    kd_weight: Annotated[float, means("weight of distillation in the loss")]
    loss: NotRequired[Annotated[str, means("distillation loss")]]
    loss_parameters: NotRequired[Annotated[dict[str, float], means("its parameters; empty for a loss without any")]]
    ce_weight: NotRequired[Annotated[float, means("weight of the labels' cross-entropy in the loss")]]


class TaughtWith(Distillation):
    """Settings of a student's training, as the search or the recipe chose them. Those of the distillation have no
    effect for students taught by labels alone. `loss`, `loss_parameters` and `ce_weight` are not in artifacts of old
    versions."""

    experts: NotRequired[Annotated[list[str], means("the experts that taught, smallest first")]]
    curriculum: Annotated[Curriculum | None, means("the curriculum; `null` without one")]
    learning_rate: NotRequired[Annotated[float, means("the highest one; not in artifacts of old versions")]]
    early: NotRequired[Annotated[float, means("share of its training after which the teacher was taken")]]


class Fidelity(TypedDict):
    """Closeness of a student to one expert, on the test images. The divergence is KL(expert || student) of the softmax
    of their logits divided by T, in nats, and not multiplied by T^2."""

    agreement: Annotated[float, means("share of images that both predict the same class of")]
    kl_t1: Annotated[float, means("mean divergence at T = 1")]
    kl_t4: Annotated[float, means("mean divergence at T = 4")]


class StudentRow(TypedDict):
    """A final student. Its other weights are those that `training.keep` leaves out: the last where the best on
    validation are kept, or the reverse."""

    method: Annotated[str, means("its method")]
    seed: Annotated[int, means("its seed")]
    ladder_seed: NotRequired[Annotated[int, means("seed of the ladder that taught it")]]
    validation_accuracy: Annotated[float | None, means("of the weights that were kept")]
    test_accuracy: Annotated[float | None, means("of the same weights, measured once")]
    other_validation_accuracy: Annotated[float | None, means("of its other weights")]
    other_test_accuracy: Annotated[float | None, means("of its other weights, measured in the same pass")]
    kept_step: Annotated[int | None, means("step of the weights that were kept")]
    calibration_error: Annotated[float | None, means("expected calibration error on test images, of 15 bins")]
    fidelity: Annotated[dict[str, Fidelity], means("by each expert that taught it, and the teacher; none for `labels`")]
    steps: Annotated[int | None, means("steps of training")]
    artifact: Annotated[str, means(f"`id` of its training, whose folder holds `{WEIGHTS}`")]
    weights_sha256: Annotated[str | None, means("SHA-256 of that file")]
    taught_with: Annotated[TaughtWith | None, means("settings of its training (below)")]
    seconds: Annotated[float | None, means("of training")]


class Search(TypedDict):
    """A search. `best` is, of the trials of the most steps, that of the highest validation accuracy, the lower loss
    deciding between equals."""

    trials: Annotated[list[Trial], means("every trial; while the search goes on, those so far (below)")]
    best: Annotated[Trial | None, means("the best trial; `null` until the search is done")]


class Comparison(TypedDict):
    """Two methods, paired by seed. Below two pairs `spread` and all that follows from it are `null`; the latter also
    where all differences are the same: on few test images that comes by chance. The primary comparison is that with
    the baseline of the highest mean validation accuracy; its p-value is not corrected."""

    reference: Annotated[str, means("the method that is compared")]
    method: Annotated[str, means("the method that it is compared with")]
    pairs: Annotated[int, means("number of seeds that both have")]
    difference: Annotated[float | None, means("mean over the pairs of the test accuracy of `reference` less `method`")]
    spread: Annotated[float | None, means("sample standard deviation of the differences")]
    low: Annotated[float | None, means("lower end of the mean's 95 % interval")]
    high: Annotated[float | None, means("upper end of the same interval")]
    p: Annotated[float | None, means("two-sided p-value of the paired t test")]
    p_corrected: Annotated[float | None, means("by Holm, for all comparisons but the primary one, whose `p` it is")]
    primary: Annotated[bool, means("whether it is the primary comparison")]
    smallest_difference: Annotated[
        float | None, means("that so many pairs of this spread show with 80 % power, two-sided at 5 %")
    ]
    seeds_needed: Annotated[
        int | None, means("pairs that would show `difference` with the same power; `null` also above 1,000")
    ]


class Sensitivity(TypedDict):
    """Validation accuracy over the trials of a search, compared after the same steps."""

    trials: Annotated[int, means("number of trials compared")]
    steps: Annotated[int | None, means("steps after which they are compared")]
    low: Annotated[float, means("the lowest")]
    first_quartile: Annotated[float, means("the first quartile")]
    median: Annotated[float, means("the median")]
    third_quartile: Annotated[float, means("the third quartile")]
    high: Annotated[float, means("the highest")]
    seed_spread: Annotated[float | None, means("sample standard deviation over seeds of the method's final students")]


class Difficulty(TypedDict, total=False):
    """Findings of the score stage. Empty without a curriculum method, or before they are there. A correlation is `null`
    where it is not defined, since the difficulty is constant."""

    images: Annotated[int, means("number of training images")]
    views: Annotated[int, means("number of views stored of each")]
    difficulties: Annotated[list[str], means("difficulties computed")]
    experts_right: Annotated[dict[str, float], means("accuracy of each expert on the training images")]
    severity_correlation: Annotated[
        dict[str, float | None], means("each difficulty's rank correlation with the known severity, where there is one")
    ]
    cost: Annotated[dict[str, float], means("of the score stage")]


class Strata(TypedDict):
    """Shares of images by expert, over all steps and seeds: for each curriculum method a row a stratum, easiest first,
    with each expert's share of its images. There are fewer strata where the search left experts out. A row adds up to
    1, or is 0 where nothing was taught."""

    experts: Annotated[list[str], means("the experts, smallest first")]
    methods: Annotated[dict[str, list[list[float]]], means("rows of shares by curriculum method")]


class Wall(TypedDict):
    """Time of all stages."""

    work_seconds: Annotated[float, means("all stages' durations added up")]
    busy_seconds: Annotated[float, means("time with at least one stage at work")]
    overlap: Annotated[float, means("the first divided by the second")]


class Spent(TypedDict):
    """Seconds of trainings by activity: `data` (waiting for images), `compute` (on a GPU: queueing work), `validation`,
    `checkpoint` and `report`."""

    ladder: Annotated[dict[str, float], means("of networks of the ladder")]
    students: Annotated[dict[str, float], means("of students")]


class Makespan(TypedDict):
    """The last execution against the least time possible. Work includes the start of processes and Ray Train's
    controllers; Ray's services, Ray Train's lesser helpers and the driver are left out."""

    makespan_seconds: Annotated[float, means("from Ray being up to the last stage's end")]
    lower_bound_seconds: Annotated[float, means("the greater of the critical path and the work divided by the slots")]
    ratio: Annotated[float | None, means("makespan divided by bound")]
    work_seconds: Annotated[float, means("work of all stages made")]
    slots: Annotated[float, means("single-worker trainings that the cluster has room for")]
    critical_path_seconds: Annotated[float, means("duration of the longest chain of stages that wait for each other")]
    critical_path: Annotated[list[str], means("the stages of that chain")]
    stages: Annotated[int, means("number of stages made")]


class Cost(TypedDict):
    """Slot-seconds of all stages, in whichever run they were made. A slot is the room of one single-worker training."""

    slot_seconds: Annotated[float, means("in all")]
    by_kind: Annotated[dict[str, float], means("by kind of stage")]


class Seeds(TypedDict):
    """Seeds of the recipe."""

    ladder: Annotated[int, means("of the experts; of several ladders, of the first, which teaches in searches")]
    ladders: Annotated[list[int], means("of all ladders, which teach the students' seeds in turn")]
    students: Annotated[list[int], means("of the final students")]
    search: Annotated[int, means("of the search")]
    dataset: Annotated[int, means("of generated images and label noise")]
    validation: Annotated[int, means("of the validation split")]


class Size(TypedDict):
    """Size of a network."""

    parameters: Annotated[int, means("number of parameters")]
    multiply_adds: Annotated[int, means("of one image's forward pass")]


class Derived(TypedDict):
    """The parts that follow from others."""

    comparisons: Annotated[
        list[Comparison], means(f"{REFERENCE}, or without it the method of the highest mean, with each other method")
    ]
    sensitivity: Annotated[dict[str, Sensitivity | None], means("by searched method; `null` before a trial has ended")]
    cost: Annotated[Cost, means("slot-seconds of all stages")]


class Report(Derived):
    """Everything. Parts that are mappings, or lists of mappings, have a table below."""

    version: Annotated[int, means("version of this layout, now 1")]
    run: Annotated[RunFacts, means("the run as a whole")]
    recipe: Annotated[RecipeFields, means("the recipe with all defaults and overrides; as YAML it makes the same run")]
    stages: Annotated[list[StageRow], means("every stage, each after those it needs")]
    warnings: Annotated[
        list[str],
        means(
            "sentences on images that occur twice or are of a single colour, and on experts that are no better than "
            "guessing on the validation images (1 % of the binomial distribution at 1 / classes), or below the student "
            "on labels"
        ),
    ]
    networks: Annotated[list[NetworkRow], means("the experts, teacher first, then the student")]
    images: Annotated[Images, means("numbers of images")]
    methods: Annotated[list[StudentRow], means("every final student: one entry a method and seed, in recipe order")]
    search: Annotated[Search, means(f"the search for {REFERENCE}; no trials and `null` without a search")]
    searches: Annotated[dict[str, Search], means("the search of each searched method")]
    coinciding: Annotated[
        dict[str, str], means("methods whose students are those of an earlier method, with that method")
    ]
    difficulty: Annotated[Difficulty, means("findings of the score stage")]
    experts_by_stratum: Annotated[Strata, means("which expert taught which images")]
    hypothesis: Annotated[
        Hypothesis | None,
        means(
            "whether easy images gain more from a small expert; `null` where the recipe neither asks for it nor "
            "searches a table"
        ),
    ]
    wall: Annotated[Wall, means("time of all stages")]
    spent: Annotated[Spent, means("time of all trainings by activity")]
    schedule: Annotated[Makespan | None, means("of the last run that had something to do; `null` before any")]
    versions: Annotated[
        dict[str, str | list[str]],
        means("of Python and of the packages that made the artifacts; lists where they differ"),
    ]
    seeds: Annotated[Seeds, means("seeds of the recipe")]
    capacity: Annotated[list[Size], means("size of each network of the ladder, teacher first")]


PARTS: dict[str, type] = {
    "run": RunFacts, "a stage": StageRow, "images": Images, "a network": NetworkRow, "a method's student": StudentRow,
    "fidelity": Fidelity, "taught_with": TaughtWith, "taught_with's curriculum": Curriculum, "a search": Search,
    "a trial": Trial, "a comparison": Comparison, "sensitivity": Sensitivity, "difficulty": Difficulty,
    "experts_by_stratum": Strata, "wall": Wall, "spent": Spent, "schedule": Makespan, "cost": Cost, "seeds": Seeds,
    "a network's size": Size, **HYPOTHESIS_PARTS,
}  # fmt: skip
"""By the heading of the part's table in docs/report.md."""
