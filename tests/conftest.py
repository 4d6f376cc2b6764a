"""How Hypothesis works in all tests: no time is a failure, since a machine may be busy."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")


def pytest_collection_finish() -> None:
    """What imports made stays: hundreds of tests collect garbage, and need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples of a module, as a server has one for all requests."""
    with asyncio.Runner() as running:
        yield running
