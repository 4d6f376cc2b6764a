"""What lasts is not looked at by the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from app.telemetry.events import DatasetOpened, LoopLag
from app.telemetry.gc_freeze import GcFreeze, freeze_objects


@pytest.fixture
def lasting() -> GcFreeze:
    return GcFreeze()


@pytest.fixture(autouse=True)
def back_in_sight() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_the_first_open_of_a_dataset_brings_is_spared(lasting: GcFreeze) -> None:
    """Once for each dataset, and not for an open that failed or for anything else."""
    brought: list[list[int]] = []

    def spared(event: DatasetOpened | LoopLag) -> bool:
        brought.append([1])
        lasting.record(event)
        return not any(one is brought[-1] for one in gc.get_objects())

    assert not spared(LoopLag(0.0))
    assert not spared(DatasetOpened("a", 0.1, ValueError("no")))
    assert spared(DatasetOpened("a", 0.1, None))
    assert not spared(DatasetOpened("a", 0.1, None))
    assert spared(DatasetOpened("b", 0.1, None))


def test_garbage_is_collected_before() -> None:
    """Rings that nothing refers to are not kept for ever."""

    class Ring:
        freed = False

        def __del__(self) -> None:
            Ring.freed = True

    ring = Ring()
    ring.itself = ring  # type: ignore[attr-defined]
    del ring
    freeze_objects()
    assert Ring.freed
