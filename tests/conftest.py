"""How Hypothesis works in all tests: no time is a failure, since a machine may be busy."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")
