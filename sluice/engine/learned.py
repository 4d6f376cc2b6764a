"""Statistics of past answers, from which sizes and times of new ones are estimated.

Of each dataset are kept: samples of values of the variables that were answered, with their places;
the sizes of answers; and how fast reading and writing went. The size of a new answer in a text
format is estimated by the sampled values that lie within it (see `sluice.engine.text_sizes`).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from sluice.aliases import Array, DType, record
from sluice.arrays.texts import text_bytes
from sluice.axes.axis import Indexer
from sluice.datasets.indexers import ALL
from sluice.datasets.layout import StoredVariable
from sluice.engine.plan import Plan
from sluice.engine.slabs import Cut, Slab
from sluice.instrumentation import Phases

# The size of a sample: it gives the mean length of all values within a few percent.
_SAMPLED: Final = 2048
_SAMPLED_TEXT_BYTES: Final = 2**14
# Samples are kept of so many variables, and of so many boxes of each: five MiB of numbers.
_MOST_VARIABLES: Final = 64
_MOST_BOXES: Final = 3
_MOST_SIZES: Final = 512
# So many positions of a list are compared one by one; longer lists count as nothing in common.
_MOST_POSITIONS: Final = 2**22
# Sampling so few variables takes a millisecond.
_FEW_VARIABLES: Final = 16
# The weight of the last measurement beside the mean of all before it.
_NEWEST: Final = 0.3
# Work on fewer bytes is too short to be measured.
_LEAST_BYTES: Final = 2**18
# Seconds per byte before anything was measured: those of a slow store and a busy core.
_READ_PACE: Final = 1 / 100e6
_WRITE_PACE: Final = 1 / 50e6

# The positions along each dimension of a stored variable that an answer takes.
StoreBox: TypeAlias = tuple[range | NDArray[np.int64], ...]


@record
class Sample:
    """Some `values` of a `box` of a variable that was answered; all of them if it is `whole`.

    `places` are their numbers among the cells of the box in C order.
    """

    box: StoreBox
    values: Array
    places: NDArray[np.integer[Any]]
    whole: bool

    @property
    def nbytes(self) -> int:
        """The memory of its arrays."""
        lists = [positions for positions in self.box if isinstance(positions, np.ndarray)]
        return sum([array.nbytes for array in (self.values, self.places, *lists)])

    def shared(self, other: StoreBox) -> int:
        """How many cells this box and the `other` have in common."""
        both = zip(self.box, other, strict=True)
        return math.prod([_common(own, asked) for own, asked in both])

    def within(self, other: StoreBox) -> Array:
        """The sampled values that lie in the other box as well."""
        if not self.box:
            return self.values
        shape = tuple(map(len, self.box))
        inside = np.ones(len(self.places), bool)
        found = np.unravel_index(self.places.astype(np.int64), shape)
        for own, asked, indexes in zip(self.box, other, found, strict=True):
            if own is not asked:
                inside &= _has(asked, _at(own, indexes))
        return self.values[inside]


def _common(own: range | Array, asked: range | Array) -> int:
    """How many of the `asked` positions are among the `own`; 0 where counting would take long."""
    if isinstance(own, range) and isinstance(asked, range) and own.step in (1, -1):
        step = abs(asked.step)
        first = _start(asked)
        first += max(0, -(-(_start(own) - first) // step)) * step
        return len(range(first, min(_stop(own), _stop(asked)), step))
    if len(asked) > _MOST_POSITIONS:
        return 0
    return int(_has(own, np.asarray(asked, np.int64)).sum())


def _start(positions: range) -> int:
    return min(positions[0], positions[-1]) if positions else 0


def _stop(positions: range) -> int:
    return max(positions[0], positions[-1]) + 1 if positions else 0


def _has(positions: range | Array, wanted: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For each of the `wanted` positions, whether it is among these."""
    if isinstance(positions, range):
        between = (wanted >= _start(positions)) & (wanted < _stop(positions))
        between &= (wanted - positions.start) % positions.step == 0
        return between
    found: NDArray[np.bool_] = np.isin(wanted, positions)
    return found


def _at(positions: range | Array, indexes: NDArray[np.int64]) -> NDArray[np.int64]:
    if isinstance(positions, range):
        return positions.start + positions.step * indexes
    found: NDArray[np.int64] = positions[indexes]
    return found


