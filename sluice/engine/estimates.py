"""How long an answer will be, and how much would fit, told before anything is read.

A text is as long as its values are: what a part of an answer takes, made of values that others
have shown (see `sluice.engine.learned`), tells what all of it takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from sluice.aliases import Array, DType, record
from sluice.datasets.indexers import ALL
from sluice.encoders.encoder import Encoder
from sluice.engine.costs import Costs
from sluice.engine.learned import Learned
from sluice.engine.plan import Plan, plan
from sluice.errors import LimitError, SluiceError
from sluice.selection import Along, Positions, PositionSlice, Selection

# So many values are encoded to tell how long others are.
_ENCODED: Final = 512
# So many values are made up in some ten milliseconds.
_MOST_CELLS: Final = 2**20
# Standard deviations that nearly nothing is beyond, and the part of a size that they may be.
_SURE: Final = 2.5
_WITHIN: Final = 0.1


def estimated_size(encoder: Encoder, plan: Plan, learned: Learned) -> tuple[int, bool]:
    """The likely bytes of the answer in a format of text, and whether that is rough.

    It is unless all of it lies in what was answered, and values there are so alike in length that
    those which are known tell of the others. Encodes some thousand values.
    """
    pending = plan.reading.pending
    samples = {name: learned.sample(plan, name) for name in pending}

    def values(name: Hashable, lengths: Sequence[int]) -> Array:
        if name in pending:
            known, _ = samples[name]
            some = _guessed(pending[name].dtype) if known is None else known
            return np.resize(some, lengths)
        whole = plan.labels.get(str(name), plan.reading.variables[name].values)
        for axis, length in enumerate(lengths):
            whole = whole.take(np.linspace(0, whole.shape[axis] - 1, length).astype(int), axis)
        return whole

    by = _by_rows if encoder.grows == "rows" else _by_cells
    size, variance = by(encoder, plan, values), 0.0
    for name, (some, seen) in samples.items():
        if some is None or not seen:
            return size, True
        variance += _variance(some, math.prod(plan.schema.variables[name].shape))
    return size, _SURE * math.sqrt(variance) > _WITHIN * size


def likely_size(encoder: Encoder, plan: Plan, learned: Learned) -> int | None:
    """The likely bytes of a file whose length follows from values: written of others like them.

    None where they are too many for that. Raises what the format has against such values.
    """
    plan = plan.as_stored() if encoder.stored else plan
    pending = plan.reading.pending
    if plan.schema.cells > _MOST_CELLS:
        return None

    def values(name: Hashable, lengths: Sequence[int]) -> Array:
        if name not in pending:
            return plan.labels.get(str(name), plan.reading.variables[name].values)
        some, _ = learned.sample(plan, name)
        dtype = pending[name].dtype
        if some is None or some.dtype != dtype:
            some = _guessed(dtype)
        return np.resize(some, lengths)

    return len(encoder.encode(_dataset(plan, values, plan.schema.sizes)))


def _variance(some: Array, cells: int) -> float:
    """How much the length of so many values varies, in square bytes, of which these are `some`."""
    missing = xr.Variable(("n",), some).isnull().values
    # Some formats write nothing of what is missing.
    lengths = [0 if none else len(str(v)) for v, none in zip(some, missing, strict=True)]
    encoded = max(1, min(len(lengths), cells, _ENCODED))
    return float(np.var(lengths)) * cells * (1 + cells / encoded)


def _by_cells(
    encoder: Encoder, plan: Plan, values: Callable[[Hashable, Sequence[int]], Array]
) -> int:
    """The bytes of a format in which each variable is as long as it has values."""
    variables = plan.schema.variables
    total = float(len(encoder.encode(_dataset(plan, values, dict.fromkeys(plan.schema.sizes, 0)))))
    for name, variable in variables.items():
        cells = math.prod(variable.shape)
        if not variable.dims or not cells:
            continue
        lengths = _lines(variable.shape)
        dims = [f"dim{axis}" for axis in range(len(lengths))]
        part, none = (
            len(encoder.encode(xr.Dataset({"v": (dims, values(name, some))})))
            for some in (lengths, [0] * len(lengths))
        )
        total += (part - none) * cells / math.prod(lengths)
    return int(total)


def _by_rows(
    encoder: Encoder, plan: Plan, values: Callable[[Hashable, Sequence[int]], Array]
) -> int:
    """The bytes of a format that has a row for each cell, and all variables in each."""
    schema = plan.schema
    data = [v for name, v in schema.variables.items() if name not in schema.coord_names]
    spanning = [data[0]] if data else list(schema.variables.values())
    dims = list(dict.fromkeys(dim for variable in spanning for dim in variable.dims))
    lengths = dict(zip(dims, _lines([schema.sizes[dim] for dim in dims]), strict=True))
    others = {dim: min(1, n) for dim, n in schema.sizes.items()}
    part = len(encoder.encode(_dataset(plan, values, {**others, **lengths})))
    none = len(encoder.encode(_dataset(plan, values, {**others, **dict.fromkeys(dims, 0)})))
    rows = math.prod([schema.sizes[dim] for dim in dims])
    if not dims or not rows:
        return part
    size = none + (part - none) * rows / math.prod(lengths.values())
    for dim, length in lengths.items():
        # Positions in place of labels have more digits farther on.
        if dim not in schema.variables:
            size += rows * (_mean_digits(schema.sizes[dim]) - _mean_digits(length))
    return int(size)


def _mean_digits(count: int) -> float:
    """How many digits the numbers below `count` have."""
    tens: list[int] = [10**power for power in range(1, len(str(count)))]
    return 1 + sum([count - ten for ten in tens]) / count


def _lines(shape: Sequence[int]) -> list[int]:
    """The shape of a few of the cells: lines of them, as long as they are."""
    lengths, left = list(shape), _ENCODED
    for axis in reversed(range(len(lengths))):
        lengths[axis] = min(lengths[axis], max(1, left))
        left //= max(1, lengths[axis])
    return lengths


def _dataset(
    plan: Plan,
    values: Callable[[Hashable, Sequence[int]], Array],
    sizes: Mapping[Hashable, int],
) -> xr.Dataset:
    """The answer with as many of the `values` along each dimension as `sizes` says."""
    reading, schema = plan.reading, plan.schema
    found = {}
    for name, variable in schema.variables.items():
        held = name in reading.variables
        known = reading.variables[name] if held else reading.pending[name]
        some = values(name, [sizes[dim] for dim in variable.dims])
        found[name] = xr.Variable(variable.dims, some, known.attrs, known.encoding)
    coords = {name: found.pop(name) for name in list(found) if name in schema.coord_names}
    return xr.Dataset(found, coords, dict(reading.attrs))


def _guessed(dtype: DType) -> Array:
    """Values such as there are many, in place of those that nobody has read."""
    random = np.random.default_rng(0)
    match dtype.kind:
        case "i" | "u":
            return random.integers(0, min(np.iinfo(dtype).max, 10_000), _ENCODED).astype(dtype)
        case "b":
            return random.integers(0, 2, _ENCODED).astype(dtype)
        case "f" | "c":
            return (random.normal(size=_ENCODED) * 100).astype(dtype)
        case "M" | "m":
            hours = random.integers(0, 10**5, _ENCODED)
            return (hours * np.timedelta64(1, "h")).astype(dtype.str.replace("M", "m")).view(dtype)
        case "U" | "S":
            return np.full(_ENCODED, "x" * 16).astype(dtype)
        case _:
            return np.full(_ENCODED, "x" * 16, dtype=object)


# Halvings: enough for any dimension that memory can hold labels of.
_TRIES = 40
# So often may a chunk be decoded for an answer whose form fits the chunks of the store badly.
MOST_TIMES: Final = 4


def memory_excess(nbytes: int, most_bytes: int) -> LimitError | None:
    """What is raised where reading has `nbytes` in memory at once; None where it may."""
    if nbytes <= most_bytes:
        return None
    return LimitError(
        f"The chunks and rows that must be in memory at once take {nbytes} bytes; there are"
        f" {most_bytes} for them. Nothing was read: ask for a smaller part.",
        limited="memory_bytes",
        estimate=nbytes,
        limit=most_bytes,
    )


def deciding_excess(name: Hashable, cells: int, most_cells: int) -> LimitError:
    """What is raised where so many values, most of them of one variable, decide of a file."""
    return LimitError(
        f"How {name} lies in the file follows from its values, so these are read before the first"
        f" byte is sent: {cells} values, of which there may be {most_cells}. Nothing was read: ask"
        " for a smaller part, for other variables, or for f=csv or f=ndjson, which are sent while"
        " they are read.",
        limited="cells",
        estimate=cells,
        limit=most_cells,
        variable=str(name),
    )


def times_excess(costs: Costs) -> LimitError | None:
    """What is raised where parts of an answer have many chunks in common; None where they may."""
    if costs.most_times <= MOST_TIMES:
        return None
    return LimitError(
        f"Written row by row, chunks would be decoded {costs.most_times} times; {MOST_TIMES} are"
        " allowed. Nothing was read: ask for f=netcdf, which has chunks of its own, or for a"
        " smaller part.",
        limited="decoded_times",
        estimate=costs.most_times,
        limit=MOST_TIMES,
        known=["netcdf"],
    )


def with_fitting(excess: SluiceError, fitting: Fitting | None, led_on: str = "") -> SluiceError:
    """The same refusal; it says how many positions of which dimension would fit, and leads on."""
    kind = type(excess)
    if fitting is None:
        return kind(f"{excess.detail}{led_on}", **excess.facts)
    name, positions, size = fitting.dimension, fitting.positions, fitting.size
    facts = {**excess.facts, "dimension": name, "positions": positions, "of": size}
    detail = f"{excess.detail} {positions} of {size} positions of {name} fit.{led_on}"
    return kind(detail, **facts)


@record
class Fitting:
    """So many positions of a dimension, of the `size` that were asked for, are within limits."""

    dimension: str
    positions: int
    size: int


def fitting(too_large: Plan, fits: Callable[[Plan], bool]) -> Fitting | None:
    """The most positions from the start of the longest dimension with which `fits` is true.

    None where no dimension can be cut, or where one position is too much already. Plans, and
    reads nothing.
    """
    keys = too_large.keys
    sizes = {str(d): n for d, n in too_large.schema.sizes.items() if n > 1}
    asked = [name for name in sizes if name in too_large.prepared.sizes]
    if keys is None or not asked:
        return None
    dimension = max(asked, key=sizes.__getitem__)
    least, most = 0, sizes[dimension]
    for _ in range(_TRIES):
        middle = (least + most) // 2
        if middle == least:
            break
        if fits(_cut(too_large, dimension, middle)):
            least = middle
        else:
            most = middle
    return Fitting(dimension, least, sizes[dimension]) if least else None


def _cut(whole: Plan, dimension: str, count: int) -> Plan:
    """The plan of the first `count` positions of what was asked along the dimension."""
    key: Any = whole.found.positions.get(dimension, ALL)
    size = whole.prepared.sizes[dimension]
    wanted: Along
    if isinstance(key, np.ndarray):
        wanted = Positions(tuple(key[:count].tolist()))
    else:
        rows = range(*key.indices(size))[:count]
        wanted = PositionSlice(rows.start, rows.stop if rows.stop >= 0 else None, rows.step)
    along = {**whole.selection.along, dimension: wanted}
    selection = Selection(along, whole.selection.variables, whole.selection.pointwise)
    return plan(whole.prepared, selection)
