"""A kind of teaching with parameters, as a new method would add one: the hints of FitNets."""

from __future__ import annotations

from torch import Tensor, nn

from orchestrator.pipeline.specs import TrainSpec
from orchestrator.training.guidance.experts import OnlineExperts, Shown
from orchestrator.training.guidance.kinds.single import Single
from tests.training.examples import experts_of


class FeatureHints(Single):
    """Distillation from one expert; beside it, projected features of the student are drawn to the expert's.

    FitNets (Romero et al., ICLR 2015), in one stage and with the features before the logits. The projection is learned.
    """

    def attach(self, network: nn.Module) -> None:
        assert isinstance(self.experts, OnlineExperts)
        self.student_features, student_width = features_before_logits(network)
        self.expert_features, expert_width = features_before_logits(self.experts.networks[0])
        self.projection = nn.Linear(student_width, expert_width, bias=False)

    def target(self, shown: Shown, step: int, progress: float) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        logits = super().target(shown, step, progress)
        return logits, self.expert_features[0].clone()

    def forward(self, logits: Tensor, labels: Tensor, target: tuple[Tensor, Tensor]) -> Tensor:
        expert_logits, expert_features = target
        return super().forward(logits, labels, expert_logits) + self.distance(expert_features)

    def distance(self, expert_features: Tensor) -> Tensor:
        """Returns the mean squared difference of the features of each image, (B,)."""
        return (self.projection(self.student_features[0].float()) - expert_features.float()).square().mean(dim=1)


def features_before_logits(network: nn.Module) -> tuple[list[Tensor], int]:
    """Returns a list that holds the features of the latest forward pass, (B, width), and their width."""
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1]
    latest: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        latest[:] = inputs

    last.register_forward_pre_hook(keep)
    return latest, last.in_features


def hints_of(spec: TrainSpec) -> FeatureHints:
    return FeatureHints(spec.guidance, experts_of(spec.guidance), seed=spec.seed)