def box_of(plan: Plan, name: Hashable) -> StoreBox | None:
    """The box of the store in which a variable of the answer lies.

    None where it is not a box: for points, repeated positions, and coordinates that answer under
    other labels.
    """
    found, moving = plan.found, plan.moving
    dims = plan.prepared.dataset.variables[name].dims
    if name in moving or not set(found.pointwise).isdisjoint(map(str, dims)):
        return None
    box: list[range | NDArray[np.int64]] = []
    for dim in dims:
        key: Indexer = found.positions.get(str(dim), ALL)
        if isinstance(key, np.ndarray):
            if len(np.unique(key)) < len(key):
                return None
            box.append(key)
        elif isinstance(key, slice):
            box.append(range(plan.prepared.sizes[str(dim)])[key])
        else:
            box.append(range(int(key), int(key) + 1))
    return tuple(box)


def bounds_of(dtype: DType) -> tuple[int, int] | None:
    """The fewest and the most characters of a value of this type in a text; None without a most.

    The fewest are 0 where a missing value is an empty text.
    """
    match dtype.kind:
        case "b":
            return 4, 5
        case "i" | "u":
            limits = np.iinfo(dtype)
            return 1, max(len(str(limits.min)), len(str(limits.max)))
        case "f":
            # -2.2250738585072014e-308, and -1.17549435e-38.
            return 0, 16 if dtype.itemsize == 4 else 24
        case "M":
            # "2000-01-01T00:00:00.000000001Z", and years of up to 17 digits with a sign.
            return 0, 40
        case _:
            return None


class Sampler:
    """Samples the values of one answer, whole or in parts, for `learned` to keep when `done`."""

    def __init__(self, learned: Learned, plan: Plan) -> None:
        self._learned = learned
        self._plan = plan
        self._random = np.random.default_rng(0)
        self._boxes: dict[Hashable, StoreBox] = {}
        self._parts: dict[Hashable, set[tuple[int, ...]]] = {}
        self._seen: dict[Hashable, list[tuple[Array, NDArray[np.int64]]]] = {}

    async def see(self, slab: Slab) -> None:
        """Take samples of a part of the answer, decoded."""
        if len(slab.variables) > _FEW_VARIABLES:
            await asyncio.to_thread(self._see, slab.cut, slab.variables)
        else:
            self._see(slab.cut, slab.variables)

    def _see(self, cut: Cut, variables: Mapping[Hashable, xr.Variable]) -> None:
        for name in variables:
            if not isinstance(self._plan.prepared.layout.variables[name], StoredVariable):
                continue
            box = box_of(self._plan, name) if name not in self._boxes else self._boxes[name]
            shape, values = self._plan.schema.variables[name].shape, variables[name].values
            cells = math.prod(shape)
            # Types without bounds can be of any length: a sample tells nothing of the rest.
            if box is None or (cells > _SAMPLED and bounds_of(values.dtype) is None):
                continue
            self._boxes[name] = box
            ranges = {} if name in cut.whole else cut.ranges
            first = tuple(ranges[d].start if d in ranges else 0 for d in variables[name].dims)
            if first in self._parts.setdefault(name, set()):
                # The part was read again, for other variables beside it.
                continue
            self._parts[name].add(first)
            own = self._picked(values, cells)
            at = np.unravel_index(own, values.shape) if shape else ()
            places = [found + start for found, start in zip(at, first, strict=True)]
            flat = np.ravel_multi_index(tuple(places), shape) if shape else own
            # (Iterators of NumPy know no texts of variable length.)
            picked = values[at] if shape else values[None][own]
            self._seen.setdefault(name, []).append((np.array(picked), np.asarray(flat)))

    def _picked(self, values: Array, cells: int) -> NDArray[np.int64]:
        """Which values to sample, spread evenly: this part's share of a sample of all `cells`."""
        if cells <= _SAMPLED:
            return np.arange(values.size)
        count = int(_SAMPLED * values.size / cells + self._random.random())
        # One from each of equal stretches, so that blocks of equal values get their share.
        at = (np.arange(count) + self._random.random(count)) * (values.size / max(1, count))
        return np.minimum(at.astype(np.int64), values.size - 1)

    def done(self) -> None:
        """The whole answer was seen: keep the samples."""
        for name, parts in self._seen.items():
            values = np.concatenate([part for part, _ in parts])
            if not len(values) or text_bytes(values) > _SAMPLED_TEXT_BYTES:
                continue
            cells = math.prod(self._plan.schema.variables[name].shape)
            places = np.concatenate([found for _, found in parts])
            places, whole = places.astype(np.min_scalar_type(cells)), cells <= _SAMPLED
            self._learned.keep(name, Sample(self._boxes[name], values, places, whole))


