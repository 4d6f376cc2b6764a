"""How many examples: 300 by default, 600 in CI, chosen by HYPOTHESIS_PROFILE (or CI)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

SLOW_IS_FINE = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


def pytest_configure() -> None:
    """Profiles must be known before the test functions read theirs."""
    for name, examples in (("quick", 100), ("ci", 200), ("long", 4000)):
        settings.register_profile(
            f"sluice-{name}",
            max_examples=examples,
            deadline=None,
            print_blob=True,
            # The same examples each time; new ones are for the long run to find.
            derandomize=name != "long",
            suppress_health_check=SLOW_IS_FINE,
        )
    chosen = os.environ.get("SLUICE_EXAMPLES", "ci" if os.environ.get("CI") else "quick")
    settings.load_profile(f"sluice-{chosen}")
