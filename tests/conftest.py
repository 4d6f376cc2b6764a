"""How all tests work: no time is a failure of Hypothesis, since a machine may be busy.

Where PyArrow is installed pandas keeps texts in it, and halves of surrogate pairs are an error: not
for tests that make datasets of them.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd
import pytest
from botocore.loaders import JSONFileLoader
from hypothesis import HealthCheck, settings

# As in pyproject.toml.
USUAL_TIMEOUT_SECONDS = 300

settings.register_profile("sluice", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("sluice")
pd.set_option("mode.string_storage", "python")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first: at the end, a worker with one of them would work alone."""
    items.sort(key=lambda item: not _is_long(item))


def _is_long(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("timeout")
    return marker is not None and marker.args[0] > USUAL_TIMEOUT_SECONDS


def pytest_collection_finish() -> None:
    """What imports made stays: hundreds of tests collect garbage, and need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    """What botocore knows of S3 are megabytes of JSON, which each new session reads anew."""
    read = JSONFileLoader.load_file

    @cache
    def kept(path: str) -> Any:
        return read(JSONFileLoader(), path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: kept(path))
        yield


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One loop for all examples of a module, as a server has one for all requests."""
    with asyncio.Runner() as running:
        yield running
