"""Table of distillation losses, one row a loss: what a student loses by differing from an expert.

A new loss is a row of ``LOSSES`` and a module of its name in ``training/guidance/distillation/``, which has the
formula. One with parameters has a spec and a field of ``LossSections`` too. Schema, planner, search and report read the
table. Imports neither torch nor ray.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from orchestrator.recipe.choices import Spec
from orchestrator.recipe.section import Section

LossParameters = dict[str, dict[str, float]]  # values by loss and by name


class DkdParameters(Spec):
    """Parameters of the loss dkd."""

    alpha: float = Field(1.0, ge=0, description="weight of the term of the label's class")
    beta: float = Field(8.0, ge=0, description="weight of the term of the other classes")
    warmup: float = Field(
        0.083,
        ge=0,
        le=1,
        description="share of the steps over which the loss rises from 0 to its weight; in the paper 20 of 240 epochs",
    )


class DistParameters(Spec):
    """Parameters of the loss dist; its tau is the temperature."""

    beta: float = Field(2.0, ge=0, description="weight of the correlation over the classes of each image")
    gamma: float = Field(
        2.0, ge=0, description="weight of the correlation over the images of a norm group, for each class"
    )


class LossSections(Section):
    """Sections of the losses that have parameters, by the loss's name."""

    dkd: DkdParameters = Field(DkdParameters(), description="loss dkd only")
    dist: DistParameters = Field(DistParameters(), description="loss dist only")


@dataclass(frozen=True)
class Loss:
    """One distillation loss, with the settings that its authors use.

    Attributes:
        name: its name in recipes, of its section if it has parameters, and of its module.
        words: one line of words for documentation.
        source: its publication.
        temperature: the temperature, where the recipe names none.
        kd_weight: its weight, where the recipe names no weight.
        ce_weight: weight of the cross-entropy beside it; None for 1 - kd_weight.
        parameters: its parameters; None for a loss without any.
        fewest_classes: classes below which it teaches nothing.
        needs_every_logit: whether it is meaningless where only an expert's largest logits are known.
    """

    name: str
    words: str
    source: str
    temperature: float = 4.0
    kd_weight: float = 0.9
    ce_weight: float | None = None
    parameters: type[Spec] | None = None
    fewest_classes: int = 2
    needs_every_logit: bool = False


_ROWS = (
    Loss("kd", "divergence of the softened probabilities", "Hinton et al. 2015"),
    Loss(
        "standardised", "kd of logits that are standardised image by image", "Sun et al., CVPR 2024",
        temperature=2.0, kd_weight=9.0, ce_weight=0.1,
        fewest_classes=3,  # two standardised logits are always -0.71 and 0.71
        needs_every_logit=True,  # mean and spread are those of all classes' logits
    ),
    Loss(
        "dkd", "kd in two terms with weights of their own: the label's class, the other classes",
        "Zhao et al., CVPR 2022", kd_weight=1.0, ce_weight=1.0, parameters=DkdParameters,
    ),
    Loss(
        "dist", "correlation of the softened probabilities, over classes and over images", "Huang et al., NeurIPS 2022",
        kd_weight=1.0, ce_weight=1.0, parameters=DistParameters,
    ),
)  # fmt: skip
LOSSES = {loss.name: loss for loss in _ROWS}
DEFAULT_LOSS = "kd"

if TYPE_CHECKING:
    LossName = str
else:
    LossName = Literal[tuple(LOSSES)]


def own_settings(named: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a recipe's loss that take the place of the schema's defaults.

    The two weights go together: with a ``kd_weight`` in the recipe, the loss's own ``ce_weight`` does not count.

    Args:
        named: the fields of ``distillation`` that the recipe names.
    """
    name = named.get("loss", DEFAULT_LOSS)
    if not isinstance(name, str) or name not in LOSSES:
        return {}
    loss, found = LOSSES[name], dict[str, Any]()
    if "temperature" not in named:
        found["temperature"] = loss.temperature
    if "kd_weight" not in named:
        found["kd_weight"] = loss.kd_weight
        if "ce_weight" not in named:
            found["ce_weight"] = loss.ce_weight
    return found


def parameters_of(names: Iterable[str], sections: LossSections) -> LossParameters:
    """Returns the parameters of these losses, as far as they have any."""
    return {name: getattr(sections, name).model_dump() for name in names if LOSSES[name].parameters}


def check_weights(kd: tuple[str, float], ce: tuple[str, float] | None) -> None:
    """Refuse weights that leave the labels a negative one, or nothing to learn from.

    Args:
        kd: field and largest value of the weight of distillation.
        ce: field and largest value of the weight of the labels; None where it is 1 less the other.

    Raises:
        ValueError: naming the fields, what was found and what to do.
    """
    field, weight = kd
    if ce is None and weight > 1:
        raise ValueError(
            f"{field} of {weight:g} leaves the labels' cross-entropy a weight of 1 - {weight:g}, below 0; set "
            f"{field.replace('kd_weight', 'ce_weight')} too (0.1, say), or keep {field} to 1 or less"
        )
    if ce is not None and weight == ce[1] == 0:
        raise ValueError(f"{field} and {ce[0]} are both 0, so that there is nothing to learn from; raise one of them")


def check_top_k(top_k: int, field: str, names: Iterable[str]) -> None:
    """Refuse losses that are computed from all of an expert's logits, where only the largest are stored.

    Raises:
        ValueError: naming the fields, what was found and what to do.
    """
    for name in names:
        if LOSSES[name].needs_every_logit:
            raise ValueError(
                f"{field} has {name}, which is computed from all logits of an expert, but distillation.top_k is "
                f"{top_k}, so that only the largest are stored; leave out one of the two"
            )


def check_classes(field: str, names: Iterable[str], classes: int) -> None:
    """Refuse losses that teach nothing on data of so few classes.

    Raises:
        ValueError: naming the field, what was found and what to do.
    """
    for name in names:
        if classes < LOSSES[name].fewest_classes:
            others = ", ".join(loss.name for loss in _ROWS if classes >= loss.fewest_classes)
            raise ValueError(
                f"{field} has {name}, which needs {LOSSES[name].fewest_classes} classes or more, and the data has "
                f"{classes}; give any of {others}"
            )
