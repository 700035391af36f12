"""Section ``curriculum`` of a recipe. Imports neither torch nor ray."""

from __future__ import annotations

from pydantic import Field

from orchestrator.recipe.choices import Mode, PacingSpec, Selector
from orchestrator.recipe.section import Section


class CurriculumRecipe(Section):
    """The curriculum of ces_kd where nothing is searched (search.trials: 0)."""

    mode: Mode = Field("promote", description="what the pacing opens: nothing (all are open), images, experts, both")
    selector: Selector = Field(
        "stratified",
        description="stratified: by stratum; competent: the smallest expert that is right and sure; ready: the "
        "smallest that is right and surer than the student is; table: as curriculum.table says",
    )
    table: tuple[str, ...] = Field(
        (), strict=False, description="selector table only: the expert of each stratum, the easiest first"
    )
    confidence: float = Field(
        0.5, gt=0, le=1, description="selector competent: probability of the label that is sure enough"
    )
    pacing: PacingSpec = Field(PacingSpec(), description="the pacing function")
