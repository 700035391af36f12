"""One thread, since sums are taken in another order with another number; and no time limit for a property's example."""

from __future__ import annotations

from hypothesis import settings

from orchestrator.training.world import use_threads

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
use_threads(1)
