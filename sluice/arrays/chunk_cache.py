"""Decoded chunks in memory, shared by all datasets of a process: hot ones stay, scans pass through.

Eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023). A
new chunk enters a small queue, a tenth of the budget, and moves on to the main queue only if it was
asked for again meanwhile; so a request for more chunks than the budget holds flushes the small
queue and nothing else. A hit adds to a counter and moves nothing.

Chunks that are read in passing (for a file that is streamed part by part) have a queue of their
own, which is evicted first once it has more than a tenth of the budget. The next part of the file
finds its chunk there, which does not count as a use.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from sys import getsizeof
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Array
from sluice.concurrency import SingleFlight
from sluice.instrumentation import ChunksLookedUp


class Absent(Enum):
    """In place of a chunk that the store does not have."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Chunk: TypeAlias = Array | Absent
# Which store at which version, the path of the array in it, and the chunk's place in its grid.
ChunkKey: TypeAlias = tuple[Hashable, str, tuple[int, ...]]

# Memory of an entry beside its values: key, counters, the array object, entries in queues.
ENTRY_BYTES: Final = 512
# The paper's tenth of the budget for newcomers.
_SMALL_SHARE: Final = 10
# The same share for chunks that are read in passing.
_PASSING_SHARE: Final = 10
# Uses are counted in four bits, and kept in the main queue; the paper has two bits, and starts
# again there. Few large chunks fill a budget: with two, all may be at the maximum when one must go.
_MOST_USES: Final = 15
# A chunk larger than this share of the budget would push out too much for itself.
_LARGEST_SHARE: Final = 8
# A reading is wide that touches more than this share of the budget, in so many chunks or more.
_WIDE_SHARE: Final = 4
_MANY: Final = 8
# As many keys of evicted chunks are remembered as there are chunks, and at least so many.
_LEAST_GHOSTS: Final = 256
# The sizes of so many objects are summed in one go: a millisecond.
_WEIGHED_AT_ONCE: Final = 8192


@dataclass(slots=True)
class _Entry:
    chunk: Array
    held_bytes: int
    uses: int = 0


