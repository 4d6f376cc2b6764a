"""The order in which those who wait are served: each client gets its share of bytes.

Self-clocked fair queueing (S. J. Golestani, "A self-clocked fair queueing scheme for broadband
applications", IEEE INFOCOM 1994). It gives what deficit round robin gives (M. Shreedhar and
G. Varghese, "Efficient fair queueing using deficit round robin", SIGCOMM 1995), without a quantum
to choose: bytes here range from a chunk to all that there is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Waiter:
    """One who waits for `cost` bytes; `turn` has a result as soon as they are its own.

    `finish` is the virtual time at which they would be served if all clients were served at once,
    each at the same pace.
    """

    client: str
    cost: int
    finish: int
    turn: asyncio.Future[None]


class FairQueue:
    """Waiters, those of each client in their order, clients by the bytes that each asks for.

    While two clients wait, what they were served differs by no more than the largest request of
    each. Nothing is remembered of a client that does not wait.
    """

    __slots__ = ("_length", "_lines", "_now")

    def __init__(self) -> None:
        self._lines: dict[str, deque[Waiter]] = {}
        self._length = 0
        # Virtual time: the finish of whoever was served last.
        self._now = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._length

    def join(self, client: str, cost: int) -> Waiter:
        """A new waiter, behind those of its own client."""
        line = self._lines.setdefault(client, deque())
        begin = line[-1].finish if line else self._now
        turn = asyncio.get_running_loop().create_future()
        waiter = Waiter(client, cost, begin + cost, turn)
        line.append(waiter)
        self._length += 1
        return waiter

    def first(self) -> Waiter | None:
        """Who is served next; of equals the client that has waited longer."""
        heads = [line[0] for line in self._lines.values()]
        return min(heads, key=lambda waiter: waiter.finish, default=None)

    def serve(self, waiter: Waiter) -> None:
        """`waiter`, which is the first, waits no more."""
        self._now = waiter.finish
        self.leave(waiter)

    def leave(self, waiter: Waiter) -> None:
        """`waiter` waits no more, wherever it stood; nothing happens if it did not wait."""
        line = self._lines.get(waiter.client)
        if line is None or waiter not in line:
            return
        line.remove(waiter)
        self._length -= 1
        if not line:
            del self._lines[waiter.client]
