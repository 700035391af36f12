"""Table of methods, the ways of teaching a final student: one row a method. Imports neither torch nor ray.

A new method is a row of ``METHODS``: the planner, the choice of a logit source, the report, the dashboards and the
documentation read the table and name no method themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from orchestrator.recipe.topologies import Topology

Expert = TypeVar("Expert")
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
        experts: the experts of the ladder that teach the student.
        taught_by: description of these experts, for tables.
        look: its appearance in figures.
        topology: topology of the TAs among the experts; None for the recipe's own.
        dealing: how a curriculum deals the experts to images (``none``: by difficulty); None without a curriculum.
        drops_experts: whether experts are dropped at random (``distillation.stochastic_drop``).
        guidance: kind of guidance, a class of ``training/guidance/kinds``; by default ``labels``, ``single`` or
            ``dense`` by the number of experts, and ``selected`` with a curriculum.
        reads_networks: whether the student is taught by more of an expert than its logits, which alone are stored; then
            experts run beside the student whatever ``distillation.source`` says.
        control_of: for a control, the method whose settings it uses.
        source: its publication.
    """

    name: str
    experts: Literal["none", "teacher", "smallest", "all"]
    taught_by: str
    look: Look
    topology: Topology | None = None
    dealing: Dealing | None = None
    drops_experts: bool = False
    guidance: str | None = None
    reads_networks: bool = False
    control_of: str | None = None
    source: str = ""

    def choose(self, ladder: list[Expert]) -> list[Expert]:
        """Returns the experts of a ladder, given teacher first, that teach the student."""
        places = {"none": slice(0), "teacher": slice(1), "smallest": slice(-1, None), "all": slice(None)}
        return ladder[places[self.experts]]

    @property
    def searched_as(self) -> str | None:
        """The method whose search chooses this one's settings; None if it has none to choose."""
        return None if self.experts == "none" else self.control_of or self.name


# Okabe and Ito's palette, with two more colours for nine methods; markers and dashes differ too.
_ROWS = (
    Method("labels", "none", "labels alone", Look("#8c8c8c", "circle", "dot")),
    Method("kd", "teacher", "the teacher", Look("#0072b2", "square", "solid"), source="Hinton et al. 2015"),
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
)  # fmt: skip
METHODS = {method.name: method for method in _ROWS}

DEFAULT_METHODS = ("labels", "kd", "ces_kd")
BASELINE = "labels"  # training without experts
REFERENCE = "ces_kd"  # the method that the others are compared with

GUIDANCE = ("labels", "single", "dense", "selected", *(method.guidance for method in _ROWS if method.guidance))

if TYPE_CHECKING:
    MethodName = str
    GuidanceKind = str
else:
    MethodName = Literal[tuple(METHODS)]
    GuidanceKind = Literal[GUIDANCE]
