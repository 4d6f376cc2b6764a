"""How all tests work: no time is a failure of Hypothesis, since a machine may be busy.

Where PyArrow is installed pandas keeps texts in it, and halves of surrogate pairs are an error: not
for tests that make datasets of them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")
pd.set_option("mode.string_storage", "python")


def pytest_collection_finish() -> None:
    """What imports made stays: hundreds of tests collect garbage, and need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples of a module, as a server has one for all requests."""
    with asyncio.Runner() as running:
        yield running
