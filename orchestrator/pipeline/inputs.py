"""Roles of a stage's inputs: identities and artifacts' records name by them what a stage was made from."""

from __future__ import annotations

DATA = "data"
NETWORK = "network"  # of an evaluation
SEARCH = "search"
MAIN_SCORE = "score"  # the main ladder's, with the difficulties


def expert_role(label: str) -> str:
    """Returns the role of an expert, by its label."""
    return f"expert:{label}"


def evaluation_role(label: str) -> str:
    """Returns the role of an expert's evaluation, by the expert's label."""
    return f"evaluation:{label}"


def fold_role(number: int) -> str:
    """Returns the role of the network that was trained without a fold, counted from 0."""
    return f"fold:{number}"


def score_role(scored: str | None) -> str:
    """Returns the role of a score: the main ladder's, or that of another topology or of one expert, by its name."""
    return MAIN_SCORE if scored is None else f"{MAIN_SCORE}:{scored}"
