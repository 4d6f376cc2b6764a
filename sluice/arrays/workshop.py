"""Where chunks are decoded: on the loop or beside it, and how much of them at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from sluice.arrays.threads import Threads
from sluice.arrays.turns import Share, Turns

Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(slots=True)
class Shares:
    """What one reading has had of a workshop."""

    under_way: Share = field(default_factory=Share)
    threads: Share = field(default_factory=Share)


class Workshop:
    """What all readings of a process share, so that many of them together stay within bounds.

    Work on up to `inline_bytes` is done on the loop, since the hop to a thread costs more; larger
    work in the `pool` (None: the loop's default executor), of which it takes at most `threads`.
    Up to `between_bytes` it is done on the loop too, but a piece between two rounds of it: for
    where threads have no core of their own. There they do not work beside the loop but in its
    place, and it takes the core back from them at each event.

    Chunks that are fetched and decoded at once have at most `under_way_bytes`. It belongs to one
    event loop; whoever made the pool closes it.
    """

    def __init__(
        self,
        *,
        inline_bytes: int,
        between_bytes: int = 0,
        under_way_bytes: int,
        threads: int,
        pool: Executor | None,
    ) -> None:
        self._inline_bytes = inline_bytes
        self._between_bytes = between_bytes
        self._under_way = Turns(under_way_bytes)
        self._threads = Threads(threads, pool)

    def under_way(self, shares: Shares, chunk_bytes: int) -> AbstractAsyncContextManager[None]:
        """The block is the turn of a chunk of so many bytes to be fetched and decoded."""
        return self._under_way.turn(shares.under_way, chunk_bytes)

    def is_small(self, nbytes: int) -> bool:
        """Whether work on so many bytes is done on the loop."""
        return nbytes <= self._inline_bytes

    async def run(
        self, shares: Shares, work: Callable[[Given], Made], given: Given, nbytes: int
    ) -> Made:
        """What ``work(given)`` makes, which takes about as long as decoding `nbytes` does."""
        if self.is_small(nbytes):
            return work(given)
        if nbytes <= self._between_bytes:
            return await self._threads.between(shares.threads, work, given)
        return await self._threads.run(shares.threads, work, given)