class ChunkCache:
    """At most `budget_bytes` of decoded chunks, each loaded once however many wait for it.

    Its arrays are read-only and shared: copy what you change. Failures are not cached, nor that a
    chunk is absent: a writer that fills a store part by part adds it under the same metadata. With
    a budget of 0 it keeps nothing, and concurrent callers still share a load. It belongs to one
    event loop.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._entries: dict[ChunkKey, _Entry] = {}
        self._small: deque[ChunkKey] = deque()
        self._main: deque[ChunkKey] = deque()
        self._passing: deque[ChunkKey] = deque()
        # Keys that left the small queue, or were asked about, oldest first: a chunk that is loaded
        # again while its key is here goes to the main queue.
        self._ghosts: OrderedDict[ChunkKey, None] = OrderedDict()
        self._held = 0
        self._held_small = 0
        self._held_passing = 0
        self._flight: SingleFlight[ChunkKey, Chunk] = SingleFlight()
        self._hits = 0
        self._misses = 0
        self._evictions = 0

    @property
    def held_bytes(self) -> int:
        """The memory that the kept chunks hold, with `ENTRY_BYTES` for each."""
        return self._held

    def get(self, key: ChunkKey) -> Array | None:
        """The chunk, or None: then `load` it, which counts the miss."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._hits += 1  # as `_use` has it, which is a call for every chunk
        if entry.uses < _MOST_USES:
            entry.uses += 1
        return entry.chunk

    def peek(self, key: ChunkKey) -> Array | None:
        """As `get`, for readings in passing: it does not count as a use."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._hits += 1
        return entry.chunk

    def get_all(self, keys: Sequence[ChunkKey]) -> list[Array] | None:
        """The chunks, if all of them are in memory; else None, and none counts as used."""
        entries = []
        for key in keys:
            entry = self._entries.get(key)
            if entry is None:
                return None
            entries.append(entry)
        return [self._use(entry) for entry in entries]

    def _use(self, entry: _Entry) -> Array:
        self._hits += 1
        if entry.uses < _MOST_USES:
            entry.uses += 1
        return entry.chunk

    def missed(self) -> None:
        """Count a miss of a chunk that is not loaded through this cache."""
        self._misses += 1

    async def load(
        self,
        key: ChunkKey,
        make: Callable[[], Coroutine[object, object, Chunk]],
        *,
        passing: bool = False,
    ) -> Chunk:
        """The chunk that ``make()`` returns, or a load that already runs; then it is kept.

        One that is loaded in `passing` goes to the queue for those.

        ``make()`` is cancelled when its last caller is. What it raises is raised for all who wait,
        and the next caller tries again.
        """
        entry = self._entries.get(key)
        if entry is not None:  # it may have landed after the caller had looked
            if passing:
                self._hits += 1
                return entry.chunk
            return self._use(entry)
        self._misses += 1

        async def made() -> Chunk:
            chunk = await make()
            if isinstance(chunk, Absent):
                return chunk
            chunk = _own(chunk)
            if chunk.dtype.kind == "O" and chunk.size > _WEIGHED_AT_ONCE:
                await self._keep_many(key, chunk, passing)
            else:
                self.keep(key, chunk, passing=passing)
            return chunk

        return await self._flight.do(key, made)

    def keep(self, key: ChunkKey, chunk: Array, *, passing: bool = False) -> None:
        """Keep `chunk`, unless it is too large; others are evicted for it."""
        self._keep(key, chunk, _held_bytes(chunk), passing)

    async def _keep_many(self, key: ChunkKey, chunk: Array, passing: bool) -> None:
        """As `keep`, for so many objects that the loop has rounds while their sizes are summed."""
        held = ENTRY_BYTES + chunk.nbytes
        for start in range(0, chunk.size, _WEIGHED_AT_ONCE):
            if not self.would_keep(held):
                return
            held += sum(map(getsizeof, chunk.flat[start : start + _WEIGHED_AT_ONCE]))
            await asyncio.sleep(0)
        self._keep(key, chunk, held, passing)

    def _keep(self, key: ChunkKey, chunk: Array, held: int, passing: bool) -> None:
        if key in self._entries or held > self._budget // _LARGEST_SHARE:
            return
        while self._held + held > self._budget:
            self._step()
        if passing:
            self._passing.append(key)
            self._held_passing += held
        elif key in self._ghosts:
            del self._ghosts[key]
            self._main.append(key)
        else:
            self._small.append(key)
            self._held_small += held
        self._entries[key] = _Entry(chunk, held)
        self._held += held

    def would_keep(self, chunk_bytes: int) -> bool:
        """Whether an array of so many bytes is small enough to be kept."""
        return chunk_bytes + ENTRY_BYTES <= self._budget // _LARGEST_SHARE

    def judge(self, chunks: int, chunk_bytes: int) -> tuple[bool, bool]:
        """Whether a reading of so many chunks is wide, and whether it is larger than the budget.

        A wide one would evict too much for a reader who may not come again.
        """
        nbytes = chunks * chunk_bytes
        return chunks >= _MANY and nbytes > self._budget // _WIDE_SHARE, nbytes > self._budget

    def seen_recently(self, key: ChunkKey) -> bool:
        """Whether `key` is or was here, or was asked about before; remembers that it was asked."""
        if key in self._ghosts or key in self._entries:
            return True
        self._remember(key)
        return False

    def lookups(self) -> ChunksLookedUp:
        """Hits, misses and evictions since the last call, and the bytes that are held now."""
        told = ChunksLookedUp(self._hits, self._misses, self._evictions, self._held)
        self._hits = self._misses = self._evictions = 0
        return told

    def _step(self) -> None:
        """Evict one chunk, or move one a step nearer to that."""
        if self._passing and self._held_passing * _PASSING_SHARE > self._budget:
            self._leave_passing()
        elif self._small and (self._held_small * _SMALL_SHARE > self._budget or not self._main):
            self._leave_small()
        elif self._main:
            self._leave_main()
        else:
            self._leave_passing()

    def _leave_passing(self) -> None:
        """Evict the oldest chunk read in passing, unless it was used otherwise meanwhile."""
        key = self._passing.popleft()
        entry = self._entries[key]
        self._held_passing -= entry.held_bytes
        if not entry.uses:
            self._drop(key)
            return
        # Its first use stands for the load that it saved.
        entry.uses -= 1
        self._small.append(key)
        self._held_small += entry.held_bytes

    def _leave_small(self) -> None:
        key = self._small.popleft()
        entry = self._entries[key]
        self._held_small -= entry.held_bytes
        if entry.uses > 1:
            self._main.append(key)
            return
        self._drop(key)
        self._remember(key)

    def _remember(self, key: ChunkKey) -> None:
        self._ghosts[key] = None
        while len(self._ghosts) > max(len(self._entries), _LEAST_GHOSTS):
            self._ghosts.popitem(last=False)

    def _leave_main(self) -> None:
        key = self._main.popleft()
        entry = self._entries[key]
        if entry.uses:
            entry.uses -= 1
            self._main.append(key)
        else:
            self._drop(key)

    def _drop(self, key: ChunkKey) -> None:
        self._held -= self._entries.pop(key).held_bytes
        self._evictions += 1


def _own(chunk: Array) -> Array:
    """`chunk`, read-only, and copied if it would keep a larger buffer alive."""
    owner: object = chunk
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    size = owner.nbytes if isinstance(owner, np.ndarray) else None
    size = len(owner) if isinstance(owner, bytes) else size
    if size != chunk.nbytes:
        # A part of a larger buffer, or of one that we cannot measure.
        chunk = chunk.copy(order="K")
    chunk.flags.writeable = False
    return chunk


def _held_bytes(chunk: Array) -> int:
    """The memory of `chunk` and its entry; texts of variable length lie outside the array."""
    beside = 0
    if chunk.dtype.kind == "O":
        beside = sum(getsizeof(value) for value in chunk.flat)
    elif chunk.dtype.kind == "T":
        beside = 4 * int(np.strings.str_len(chunk).sum())  # UTF-8: four bytes at most
    return ENTRY_BYTES + chunk.nbytes + beside
