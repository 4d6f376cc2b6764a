"""What work reports while it is done: events of stores and the cache, and a request's costs.

Events go to a hook, an `Emit`. The costs are a request's time in each phase and the chunks that it
needed; the ``Server-Timing`` header and the request's line in the log show them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, TypeVar


@dataclass(frozen=True, slots=True)
class StoreAsked:
    """One request to a store: a ``get`` or a ``list``, and what it brought.

    The `store` is a bucket or a host.
    """

    store: str
    operation: str
    seconds: float
    received_bytes: int
    error: BaseException | None

    @property
    def outcome(self) -> str:
        """How it ended: well, or with an error of this class."""
        return "ok" if self.error is None else type(self.error).__name__


@dataclass(frozen=True, slots=True)
class StoreRetried:
    """A ``get`` or a ``list`` failed with `error` and is tried again."""

    store: str
    operation: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """The circuit of the store of these datasets has changed; ``open``: no requests are made."""

    store: str
    datasets: tuple[str, ...]
    state: Literal["closed", "half-open", "open"]


@dataclass(frozen=True, slots=True)
class ChunksLookedUp:
    """Decoded chunks that were in memory, that were not, and that had to go from there.

    They are counted since the last of these events; `held_bytes` is what they take now.
    """

    hits: int
    misses: int
    evictions: int
    held_bytes: int


Event: TypeAlias = StoreAsked | StoreRetried | CircuitChanged | ChunksLookedUp
Emit: TypeAlias = Callable[[Event], None]

E = TypeVar("E")


def to_all(*sinks: Callable[[E], None]) -> Callable[[E], None]:
    """A hook that hands each event to every sink, in order; sinks are quick and never raise."""

    def emit(event: E) -> None:
        for sink in sinks:
            sink(event)

    return emit


# Fetching and decoding happen in tasks far below the route. A context variable reaches them
# without a parameter through every plan and reader; where nobody records, spans cost a lookup.
_recorded: ContextVar[Phases | None] = ContextVar("phases", default=None)

# The phases in which a request waits for others; in the rest it works.
WAITING: Final = frozenset(("open", "fetch", "queue"))


class Phases:
    """Wall-clock seconds per phase; spans of one phase that overlap count once.

    `cells` is how many values the answer has, `hits` and `misses` are the chunks that were in
    memory and that were not. One event loop enters and leaves all spans, so nothing here needs a
    lock.
    """

    __slots__ = ("_going", "_since", "_token", "cells", "hits", "misses", "seconds")

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cells = 0
        self.hits = 0
        self.misses = 0
        self._going: dict[str, int] = {}
        self._since: dict[str, float] = {}

    def enter(self, name: str) -> None:
        """A span of the phase begins."""
        going = self._going.get(name, 0)
        self._going[name] = going + 1
        if not going:
            self._since[name] = perf_counter()

    def leave(self, name: str) -> None:
        """A span of the phase ends; the last one that goes on adds to its seconds."""
        self._going[name] -= 1
        if not self._going[name]:
            spent = perf_counter() - self._since[name]
            self.seconds[name] = self.seconds.get(name, 0.0) + spent

    def since(self, name: str, began: float) -> float:
        """Add a span that ends now and began at the `perf_counter` time `began`; returns now."""
        now = perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - began
        return now

    @property
    def working(self) -> float:
        """The seconds in which the request did not wait for a store or for other requests."""
        return sum([spent for name, spent in self.seconds.items() if name not in WAITING])

    def recording(self) -> Self:
        """A block in which `phase` adds to these phases, also in tasks that it starts.

        One block at a time. (The object is its own context manager: one made of a generator takes
        twice as long.)
        """
        return self

    def __enter__(self) -> None:
        self._token = _recorded.set(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _recorded.reset(self._token)

    def server_timing(self) -> str:
        """The phases as a ``Server-Timing`` header, in milliseconds (W3C Server Timing, 3.1)."""
        return ", ".join([f"{name};dur={1e3 * spent:.3f}" for name, spent in self.seconds.items()])


def count_chunks(hits: int, misses: int) -> None:
    """Add chunks that were in memory, and that were not, to whichever request is recorded."""
    recorded = _recorded.get()
    if recorded is not None:
        recorded.hits += hits
        recorded.misses += misses


class phase:
    """The block is a span of this phase of whichever request is being recorded, if one is."""

    __slots__ = ("_name", "_phases")

    def __init__(self, name: str) -> None:
        self._name = name
        self._phases = _recorded.get()

    def __enter__(self) -> None:
        if self._phases is not None:
            self._phases.enter(self._name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._phases is not None:
            self._phases.leave(self._name)
