"""What happens in stores and in the cache of chunks, as records; and the hook that hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias


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


@dataclass(frozen=True, slots=True)
class StoreRetried:
    """A ``get`` or a ``list`` failed with `error` and is tried again."""

    store: str
    operation: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """The circuit of the store of these datasets is ``open`` (nobody asks), tried or ``closed``."""

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
