"""Table of methods, the ways of teaching a final student: one row a method. Imports neither torch nor ray.

A new method is a row of ``METHODS``: the planner, the choice of a logit source, the report, the dashboards and the
documentation read the table and name no method themselves. Besides, there is a method for each expert of a ladder,
``kd:<expert>``: the student is taught by that one alone; and one for each cell of strata by experts,
``cell:<stratum>:<expert>``, which measures a hypothesis (``hypothesis.py``). ``method_of`` returns any of them.
"""

from __future__ import annotations

import colorsys
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple, Protocol, TypeVar

from pydantic import AfterValidator

from orchestrator.recipe.messages import NameOrForm
from orchestrator.recipe.search_space import Place
from orchestrator.recipe.topologies import Topology


class Labelled(Protocol):
    """An expert of a ladder, with the name that guidance has for it."""

    @property
    def label(self) -> str: ...


Expert = TypeVar("Expert", bound=Labelled)
Dealing = Literal["none", "random", "reversed"]


class Look(NamedTuple):
    """Colour, marker and line of a method in the report's figures."""

    colour: str
    symbol: str
    dash: str


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: its name in recipes, tables and stages.
        experts: the experts of the ladder that teach the student; ``early`` is the teacher after a share of its
            training, ``one`` the expert named by ``expert``.
        taught_by: description of these experts, for tables.
        look: its appearance in figures.
        topology: topology of the TAs among the experts; None for the recipe's own.
        dealing: how a curriculum deals the experts to images (``none``: by difficulty); None without a curriculum.
        drops_experts: whether experts are dropped at random (``distillation.stochastic_drop``).
        guidance: kind of guidance, a class of ``training/guidance/kinds``; by default ``labels``, ``single`` or
            ``dense`` by the number of experts, and ``selected`` with a curriculum.
        combines_logits: whether this kind of guidance makes one target of several experts' logits, so that with one
            expert alone it is ``single``.
        reads_networks: whether the student is taught by more of an expert than its logits, which alone are stored; then
            experts run beside the student whatever ``distillation.source`` says.
        control_of: for a control, the method whose settings it uses.
        source: its publication.
        expert: with experts ``one``, the expert's name; of a cell, the one that teaches its stratum.
        stratum: of a cell, the stratum of the training images that ``expert`` teaches, 0 the easiest; the teacher
            teaches all others.
    """

    name: str
    experts: Literal["none", "teacher", "early", "smallest", "all", "one"]
    taught_by: str
    look: Look
    topology: Topology | None = None
    dealing: Dealing | None = None
    drops_experts: bool = False
    guidance: str | None = None
    combines_logits: bool = False
    reads_networks: bool = False
    control_of: str | None = None
    source: str = ""
    expert: str = ""
    stratum: int | None = None

    def choose(self, ladder: list[Expert]) -> list[Expert]:
        """Returns the experts of a ladder, given teacher first, that teach the student, as they are in the end."""
        if self.experts == "one":
            return [expert for expert in ladder if expert.label == self.expert]
        teacher, smallest = slice(1), slice(-1, None)
        places = {"none": slice(0), "teacher": teacher, "early": teacher, "smallest": smallest, "all": slice(None)}
        return ladder[places[self.experts]]

    @property
    def searched_as(self) -> str:
        """The method whose search, where there is one, chooses this one's settings."""
        return self.control_of or self.name

    @property
    def has_experts(self) -> bool:
        """Whether experts teach the student."""
        return self.experts != "none"

    @property
    def places(self) -> tuple[Place, ...]:
        """The parts of its students' training that hold settings of the search space."""
        guidance: tuple[Place, ...] = ("guidance",) if self.has_experts else ()
        guidance += ("early",) if self.experts == "early" else ()
        curriculum: tuple[Place, ...] = ("curriculum", "curriculum.pacing") if self.dealing else ()
        return (*guidance, *curriculum, "optimizer")


