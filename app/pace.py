"""How fast bodies go over a connection: who is too slow, in either direction, is told of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class SendingPace:
    """Watches a body that a client sends: `least_rate` bytes a second, over `seconds` each time.

    `paused` says whether we are the ones who keep it waiting; `on_slow` is called once.
    """

    def __init__(
        self,
        least_rate: float,
        seconds: float,
        paused: Callable[[], bool],
        on_slow: Callable[[], object],
    ) -> None:
        self._least_bytes = least_rate * seconds
        self._seconds = seconds
        self._paused = paused
        self._on_slow = on_slow
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """A body begins."""
        self._bytes = 0
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._seconds, self._judge)

    def came(self, size: int) -> None:
        """So many bytes of it have come."""
        self._bytes += size

    def end(self) -> None:
        """It has ended, or nobody waits for it any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _judge(self) -> None:
        if self._bytes >= self._least_bytes or self._paused():
            self.begin()
        else:
            self._timer = None
            self._on_slow()


class TakingPace:
    """Watches how fast a client takes what was written to it, while it is waited for.

    `left_bytes` tells what is not taken yet. Once `seconds` were waited, in one piece or in many,
    `on_slow` is called with the bytes that were taken if they are less than `least_rate` a second.
    """

    def __init__(
        self,
        least_rate: float,
        seconds: float,
        left_bytes: Callable[[], int],
        on_slow: Callable[[int], object],
    ) -> None:
        self._least_bytes = least_rate * seconds
        self._seconds = seconds
        self._bytes_left = left_bytes
        self._on_slow = on_slow
        self._since = 0.0
        self._left_before = 0
        self._waited_seconds = 0.0
        self._taken_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        """The client is waited for from now on."""
        loop = asyncio.get_running_loop()
        self._since, self._left_before = loop.time(), self._bytes_left()
        left_seconds = max(0.0, self._seconds - self._waited_seconds)
        self._timer = loop.call_later(left_seconds, self._judge)

    def go_on(self) -> None:
        """It has taken enough for now."""
        if self._timer is not None:
            self._count()
            self.end()

    def end(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _count(self) -> None:
        self._waited_seconds += asyncio.get_running_loop().time() - self._since
        self._taken_bytes += self._left_before - self._bytes_left()

    def _judge(self) -> None:
        self._count()
        self._timer = None
        if self._taken_bytes < self._least_bytes:
            self._on_slow(self._taken_bytes)
            return
        self._waited_seconds, self._taken_bytes = 0.0, 0
        self.wait()
