"""One thread, since the number of threads changes the order of sums; no time limit for a property's example."""

from __future__ import annotations

from hypothesis import settings

from orchestrator.training.process import set_up_process

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
set_up_process(1)
