"""The estimated size of an answer in a text format, before it is written.

The length of a text follows from its values: sampled ones (see `sluice.engine.learned`) give the
likely size of an answer, and bounds that it lies within.
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

# How many values in memory are written, at most, to find the length of all.
_WRITTEN: Final = 2**13
# The bounds of a mean, in standard deviations of it.
_SURE: Final = 3.5
# An estimate is rough unless its bounds are within this part of it: a tenth, less what is rounded.
_WITHIN: Final = 0.095
# The weight of what a sample may have missed: minus the logarithm of a tolerated probability.
_RARE: Final = 7.0

# The texts of a column's values; each may have a fixed text before it.
Fields: TypeAlias = Callable[[Column, Array], list[str]]


@record
class _Length:
    """The `likely` sum of the lengths of texts, in bytes, and its bounds."""

    likely: float
    least: float
    most: float

    def times(self, factor: float, more: float = 0.0) -> _Length:
        """The length multiplied by `factor`, plus `more`."""
        ends = (self.likely, self.least, self.most)
        return _Length(*(length * factor + more for length in ends))

    def plus(self, other: _Length) -> _Length:
        """The sum of both."""
        return _Length(self.likely + other.likely, self.least + other.least, self.most + other.most)

    @property
    def told(self) -> tuple[int, bool]:
        """The estimate, and whether it is rough: it may be off by a tenth or more."""
        low, high = (1 - _WITHIN) * self.most, (1 + _WITHIN) * self.least
        if low > high:
            return round(self.likely), True
        return round(min(max(self.likely, low), high)), False


def estimated_size(encoder: Encoder, plan: Plan, learned: Learned) -> tuple[int, bool]:
    """The likely size in bytes of the answer in a text format, and whether it is rough.

    It is exact for what is in memory, such as labels; for other variables it depends on what
    `learned` has of them. Writes some thousand values.
    """
    rows = encoder.rows
    by = _by_rows if encoder.grows == "rows" else _by_cells
    return by(
        encoder, plan, learned, rows.fields if isinstance(rows, TextRows) else _json_fields
    ).told


def _json_fields(column: Column, values: Array) -> list[str]:
    return json_fields(values)


def _by_cells(encoder: Encoder, plan: Plan, learned: Learned, fields: Fields) -> _Length:
    """The size in a format with the values of each variable as nested lists."""
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
    """How many brackets and commas nested lists of this shape have."""
    lists, total = 1, 0
    for length in shape:
        total += lists * (2 + max(0, length - 1))
        lists *= length
    return total


def _by_rows(encoder: Encoder, plan: Plan, learned: Learned, fields: Fields) -> _Length:
    """The size in a format with a row for each cell, and all variables in each row."""
    schema, layout = plan.schema, layout_of(plan.schema)
    one = len(encoder.encode(_stand_in(plan, {d: min(1, n) for d, n in schema.sizes.items()})))
    if layout.count == 0:
        return _Length(one, one, one)
    around, blank = len(layout.columns), 0
    if isinstance(encoder.rows, TextRows):
        # The bytes of a row beside its fields, and of what stands for the field in an empty row.
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
    """The length of all values of a column, which are those of a variable or positions."""
    name, reading = column.variable, plan.reading
    # The length of the fixed text before each value.
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
    """The length of the texts of `cells`, of which a sample has these `lengths`.

    It is a sample of the cells that are `shared`: `whole` if it has all of them, `even` if it has
    one from each of equal stretches in their order. No text is shorter or longer than the `ends`.
    """
    mean, (least, most), rest = float(np.mean(lengths)), ends, cells - shared
    low = high = mean
    if not whole:
        deviation = float(np.std(lengths))
        if even:
            # Differences between stretches do not add to the error of the mean (Cochran, "Sampling
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
    """The length of values in memory: of all of them, or of a random sample where they are many."""
    size, ends = values.size, _ends(values.dtype, before)
    if whole := size <= _WRITTEN or math.isinf(ends[1]):
        total = sum(_lengths(fields, column, values, blank))
        return _Length(total, total, total)
    picked = values[np.random.default_rng(0).integers(size, size=_WRITTEN)]
    return _spread(
        _lengths(fields, column, picked, blank), size, size, ends, whole=whole, even=False
    )


def _lengths(fields: Fields, column: Column, values: Array, blank: int = 0) -> list[int]:
    """The bytes of the text of each value; `blank` for an empty one."""
    texts = fields(column, values) if len(values) else []
    return [len(t if t.isascii() else t.encode()) or blank for t in texts]


def _zero(variable: AnswerVariable) -> Array:
    return np.zeros(1, variable.dtype)


def _stand_in(
    plan: Plan, lengths: Mapping[Hashable, int], sizes: Mapping[Hashable, int] | None = None
) -> xr.Dataset:
    """The answer filled with zeros, of other `lengths` along each dimension than its `sizes` say.

    `sizes` are the lengths if they are None.
    """
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
    """Typical values of this type, in place of those that were never read."""
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
