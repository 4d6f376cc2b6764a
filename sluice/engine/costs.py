"""What it costs to read a planned answer: its chunks, how often each is decoded, and the memory.

All ways of reading are compared by where their parts end along each dimension: slabs of rows and
boxes of a file end at some positions of some dimensions, an answer that is read whole nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import field, replace
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import record
from sluice.datasets.copies import copies_in, read_from
from sluice.datasets.layout import Keys, Layout, StoredVariable
from sluice.datasets.lazy import VariableReadPlan, working_bytes
from sluice.datasets.read_plan import DatasetReadPlan
from sluice.engine.boxes import ChunkAxis, Ends, chunk_axes, distinct

# How many parts are in memory at once: the one that is being read, and the one before it.
AT_ONCE: Final = 2
# How often a chunk may be decoded for one answer, where the answer's order does not fit the chunks.
MOST_TIMES: Final = 4
# After which positions along each of its dimensions a variable is cut; the last is the length.
Stops: TypeAlias = Mapping[Hashable, Ends]


@record
class VariableCost:
    """What one variable costs in decoded chunks when it is read in parts.

    chunks: how many chunks it touches.
    chunk_bytes: the decoded size of each.
    decoded: how many chunks are decoded in all parts together, each time counted.
    most_times: how often the chunk is decoded that is decoded most often.
    at_once: the most chunks that one part touches.
    copy: the name of the rechunked copy it is read from; None for the dataset itself.
    """

    chunks: int
    chunk_bytes: int
    decoded: int
    most_times: int
    at_once: int
    copy: str | None = None

    def repeated(self, times: int) -> VariableCost:
        """The cost of reading it `times` times."""
        return replace(self, decoded=self.decoded * times, most_times=self.most_times * times)


@record
class Costs:
    """What it costs to read an answer in so many `parts`, variable by variable.

    `window_bytes` is the most that is in memory at once: two parts, and chunks being decoded.
    """

    parts: int
    window_bytes: int
    variables: Mapping[Hashable, VariableCost]

    @property
    def chunks(self) -> int:
        """How many chunks are touched."""
        return sum([cost.chunks for cost in self.variables.values()])

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of the touched chunks."""
        return sum([cost.chunks * cost.chunk_bytes for cost in self.variables.values()])

    @property
    def decoded_chunks(self) -> int:
        """How many chunks are decoded; one counts each time."""
        return sum([cost.decoded for cost in self.variables.values()])

    @property
    def decoded_bytes(self) -> int:
        """Bytes of all chunks that are decoded."""
        return sum([cost.decoded * cost.chunk_bytes for cost in self.variables.values()])

    @property
    def most_times(self) -> int:
        """How often the chunk is decoded that is decoded most often."""
        return max([cost.most_times for cost in self.variables.values()], default=0)

    def after(self, before: Costs) -> Costs:
        """The costs of this reading with another one `before` it, of some of its variables."""
        variables = dict(self.variables)
        for name, other in before.variables.items():
            own = variables[name]
            decoded, times = own.decoded + other.decoded, own.most_times + other.most_times
            at_once = max(own.at_once, other.at_once)
            variables[name] = replace(own, decoded=decoded, most_times=times, at_once=at_once)
        return Costs(self.parts, max(self.window_bytes, before.window_bytes), variables)


@record
class Parts:
    """How an answer is read in parts.

    count: how many parts there are.
    largest_bytes: the most bytes of one part.
    stops: where each variable is cut.
    together: whether the variables of a part are read at the same time.
    text_bytes: the likely bytes of texts, which lie outside of their arrays.
    repeats: how often each variable is read with all of its parts, where more than once.
    """

    count: int
    largest_bytes: int
    stops: Mapping[Hashable, Stops]
    together: bool
    text_bytes: int = 0
    repeats: Mapping[Hashable, int] = field(default_factory=dict)


def costs_of(layout: Layout, reading: DatasetReadPlan, parts: Parts) -> Costs:
    """What it costs to read an answer in these parts; reads nothing."""
    variables = {
        name: _variable_cost(
            layout, reading.keys_of(name) or {}, name, variable, parts.stops.get(name, {})
        ).repeated(parts.repeats.get(name, 1))
        for name, variable in reading.pending.items()
    }
    each = [(reading.pending[name], cost.at_once) for name, cost in variables.items()]
    alone = [working_bytes([one]) for one in each]
    working = working_bytes(each) if parts.together else max(alone, default=0)
    window = min(AT_ONCE, parts.count) * parts.largest_bytes + working + parts.text_bytes
    return Costs(parts.count, window, variables)


def _variable_cost(
    layout: Layout, keys: Keys, name: Hashable, variable: VariableReadPlan, stops: Stops
) -> VariableCost:
    chunks, nbytes = variable.plan.chunks, variable.array.meta.chunk_bytes
    decoded = at_once = chunks
    times, prepared = min(chunks, 1), layout.variables[name]
    for dim, ends in stops.items():
        if chunks and len(ends) > 1 and isinstance(prepared, StoredVariable):
            read = replace(prepared, array=variable.array)
            cut = _along(chunk_axes(read, keys, dim, layout.sizes), ends)
            decoded = decoded // cut.distinct * cut.decoded
            at_once = at_once // cut.distinct * cut.at_once
            times *= cut.most_times
    return VariableCost(chunks, nbytes, decoded, times, at_once, variable.array.copy)


@record
class _Cut:
    """The effect of the cuts along one dimension with `distinct` chunks; see `VariableCost`."""

    distinct: int
    decoded: int
    most_times: int
    at_once: int


def _along(axes: list[ChunkAxis], ends: Ends) -> _Cut:
    """The chunks along these axes, read together, in parts that end after the rows `ends`."""
    # Chunk and part are the same from one of these rows to the next.
    changes = [axis.changes() for axis in axes]
    begins = distinct(np.concatenate([[0], ends[:-1], *changes]).astype(np.int64))
    parts = np.searchsorted(ends, begins, side="right")
    places, count = _numbered(axes, begins)
    pairs = distinct(parts * count + places)
    times = int(np.bincount(pairs % count).max())
    return _Cut(count, pairs.size, times, int(np.bincount(pairs // count).max()))


def _numbered(axes: list[ChunkAxis], rows: Ends) -> tuple[Ends, int]:
    """For each of the rows the number of its chunk, from 0, and how many chunks there are."""
    places, count = np.zeros(len(rows), np.int64), 1
    for axis in axes:
        numbers = axis.numbers(rows)
        own = distinct(numbers)
        both = places * len(own) + np.searchsorted(own, numbers)
        found = distinct(both)
        places, count = np.searchsorted(found, both), len(found)
    return places, count


def least_decoded(
    layout: Layout, reading: DatasetReadPlan, cost: Callable[[DatasetReadPlan], Costs]
) -> DatasetReadPlan:
    """The same answer, with each variable read from where the fewest bytes are decoded for it.

    From the dataset or one of its rechunked copies, by preference where no chunk is decoded more
    than `MOST_TIMES`. `reading` itself where there are no copies.
    """
    names = copies_in(layout, reading)
    if len(names) == 1:
        return reading
    found = [read_from(layout, reading, copy) for copy in names]
    costs = [cost(one).variables for one in found]

    def least(name: Hashable) -> int:
        each = [one[name] for one in costs]
        # Of several that take as much the first one.
        ranks = [(one.most_times > MOST_TIMES, one.decoded * one.chunk_bytes) for one in each]
        return ranks.index(min(ranks))

    pending = {name: found[least(name)].pending[name] for name in reading.pending}
    return replace(reading, pending=pending)
