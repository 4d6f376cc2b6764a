"""What is counted where it happens, thousands of times a second, told in sums now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .events import Emit, Event


async def sample(sum_up: Callable[[], Event], emit: Emit, *, every_seconds: float = 1.0) -> None:
    """Emit what `sum_up` answers, every so often and once more when it is cancelled."""
    try:
        while True:
            await asyncio.sleep(every_seconds)
            emit(sum_up())
    finally:
        emit(sum_up())