# The palettes of Okabe and Ito and of Paul Tol (muted), with two more colours; markers and dashes differ too.
_ROWS = (
    Method("labels", "none", "labels alone", Look("#8c8c8c", "circle", "dot")),
    Method("kd", "teacher", "the teacher", Look("#0072b2", "square", "solid"), source="Hinton et al. 2015"),
    Method(
        "kd_early", "early", "the teacher as it was after a share of its training", Look("#8c564b", "octagon", "dash"),
        source="Cho and Hariharan, ICCV 2019",
    ),
    Method("kd_smallest", "smallest", "the smallest TA", Look("#56b4e9", "diamond", "dash")),
    Method(
        "takd", "smallest", "the smallest TA of a sequential chain", Look("#009e73", "triangle-up", "solid"),
        topology="sequential", source="Mirzadeh et al., AAAI 2020",
    ),
    Method(
        "dgkd", "all", "all experts at once, TAs by all larger networks", Look("#cc79a7", "triangle-down", "solid"),
        topology="dense", source="Son et al., ICCV 2021",
    ),
    Method(
        "dgkd_stochastic", "all", "as dgkd, experts dropped at random", Look("#9467bd", "pentagon", "dash"),
        topology="dense", drops_experts=True, source="Son et al., ICCV 2021",
    ),
    Method(
        "kd_mean", "all", "the mean of all experts' logits", Look("#117733", "hexagon", "dash"),
        guidance="mean", combines_logits=True, source="Hinton et al. 2015",
    ),
    Method(
        "kd_weighted", "all", "all experts, each by its loss on the image's label",
        Look("#44aa99", "hexagram", "dashdot"),
        guidance="weighted", combines_logits=True, source="Zhang et al., ICASSP 2022",
    ),
    Method(
        "kd_image_weight", "teacher", "the teacher, more where the student is worse",
        Look("#332288", "triangle-right", "dash"), guidance="image_weight", source="Zhou et al., ICLR 2021",
    ),
    Method(
        "ces_kd", "all", "one expert an image, by difficulty", Look("#d55e00", "star", "solid"),
        dealing="none", source="Amara et al., ICPR 2022",
    ),
    Method(
        "ces_random", "all", "control: the same experts, dealt at random", Look("#e69f00", "x", "dash"),
        dealing="random", control_of="ces_kd",
    ),
    Method(
        "ces_reversed", "all", "control: the same experts, hardest images to the smallest",
        Look("#a08a00", "cross", "dot"), dealing="reversed", control_of="ces_kd",
    ),
    Method(
        "ces_teacher", "teacher", "control: the same images, all taught by the teacher",
        Look("#882255", "bowtie", "dashdot"), dealing="none", control_of="ces_kd",
    ),
)  # fmt: skip
METHODS = {method.name: method for method in _ROWS}

DEFAULT_METHODS = ("labels", "kd", "ces_kd")
BASELINE = "labels"  # training without experts
REFERENCE = "ces_kd"  # the method that the others are compared with
OF_A_PATH = "kd_smallest"  # teaches the student of a TA path: the path's last network, by single guidance

GUIDANCE = ("labels", "single", "dense", "selected", *(method.guidance for method in _ROWS if method.guidance))

ONE_EXPERT = "kd:"  # before the name of the expert that teaches alone
EVERY_EXPERT = "kd:*"  # in a recipe, short for all of these
TEACHER_ALONE = "kd"  # the method that cells are compared with
_CELL = re.compile(r"cell:([1-9][0-9]*):(.+)")
_MARKERS = ("triangle-left", "hourglass", "star-diamond", "diamond-tall", "star-square", "pentagon")


def method_of(name: str) -> Method:
    """Returns the method of a name: a row of the table, that of one expert, or that of a cell.

    Raises:
        KeyError: for any other name.
    """
    return METHODS[name] if name in METHODS else _derived(name)


@cache
def _derived(name: str) -> Method:
    if cell := _CELL.fullmatch(name):
        number, expert = cell.groups()
        return Method(
            name, "all", f"{expert} on stratum {number}, the teacher on the others", _look_of(name), dealing="none",
            control_of=TEACHER_ALONE, expert=expert, stratum=int(number) - 1,
        )  # fmt: skip
    if not name.startswith(ONE_EXPERT):
        raise KeyError(name)
    expert = name.removeprefix(ONE_EXPERT)
    return Method(name, "one", f"{expert} alone", _look_of(expert), expert=expert)


def methods_of_experts(experts: Iterable[str]) -> tuple[str, ...]:
    """Returns the name of the method of each expert, by the experts' names."""
    return tuple(f"{ONE_EXPERT}{expert}" for expert in experts)


def cell_method(stratum: int, expert: str) -> str:
    """Returns the name of the method of a cell: an expert that teaches one stratum, counted from 0."""
    return f"cell:{stratum + 1}:{expert}"


def _look_of(expert: str) -> Look:
    """Returns the look of the method of one expert, a function of its name: the same in every report."""
    digest = hashlib.sha256(expert.encode()).digest()
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(digest[0] / 256, 0.4, 0.6))
    return Look(f"#{red:02x}{green:02x}{blue:02x}", _MARKERS[digest[1] % len(_MARKERS)], "longdash")


_names = NameOrForm(
    tuple(METHODS),
    re.compile(f"{re.escape(ONE_EXPERT)}.+|{_CELL.pattern}"),
    f"{ONE_EXPERT}<expert>",
    f"{ONE_EXPERT}<expert> with an expert of the ladder, or {EVERY_EXPERT} for each of them",
)
MethodName = Annotated[str, AfterValidator(_names)]

if TYPE_CHECKING:
    GuidanceKind = str
else:
    GuidanceKind = Literal[GUIDANCE]
