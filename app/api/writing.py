"""Long answers are written beside the loop, step by step, and no further than somebody waits."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import Final

from sluice.arrays.reader import Threads
from sluice.arrays.turns import Share

from .paced import LongBody, Piece

# Long beside the hop to a thread and back, short beside what a client or another answer waits for.
_STEP_SECONDS: Final = 0.01


class Writing:
    """Writes answers in a few threads: each in steps, between which it makes way for the others.

    A short answer is not kept waiting by long ones, whose place it takes at their next step.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads

    async def write(self, pieces: Iterator[Piece]) -> LongBody:
        """All of the pieces. Whoever is cancelled has ended the work, at the end of its step."""
        written: list[Piece] = []
        share = Share()
        while await self._threads.run(share, _write_some, pieces, written):
            pass
        return LongBody(written, sum(map(len, written)))


def _write_some(pieces: Iterator[Piece], written: list[Piece]) -> bool:
    """Write on for the time of a step; whether there may be more."""
    enough = perf_counter() + _STEP_SECONDS
    for piece in pieces:
        if piece:
            written.append(piece)
        if perf_counter() > enough:
            return True
    return False
