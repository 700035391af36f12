"""Section ``ladder`` of a recipe: its networks. Imports neither torch nor ray.

An expert may be a snapshot: a network of the ladder as it was after a share of its own training (route constrained
optimisation, Jin et al., ICCV 2019). It costs no training of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from orchestrator.locations import local_path
from orchestrator.recipe.choices import NormalisationSpec
from orchestrator.recipe.section import Section, Seed, check_once, twice
from orchestrator.recipe.workers import Workers


def label_at(label: str, share: float) -> str:
    """Returns the label of a network as it was after a share of its training; its own at 1."""
    return label if share == 1 else f"{label}@{share}"


def snapshot_step(share: float, steps: int) -> int:
    """Returns the step of a training after which a share of it is done."""
    return round(share * steps)


class LadderNetwork(Section):
    """One network of the ladder. A bare name is enough."""

    name: str = Field(
        description="a registered network (models.names() lists them), timm:<name> for one of the package timm, or "
        "module:callable"
    )
    steps: int | None = Field(None, gt=0, description="training steps of this network, instead of training.steps")
    batch_size: int | None = Field(None, gt=0, description="its images a step, instead of training.batch_size")
    learning_rate: float | None = Field(None, gt=0, description="its highest learning rate, instead of the optimiser's")
    weights: Annotated[str, AfterValidator(local_path)] | None = Field(
        None,
        description="a .safetensors file: the network is taken from it, not trained. timm: the published weights of "
        "timm:<name>.<tag>, from the Hugging Face cache, or fetched into it",
    )
    normalisation: NormalisationSpec | None = Field(
        None, description="with weights: that of the pixels they were trained on, where it is not the data's"
    )
    workers: Workers | None = Field(
        None, description="its workers, instead of resources.workers; of the student, of student_workers"
    )
    at: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="a snapshot, not a training: the network of this name above it after this share of its steps",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @property
    def label(self) -> str:
        """Its name in plans and reports, of a snapshot with ``@`` and its share."""
        return label_at(self.name, self.at or 1)

    @model_validator(mode="after")
    def _snapshot_without_training(self) -> LadderNetwork:
        others = [name for name in type(self).model_fields if name not in ("name", "at") and getattr(self, name)]
        if self.at and others:
            raise ValueError(
                f"{self.name} has at and {' and '.join(others)}; a snapshot is taken from the training of the network "
                f"of this name above it, so leave {' and '.join(others)} out or set it there"
            )
        return self

    @model_validator(mode="after")
    def _normalised_with_weights(self) -> LadderNetwork:
        if self.normalisation and not self.weights:
            raise ValueError(f"{self.name} has normalisation set but no weights; a trained network takes the data's")
        return self


class Ladder(Section):
    """All networks by falling capacity: the teacher, the teacher assistants, the student at the foot."""

    networks: tuple[LadderNetwork, ...] = Field(
        strict=False,
        min_length=2,
        max_length=64,
        description="teacher first, student last; names, or mappings with the fields below",
    )
    topology: Literal["direct", "sequential", "dense", "scratch"] = Field(
        "direct", description="a TA's guidance comes from: the teacher, the next larger network, all larger, labels"
    )
    seed: Seed = Field(0, description="seed of the experts' first weights and batches, and of every network's views")
    seeds: tuple[Seed, ...] | None = Field(
        None,
        strict=False,
        min_length=1,
        max_length=256,
        description="instead of seed: the whole ladder is trained and scored once with each, and the students' seeds "
        "are taught by these ladders in turn, so that the spread over seeds counts the ladder; searches use the first",
    )

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seeds of the ladders, of which the first is that of searches."""
        return self.seeds or (self.seed,)

    @property
    def experts(self) -> tuple[str, ...]:
        """Names of the experts, teacher first."""
        return tuple(network.label for network in self.networks[:-1])

    @field_validator("networks")
    @classmethod
    def _different(cls, networks: tuple[LadderNetwork, ...]) -> tuple[LadderNetwork, ...]:
        again = twice([network.label for network in networks])
        if again:
            raise ValueError(f"{again} is in the ladder twice; every network must be a different one")
        if networks[-1].weights:
            raise ValueError("the student (last network) has weights set, but the run trains it; leave them out")
        if networks[-1].at:
            raise ValueError("the student (last network) has at set, but the run trains it; leave it out")
        if (workers := networks[-1].workers) and workers.is_elastic:
            raise ValueError(
                f"the student (last network) has workers {workers}, but only experts come to have more or "
                "fewer while they train; give one number"
            )
        _check_snapshots(networks)
        return networks

    @field_validator("seeds")
    @classmethod
    def _once(cls, seeds: tuple[Seed, ...] | None) -> tuple[Seed, ...] | None:
        check_once(seeds or ())
        return seeds

    @field_validator("seeds")
    @classmethod
    def _instead_of_seed(cls, seeds: tuple[Seed, ...] | None, known: ValidationInfo) -> tuple[Seed, ...] | None:
        seed = known.data.get("seed", 0)
        if seeds and seed not in (0, seeds[0]):  # 0 may be the default, which a resolved recipe has too
            raise ValueError(f"found {list(seeds)}, but ladder.seed is {seed}; leave out one of the two")
        return seeds

    @property
    def trained(self) -> tuple[LadderNetwork, ...]:
        """The networks that are no snapshots."""
        return tuple(network for network in self.networks if not network.at)

    def training_of(self, network: LadderNetwork) -> LadderNetwork:
        """Returns the network whose training makes a network of the ladder: itself, or that of a snapshot."""
        return next(other for other in self.trained if other.name == network.name) if network.at else network


def _check_snapshots(networks: Sequence[LadderNetwork]) -> None:
    """Raise ValueError unless each snapshot stands below its network, by falling share."""
    trained: dict[str, LadderNetwork] = {}
    for above, network in zip((networks[0], *networks), networks, strict=False):
        if not network.at:
            trained[network.name] = network
            continue
        training = trained.get(network.name)
        if training is None:
            raise ValueError(
                f"{network.name} at {network.at} is a snapshot, but no {network.name} without at stands above it; add "
                "the network from whose training it is taken"
            )
        if training.weights:
            raise ValueError(
                f"{network.name} at {network.at} is a snapshot, but the weights of {network.name} are imported, so "
                "there is no training to take it from; leave out at or weights"
            )
        if above.name != network.name or network.at > (above.at or 1):
            raise ValueError(
                f"{network.name} at {network.at} stands below {above.label}; snapshots stand directly below their "
                "network, by falling at"
            )
