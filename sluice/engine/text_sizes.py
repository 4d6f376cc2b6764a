"""How long an answer will be as a text, told before it is written.

A text is as long as its values are: what is known of them (see `sluice.engine.learned`) says how
long it is likely to be, and between what it is for sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import xarray as xr

from sluice.aliases import Array, DType, NamedDict, record
from sluice.datasets._xarray import dataset_of, variable_of
from sluice.encoders.answer_schema import AnswerVariable
from sluice.encoders.encoder import Encoder
from sluice.encoders.table_encoders import json_fields
from sluice.encoders.tables import Column, layout_of
from sluice.encoders.text_tables import TextRows
from sluice.engine.learned import Learned, bounds_of, box_of
from sluice.engine.plan import Plan

# So many values that are in memory are written to tell how long all of them are.
_WRITTEN: Final = 2**13
# Standard deviations that nearly no mean is beyond, and the part of a size that they may be.
_SURE: Final = 3.5
# (Less than a tenth: what is told is rounded.)
_WITHIN: Final = 0.095
# The logarithm of how rarely so many values have nothing of what others have.
_RARE: Final = 7.0

# The texts of the values of a column; they may have more before them, but for values all the same.
Fields: TypeAlias = Callable[[Column, Array], list[str]]


@record
class _Length:
    """The likely sum of the lengths of texts, in bytes, and between what it is for sure."""

    likely: float
    least: float
    most: float

    def times(self, factor: float, more: float = 0.0) -> _Length:
        """So often as long, and `more`."""
        ends = (self.likely, self.least, self.most)
        return _Length(*(length * factor + more for length in ends))

    def plus(self, other: _Length) -> _Length:
        return _Length(self.likely + other.likely, self.least + other.least, self.most + other.most)

    @property
    def told(self) -> tuple[int, bool]:
        """The length that is told, and whether it is rough: a tenth off, or more."""
        low, high = (1 - _WITHIN) * self.most, (1 + _WITHIN) * self.least
        if low > high:
            return round(self.likely), True
        return round(min(max(self.likely, low), high)), False


def estimated_size(encoder: Encoder, plan: Plan, learned: Learned) -> tuple[int, bool]:
    """The likely bytes of the answer in a format of text, and whether they are rough.

    They are not where what is known of values bounds them: all labels, and what `learned` has of
    others. Writes some thousand values.
    """
    rows = encoder.rows
    by = _by_rows if encoder.grows == "rows" else _by_cells
    return by(
        encoder, plan, learned, rows.fields if isinstance(rows, TextRows) else _json_fields
    ).told


def _json_fields(column: Column, values: Array) -> list[str]:
    return json_fields(values)


def _by_cells(encoder: Encoder, plan: Plan, learned: Learned, fields: Fields) -> _Length:
    """Of a format that has the values of each variable as nested lists."""
    schema = plan.schema
    empty = len(encoder.encode(_stand_in(plan, dict.fromkeys(schema.sizes, 0), schema.sizes)))
    total = _Length(empty, empty, empty)
    for name, variable in schema.variables.items():
        column = Column("", name, variable.dims, 0)
        found = _column(plan, learned, column, fields, 0)
        if variable.dims:
            total = total.plus(found.times(1, _brackets(variable.shape) - len("[]")))
        else:
            total = total.plus(found.times(1, -sum(_lengths(fields, column, _zero(variable)))))
    return total


def _brackets(shape: Sequence[int]) -> int:
    """The letters around the values of nested lists: the brackets of each, and commas."""
    lists, total = 1, 0
    for length in shape:
        total += lists * (2 + max(0, length - 1))
        lists *= length
    return total


def _by_rows(encoder: Encoder, plan: Plan, learned: Learned, fields: Fields) -> _Length:
    """Of a format that has a row for each cell, and all variables in each."""
    schema, layout = plan.schema, layout_of(plan.schema)
    one = len(encoder.encode(_stand_in(plan, {d: min(1, n) for d, n in schema.sizes.items()})))
    if layout.count == 0:
        return _Length(one, one, one)
    around, blank = len(layout.columns), 0
    if isinstance(encoder.rows, TextRows):
        # What one more row has beside its fields, and what a row of nothing has in place of it.
        around = len(encoder.rows.lines([["x"]] * around)) - around
        blank = len(encoder.rows.lines([[""]] * len(layout.columns))) - around
    one += around * (layout.count - 1)
    total = _Length(one, one, one)
    for column in layout.columns:
        shape = [schema.sizes[dim] for dim in column.dims]
        values: Array = np.zeros(1, int)
        if column.variable is not None:
            values = _zero(schema.variables[column.variable])
        first = sum(_lengths(fields, column, values, blank))
        found = _column(plan, learned, column, fields, blank)
        total = total.plus(found.times(layout.count / max(1, math.prod(shape)), -first))
    return total


def _column(plan: Plan, learned: Learned, column: Column, fields: Fields, blank: int) -> _Length:
    """The texts of all values of a variable, or of positions."""
    name, reading = column.variable, plan.reading
    # What every text has before it.
    before = sum(_lengths(fields, column, np.zeros(1, bool))) - len("false")
    if name is None:
        length = plan.schema.sizes[column.dims[0]]
        total = _digits(length) + before * length
        return _Length(total, total, total)
    values = plan.labels.get(str(name))
    if values is None and name in reading.variables and name not in plan.moving:
        values = reading.variables[name].values
    if values is not None:
        return _of_values(fields, column, values.reshape(-1), before, blank)
    variable = plan.schema.variables[name]
    cells, dtype = math.prod(variable.shape), variable.dtype
    ends, box = _ends(dtype, before), box_of(plan, name)
    guessed = float(np.mean(_lengths(fields, column, _guessed(dtype), blank)))
    best = _Length(cells * guessed, *((0.0, 0.0) if not cells else (cells * n for n in ends)))
    if box is None:
        return best
    for sample in learned.samples(name):
        values = sample.within(box)
        if len(values):
            lengths = _lengths(fields, column, values, blank)
            even = len(values) == len(sample.values)
            found = _spread(lengths, sample.shared(box), cells, ends, whole=sample.whole, even=even)
            best = min(best, found, key=lambda one: one.most - one.least)
    return best


def _digits(length: int) -> int:
    """The digits of all whole numbers below `length`."""
    total, tens = length, 10
    while tens < length:
        total, tens = total + length - tens, 10 * tens
    return total


def _ends(dtype: DType, before: int) -> tuple[float, float]:
    bounds = bounds_of(dtype)
    return (0.0, math.inf) if bounds is None else (bounds[0] + before, bounds[1] + before)


def _spread(
    lengths: Sequence[int],
    shared: int,
    cells: int,
    ends: tuple[float, float],
    *,
    whole: bool,
    even: bool,
) -> _Length:
    """The texts of `cells`, some of which have these lengths: the `whole` of those that are
    `shared`, or of them some all over, in their order one of each part if they lie `even`. Nothing
    has a length beyond the `ends`.
    """
    mean, (least, most), rest = float(np.mean(lengths)), ends, cells - shared
    low = high = mean
    if not whole:
        deviation = float(np.std(lengths))
        if even:
            # What differs from part to part is no matter of chance (Cochran, "Sampling
            # Techniques", 5A.12: collapsed strata).
            steps = np.diff(lengths, append=lengths[:1])
            deviation = min(deviation, float(np.sqrt(np.mean(steps**2) / 2)))
        # By Bernstein's inequality, roughly.
        off = _SURE * deviation / math.sqrt(len(lengths))
        off += _RARE * max(most - mean, mean - least) / len(lengths)
        low, high = max(least, mean - off), min(most, mean + off)
    return _Length(
        cells * mean,
        shared * low + (rest * least if rest else 0),
        shared * high + (rest * most if rest else 0),
    )


def _of_values(fields: Fields, column: Column, values: Array, before: int, blank: int) -> _Length:
    """Of values in memory: of all of them, or of some all over where they are many."""
    size, ends = values.size, _ends(values.dtype, before)
    if whole := size <= _WRITTEN or math.isinf(ends[1]):
        total = sum(_lengths(fields, column, values, blank))
        return _Length(total, total, total)
    picked = values[np.random.default_rng(0).integers(size, size=_WRITTEN)]
    return _spread(
        _lengths(fields, column, picked, blank), size, size, ends, whole=whole, even=False
    )


def _lengths(fields: Fields, column: Column, values: Array, blank: int = 0) -> list[int]:
    """The bytes of the text of each value; `blank` is what counts for none."""
    texts = fields(column, values) if len(values) else []
    return [len(t if t.isascii() else t.encode()) or blank for t in texts]


def _zero(variable: AnswerVariable) -> Array:
    return np.zeros(1, variable.dtype)


def _stand_in(
    plan: Plan, lengths: Mapping[Hashable, int], sizes: Mapping[Hashable, int] | None = None
) -> xr.Dataset:
    """The answer of zeros, so long along each dimension; it says that it has these `sizes`."""
    reading, schema = plan.reading, plan.schema
    found: NamedDict = {}
    for name, variable in schema.variables.items():
        held = name in reading.variables
        known = reading.variables[name] if held else reading.pending[name]
        some = np.zeros([lengths[dim] for dim in variable.dims], variable.dtype)
        found[name] = variable_of(variable.dims, some, known.attrs, known.encoding)
    # Not by xarray's constructors, which warn of dimensions that a variable has twice.
    coord_names, told = set(schema.coord_names), dict(sizes or lengths)
    return dataset_of(xr.Dataset, found, coord_names, told, dict(reading.attrs), {}, {})


def _guessed(dtype: DType) -> Array:
    """Values such as there are many, in place of those that nobody has read."""
    random = np.random.default_rng(0)
    match dtype.kind:
        case "i" | "u":
            return random.integers(0, min(np.iinfo(dtype).max, 10_000), _WRITTEN).astype(dtype)
        case "b":
            return random.integers(0, 2, _WRITTEN).astype(dtype)
        case "f" | "c":
            return (random.normal(size=_WRITTEN) * 100).astype(dtype)
        case "M" | "m":
            hours = random.integers(0, 10**5, _WRITTEN)
            return (hours * np.timedelta64(1, "h")).astype(dtype.str.replace("M", "m")).view(dtype)
        case "U" | "S":
            return np.full(_WRITTEN, "x" * 16).astype(dtype)
        case _:
            return np.full(_WRITTEN, "x" * 16, dtype=object)