class Learned:
    """The statistics of one dataset's answers: samples of values, sizes, and paces of work."""

    def __init__(self) -> None:
        self._samples: dict[Hashable, tuple[Sample, ...]] = {}
        # The memory of all samples, but for what their texts have outside of arrays.
        self.nbytes = 0
        self._sizes: dict[str, int] = {}
        self._paces: dict[str, float] = {}

    async def see_values(self, plan: Plan, variables: Mapping[Hashable, xr.Variable]) -> None:
        """Sample the `variables` of a planned answer that was read whole, decoded."""
        sampler = Sampler(self, plan)
        await sampler.see(Slab(Cut(tuple(variables), {}, frozenset(variables), True), variables))
        sampler.done()

    def keep(self, name: Hashable, sample: Sample) -> None:
        """Keep a sample, unless a better one is known; worse ones and the oldest make room."""
        while len(self._samples) >= _MOST_VARIABLES and name not in self._samples:
            self._replace(next(iter(self._samples)), ())
        known, cells = self._samples.get(name, ()), math.prod(map(len, sample.box))
        for one in known:
            # (A smaller box of which all values are known is better than a sample around it.)
            if one.shared(sample.box) == cells and (one.whole or not sample.whole):
                return
        kept = [
            one
            for one in known
            if (one.whole and not sample.whole)
            or sample.shared(one.box) < math.prod(map(len, one.box))
        ]
        # The smallest boxes make room: large ones have more in common with others.
        kept.sort(key=lambda one: math.prod(map(len, one.box)))
        self._replace(name, (*kept[1 - _MOST_BOXES :], sample))

    def _replace(self, name: Hashable, samples: tuple[Sample, ...]) -> None:
        """Keep these of a variable, and no others."""
        before = self._samples.get(name, ())
        self._samples[name] = samples
        if not samples:
            del self._samples[name]
        self.nbytes += sum(one.nbytes for one in samples) - sum(one.nbytes for one in before)

    def samples(self, name: Hashable) -> Iterator[Sample]:
        """The samples of a variable, the newest first."""
        return reversed(self._samples.get(name, ()))

    def see_size(self, tag: str, nbytes: int) -> None:
        """The answer with this entity tag has `nbytes`, before any content coding."""
        if len(self._sizes) >= _MOST_SIZES and tag not in self._sizes:
            self._sizes.pop(next(iter(self._sizes)), None)
        self._sizes[tag] = nbytes

    def size(self, tag: str) -> int | None:
        """The size of the answer with this entity tag; None if it was never sent."""
        return self._sizes.get(tag)

    def see_pace(self, work: str, nbytes: float, seconds: float) -> None:
        """`work` on so many bytes took so long: "read" (decoded bytes), or a format's name."""
        if nbytes >= _LEAST_BYTES and seconds > 0:
            pace = seconds / nbytes
            known = self._paces.get(work, pace)
            self._paces[work] = known + _NEWEST * (pace - known)

    def see_reading(self, plan: Plan, phases: Phases) -> None:
        """Learn the pace of reading from the phases of a planned answer and its missed chunks."""
        seconds = max(phases.seconds.get("fetch", 0.0), phases.seconds.get("decode", 0.0))
        self.see_pace("read", phases.misses * plan.chunk_bytes / max(1, plan.chunks), seconds)

    def seconds(self, decoded_bytes: int, form: str, nbytes: int) -> tuple[float, bool]:
        """Seconds to read so much and to write `nbytes` as `form`; and whether that is a guess."""
        paces = ((decoded_bytes, "read", _READ_PACE), (nbytes, form, _WRITE_PACE))
        # What takes a moment needs no measurement.
        rough = any(size >= _LEAST_BYTES and work not in self._paces for size, work, _ in paces)
        return sum([size * self._paces.get(work, pace) for size, work, pace in paces]), rough
