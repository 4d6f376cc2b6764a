"""When an append has to be seen: some seconds after it, or after the faults that came between."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf


@dataclass(frozen=True, slots=True)
class Seen:
    """An append that a reader met so many `seconds` after it was whole; faults `disturbed` that."""

    seconds: float
    disturbed: bool


@dataclass(slots=True)
class Appends:
    """What a store that grows holds, what of it was seen, and what each reader has to see.

    An append is due `in_time` seconds after it was whole. Faults stop that clock; it begins anew
    once they and what they leave behind are over, `heal` seconds after the last. All times are of
    one clock, in seconds; the store's length is counted in `hours`, those of an append that has
    begun among them.
    """

    hours: int
    in_time: float
    heal: float
    seen: int = 0
    met: list[Seen] = field(default_factory=list)
    _least: int = 0
    _calm_since: float = -inf
    _waiting: deque[tuple[int, float]] = field(default_factory=deque)

    def whole(self, now: float) -> None:
        """The append that had begun is done."""
        self._waiting.append((self.hours, now))
        self.saw(self.seen, now)

    def faults_begin(self) -> None:
        """From now on the store misbehaves."""
        self._calm_since = inf

    def faults_end(self, now: float) -> None:
        """The store is well again; those who ask it know that a little later."""
        self._calm_since = now + self.heal

    def stood_still(self, now: float) -> None:
        """The machine did, until now: requests to the store that ran may have been given up."""
        self._calm_since = max(self._calm_since, now + self.heal)

    def calm_since(self, then: float) -> bool:
        """Whether there has been no trouble since `then`."""
        return self._calm_since <= then

    def least(self, now: float) -> int:
        """How many hours the answer to a request that is made now must have, at least."""
        for hours, written in self._waiting:
            if max(written, self._calm_since) + self.in_time <= now:
                self._least = hours
        return max(self._least, self.seen)

    def saw(self, hours: int, now: float) -> None:
        """An answer had so many."""
        self.seen = max(self.seen, hours)
        while self._waiting and self._waiting[0][0] <= self.seen:
            _, written = self._waiting.popleft()
            self.met.append(Seen(now - written, not self.calm_since(written)))

    def table(self) -> list[str]:
        """How soon appends were seen, with and without faults in between."""
        lines = [f"{'appends':18}{'seen':>9}{'late':>9}{'p50 s':>9}{'max s':>9}"]
        for name, disturbed in (("without faults", False), ("among faults", True)):
            times = sorted(seen.seconds for seen in self.met if seen.disturbed is disturbed)
            late = sum(seconds > self.in_time for seconds in times)
            middle, most = (times[len(times) // 2], times[-1]) if times else (0.0, 0.0)
            lines.append(f"{name:18}{len(times):9}{late:9}{middle:9.2f}{most:9.2f}")
        return lines
