"""What answers of a dataset have shown of it: values of its variables, and how fast work goes.

A few values of each variable that was answered are kept, with their places: what is told of others
from them is sure only where it lies among them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from sluice.aliases import Array, record
from sluice.arrays.texts import text_bytes
from sluice.datasets.indexers import ALL
from sluice.encoders.answer_schema import AnswerVariable
from sluice.engine.plan import Plan
from sluice.instrumentation import Phases

# So many values tell the mean length of all within a few percent.
_SAMPLED: Final = 768
_SAMPLED_TEXT_BYTES: Final = 2**14
# Of so many variables values are kept, and of so many boxes of each: ten MiB of numbers.
_MOST_VARIABLES: Final = 256
_MOST_BOXES: Final = 3
# So many values next to a place tell what is there.
_FEW: Final = 32
# Of positions that are fewer than one in so many it is not known what lies between them.
_THIN: Final = 16
_NONE: Final[Array] = np.empty(0)
# What was measured last counts for so much beside all that was before.
_NEWEST: Final = 0.3
# Shorter work is measured badly.
_LEAST_BYTES: Final = 2**18
# A slow store and a busy core: what is said as long as nothing was measured.
_READ_PACE: Final = 1 / 100e6
_WRITE_PACE: Final = 1 / 50e6


@record
class _Sample:
    """Some `values` of a box of a variable that was answered, in no order, of so many `cells`.

    `places` has a row for each, its position along each dimension of the store; `starts` and
    `stops` are the ends of the box. What is `scattered` in it tells nothing of what lies between.
    """

    values: Array
    places: Array
    starts: Array
    stops: Array
    cells: int
    scattered: bool

    def covers(self, other: _Sample) -> bool:
        """Whether all of the other box is in this one."""
        inside = (self.starts <= other.starts) & (other.stops <= self.stops)
        return not self.scattered and bool(inside.all())

    def joined(self, other: _Sample) -> _Sample | None:
        """One sample of both boxes, where together they are a box; else None."""
        apart = (self.starts != other.starts) | (self.stops != other.stops)
        touching = (self.starts <= other.stops) & (other.starts <= self.stops)
        if self.scattered or other.scattered or apart.sum() > 1 or not touching.all():
            return None
        cells = self.cells + other.cells
        own = round(_SAMPLED * self.cells / cells)
        values = np.concatenate([self.values[:own], other.values[: _SAMPLED - own]])
        places = np.concatenate([self.places[:own], other.places[: _SAMPLED - own]])
        order = np.random.default_rng(0).permutation(len(values))
        starts = np.minimum(self.starts, other.starts)
        stops = np.maximum(self.stops, other.stops)
        return _Sample(values[order], places[order], starts, stops, cells, scattered=False)

    def near(self, starts: Array, stops: Array) -> Array:
        """The values in a part of the box, or the nearest ones where there are few."""
        outside = np.maximum(np.maximum(starts - self.places, self.places - stops + 1), 0)
        distances = (outside / np.maximum(1, self.stops - self.starts)).sum(axis=1)
        inside = np.flatnonzero(distances == 0)
        if len(inside) >= _FEW:
            return self.values[inside]
        return self.values[np.argsort(distances, kind="stable")[:_FEW]]


class Learned:
    """What answers of one dataset have shown: values of its variables, and how fast work goes."""

    def __init__(self) -> None:
        self._samples: dict[Hashable, tuple[_Sample, ...]] = {}
        self._paces: dict[str, float] = {}

    def see_values(
        self,
        plan: Plan,
        variables: Mapping[Hashable, xr.Variable],
        dim: Hashable | None = None,
        start: int = 0,
    ) -> None:
        """These variables of a planned answer were read, decoded; along `dim` from `start` on."""
        for name in plan.reading.pending.keys() & variables.keys():
            variable = variables[name]
            if not variable.size:
                continue
            # The one that was seen first makes room.
            while len(self._samples) >= _MOST_VARIABLES and name not in self._samples:
                del self._samples[next(iter(self._samples))]
            known, seen = self._samples.get(name, ()), _sampled(plan, name, variable, (dim, start))
            if not any(one.covers(seen) for one in known):
                self._samples[name] = _with(known, seen)

    def sample(self, plan: Plan, name: Hashable) -> tuple[Array | None, bool]:
        """Some values of a variable like those of the answer, and whether all of it was seen.

        None where no values of it were answered yet.
        """
        known, variable = self._samples.get(name), plan.schema.variables[name]
        if not known:
            return None, False
        box = _sampled(plan, name, variable)
        around = [one for one in known if one.covers(box)]
        values = max(around or known, key=lambda one: one.cells).near(box.starts, box.stops)
        return values, bool(around)

    def see_pace(self, work: str, nbytes: float, seconds: float) -> None:
        """So many bytes took so long: decoded ones to be read, those of a format to be written."""
        if nbytes >= _LEAST_BYTES and seconds > 0:
            pace = seconds / nbytes
            known = self._paces.get(work, pace)
            self._paces[work] = known + _NEWEST * (pace - known)

    def see_reading(self, plan: Plan, phases: Phases) -> None:
        """The chunks of a planned answer that were not in memory were read in these phases."""
        seconds = max(phases.seconds.get("fetch", 0.0), phases.seconds.get("decode", 0.0))
        self.see_pace("read", phases.misses * plan.chunk_bytes / max(1, plan.chunks), seconds)

    def seconds(self, decoded_bytes: int, form: str, nbytes: int) -> tuple[float, bool]:
        """How long it takes to read so much and to write `nbytes`, and whether that is rough."""
        paces = ((decoded_bytes, "read", _READ_PACE), (nbytes, form, _WRITE_PACE))
        # A moment of either is nothing to be measured.
        rough = any(size >= _LEAST_BYTES and work not in self._paces for size, work, _ in paces)
        return sum([size * self._paces.get(work, pace) for size, work, pace in paces]), rough


def _with(known: tuple[_Sample, ...], seen: _Sample) -> tuple[_Sample, ...]:
    """The samples of a variable with one more, as few as they can be: the smallest makes room."""
    kept = []
    for one in known:
        both = None if seen.covers(one) else one.joined(seen)
        if both is not None:
            seen = both
        elif not seen.covers(one):
            kept.append(one)
    return tuple(sorted([seen, *kept], key=lambda one: -one.cells)[:_MOST_BOXES])


def _along(
    plan: Plan, name: Hashable, dims: Sequence[Hashable]
) -> Iterator[tuple[Hashable, range | Array]]:
    """For each dimension of a variable of the store: to what positions the answer goes along it,
    and along which of its own `dims`; None where it has none for it.
    """
    found, stored = plan.found, plan.prepared.dataset.variables[name].dims
    for dim in stored:
        key: Any = found.positions.get(str(dim), ALL)
        if isinstance(key, np.ndarray):
            # Points have a dimension of their own.
            own = next((one for one in dims if one not in stored), None)
            yield (own if str(dim) in found.pointwise else dim), key
        elif isinstance(key, slice):
            yield dim, range(plan.prepared.sizes[str(dim)])[key]
        else:
            yield None, range(int(key), int(key) + 1)


def _sampled(
    plan: Plan, name: Hashable, variable: AnswerVariable, cut: tuple[Hashable, int] = (None, 0)
) -> _Sample:
    """A few values of a variable of an answer, and where they lie; none of one not yet read.

    Of the answer it has what begins along a dimension at a position: the `cut`.
    """
    held = isinstance(variable, xr.Variable)
    picked = _picked(variable.shape) if held else tuple(np.empty(0, int) for _ in variable.shape)
    axes = {dim: axis for axis, dim in enumerate(variable.dims)}
    starts, stops, places, scattered = [], [], [], bool(plan.found.pointwise)
    many = max(map(len, picked)) if picked else int(held)
    for dim, positions in _along(plan, name, variable.dims):
        found = np.zeros(many, int)
        if dim in axes:
            first = cut[1] if dim == cut[0] else 0
            positions = positions[first : first + variable.shape[axes[dim]]]
            found = picked[axes[dim]]
        ordered = isinstance(positions, range)
        ends = (positions[0], positions[-1]) if ordered and positions else (0, -1)
        if isinstance(positions, np.ndarray) and len(positions):
            ends = int(positions.min()), int(positions.max())
        starts.append(min(ends))
        stops.append(max(ends) + 1)
        scattered |= len(positions) < min(_FEW, (stops[-1] - starts[-1]) / _THIN)
        if isinstance(positions, range):
            places.append(positions.start + positions.step * found)
        else:
            places.append(positions[found])
    values = _some(variable.values, picked) if isinstance(variable, xr.Variable) else _NONE
    rows = np.array(places, int).reshape(len(places), many).T[: len(values)]
    cells = math.prod(variable.shape)
    return _Sample(values, rows, np.array(starts, int), np.array(stops, int), cells, scattered)


def _picked(shape: Sequence[int]) -> tuple[Array, ...]:
    """Where some values lie, all over and in no order, along each dimension."""
    if not shape:
        # The one value: NumPy unravels no list of indexes to none.
        return ()
    size, random = math.prod(shape), np.random.default_rng(0)
    places = np.arange(size)
    if size > _SAMPLED:
        # One of each part: what lies in blocks counts for what it has.
        places = ((np.arange(_SAMPLED) + random.random(_SAMPLED)) * (size / _SAMPLED)).astype(int)
    return np.unravel_index(random.permutation(places), tuple(shape))


def _some(values: Array, places: tuple[Array, ...]) -> Array:
    """The values there in one dimension, of their own; fewer where they are long texts."""
    # (Iterators of NumPy know no texts of variable length.)
    picked: Array = values[places] if values.ndim else values[None]
    texts = text_bytes(picked)
    if texts > _SAMPLED_TEXT_BYTES:
        picked = picked[: max(1, picked.size * _SAMPLED_TEXT_BYTES // texts)]
    return np.array(picked)
