"""The events that the service emits, and what emits some of them now and then.

One sink is here, too, since it needs nothing else: `GcFreeze`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sluice import instrumentation
from sluice.instrumentation import Phases


class RequestServed(NamedTuple):
    """One answer: `client` is an address, `route` the path's template, `dataset` of the catalog.

    `dataset` and `route` are empty where there is none; `status` is 0 for a client that left.
    `ended` is in seconds since 1970. What a selection cost is in `phases`; others have none. `key`
    is the name of the key that it came with.
    """

    # A tuple, not a dataclass: it is made for every request, and that several times as fast.
    ended: float
    id: str
    client: str
    method: str
    path: str
    route: str
    dataset: str
    status: int
    seconds: float
    sent_bytes: int
    phases: Phases | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class DoorAnswered:
    """One answer of a standard door, beside its `RequestServed`."""

    door: str
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class DatasetOpened:
    """One attempt to open a dataset; `error` is None when it succeeded."""

    dataset: str
    seconds: float
    error: BaseException | None

    @property
    def outcome(self) -> str:
        """How it ended: well, or with an error of this class."""
        return "ok" if self.error is None else type(self.error).__name__


@dataclass(frozen=True, slots=True)
class DatasetRevalidated:
    """One look at the store of an opened dataset, for another version: what it came to.

    `outcome` is ``unchanged``, ``settling``, ``swapped``, ``failed``, ``unreachable`` or ``gone``.
    """

    dataset: str
    outcome: str
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late the event loop ran a timer, and how many tasks it has."""

    seconds: float
    tasks: int = 0


@dataclass(frozen=True, slots=True)
class DatasetsCounted:
    """How many datasets are open now."""

    open: int


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A request was not answered, by ``client`` limit, ``overload`` or ``deadline``."""

    reason: str


@dataclass(frozen=True, slots=True)
class RequestQueued:
    """A request has waited so long for memory, whether or not it got it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class InFlight:
    """The memory that requests hold now, and how many wait for some."""

    held_bytes: int
    waiting: int


@dataclass(frozen=True, slots=True)
class SpoolFilled:
    """The bytes of all files of the spool now."""

    held_bytes: int


Event: TypeAlias = (
    RequestServed
    | DoorAnswered
    | RequestRefused
    | RequestQueued
    | InFlight
    | SpoolFilled
    | DatasetOpened
    | DatasetRevalidated
    | DatasetsCounted
    | instrumentation.Event
    | LoopLag
)
Emit: TypeAlias = Callable[[Event], None]


async def sample(sum_up: Callable[[], Event], emit: Emit, *, every_seconds: float = 1.0) -> None:
    """Emit what `sum_up` answers, every so often and once more when it is cancelled."""
    try:
        while True:
            await asyncio.sleep(every_seconds)
            emit(sum_up())
    finally:
        emit(sum_up())


async def watch_loop(emit: Emit, *, every_seconds: float = 0.25) -> None:
    """Emit a `LoopLag` for a timer every so often, for ever; cancel it to end it."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + every_seconds
        await asyncio.sleep(every_seconds)
        lag = max(0.0, loop.time() - due)
        emit(LoopLag(lag, tasks=len(asyncio.all_tasks())))


class GcFreeze:
    """A sink that takes what stays for good out of the garbage collector's sight, all there is.

    A full collection looks at each object once: 100,000 of them, which is what the libraries and
    a client of S3 bring, stop the loop for 50 ms. What is taken out is freed like everything else
    once nothing refers to it; only rings of objects that refer to each other would stay, so this
    happens but once for each dataset of the catalog. For processes that only serve.
    """

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def record(self, event: Event) -> None:
        """Spare what the first open of a dataset has brought."""
        if type(event) is DatasetOpened and event.error is None and event.dataset not in self._seen:
            self._seen.add(event.dataset)
            freeze_objects()


def freeze_objects() -> None:
    """Spare all objects; what nothing refers to is collected before."""
    gc.collect()
    gc.freeze()
