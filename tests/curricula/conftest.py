"""Settings of property tests: no time limit for an example, so that a busy machine does not fail them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")
