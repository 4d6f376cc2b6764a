"""How long an answer will be and take, and how much would fit, told before anything is read.

A text is as long as its values are: so a few of each variable that was answered are kept, and what
a part of an answer takes, made of them, tells what all of it takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from sluice.aliases import Array, DType, NamedDict, record
from sluice.arrays.texts import text_bytes
from sluice.datasets._xarray import dataset_of, variable_of
from sluice.datasets.indexers import ALL
from sluice.encoders.encoder import Encoder
from sluice.engine.costs import Costs
from sluice.engine.plan import Plan, plan
from sluice.errors import LimitError, SluiceError
from sluice.instrumentation import Phases
from sluice.selection import Along, Positions, PositionSlice, Selection

# So many values tell the mean length of all within a few percent.
_SAMPLED: Final = 512
_SAMPLED_TEXT_BYTES: Final = 2**16
# Of so many variables values are kept: two MiB of numbers.
_MOST_VARIABLES: Final = 512
# What was measured last counts for so much beside all that was before.
_NEWEST: Final = 0.3
# Shorter work is measured badly.
_LEAST_BYTES: Final = 2**18
# A slow store and a busy core: what is said as long as nothing was measured.
_READ_PACE: Final = 1 / 100e6
_WRITE_PACE: Final = 1 / 50e6


@record
class _Sample:
    """Some `values` of the largest part of a variable that was answered, of so many `cells`."""

    values: Array
    cells: int


class Learned:
    """What answers of one dataset have shown: values of its variables, and how fast work goes."""

    def __init__(self) -> None:
        self._samples: dict[Hashable, _Sample] = {}
        self._paces: dict[str, float] = {}

    def see_values(
        self, variables: Mapping[Hashable, xr.Variable], names: Iterable[Hashable]
    ) -> None:
        """The variables of these `names` were answered with these decoded values."""
        for name in names:
            values, known = variables[name].values, self._samples.get(name)
            if values.size and (known is None or known.cells < values.size):
                # The one that was seen first makes room.
                while len(self._samples) >= _MOST_VARIABLES and name not in self._samples:
                    del self._samples[next(iter(self._samples))]
                self._samples[name] = _Sample(_some(values), values.size)

    def sample(self, name: Hashable) -> Array | None:
        """Some values of a variable in one dimension; None where none were answered yet."""
        known = self._samples.get(name)
        return None if known is None else known.values

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


def _some(values: Array) -> Array:
    """A few of the values in one dimension, of their own."""
    many = values.size > _SAMPLED
    random = np.random.default_rng(0).integers(values.size, size=_SAMPLED)
    places = random if many else np.arange(values.size)
    # (Iterators of NumPy know no texts of variable length.)
    picked: Array = values[np.unravel_index(places, values.shape)] if values.ndim else values[None]
    texts = text_bytes(picked)
    if texts > _SAMPLED_TEXT_BYTES:
        picked = picked[: max(1, picked.size * _SAMPLED_TEXT_BYTES // texts)]
    return np.array(picked)


def estimated_size(encoder: Encoder, plan: Plan, learned: Learned) -> tuple[int, bool]:
    """The likely bytes of the answer in a format of text, and whether that is rough.

    It is where values were not answered yet, so that others stand for them. Encodes some thousand
    values.
    """
    pending = plan.reading.pending
    rough = any(learned.sample(name) is None for name in pending)

    def values(name: Hashable, lengths: Sequence[int]) -> Array:
        if name in pending:
            known = learned.sample(name)
            some = _guessed(pending[name].dtype) if known is None else known
            return np.resize(some, lengths)
        whole = plan.labels.get(str(name), plan.reading.variables[name].values)
        for axis, length in enumerate(lengths):
            whole = whole.take(np.linspace(0, whole.shape[axis] - 1, length).astype(int), axis)
        return whole

    size = _by_rows if encoder.grows == "rows" else _by_cells
    return size(encoder, plan, values), rough


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
        lengths = _sampled(variable.shape)
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
    lengths = dict(zip(dims, _sampled([schema.sizes[dim] for dim in dims]), strict=True))
    others = {dim: min(1, n) for dim, n in schema.sizes.items()}
    part = len(encoder.encode(_dataset(plan, values, {**others, **lengths})))
    none = len(encoder.encode(_dataset(plan, values, {**others, **dict.fromkeys(dims, 0)})))
    rows = math.prod([schema.sizes[dim] for dim in dims])
    if not dims or not rows:
        return part
    return int(none + (part - none) * rows / math.prod(lengths.values()))


def _sampled(shape: Sequence[int]) -> list[int]:
    """The shape of a few of the cells: lines of them, as long as they are."""
    lengths, left = list(shape), _SAMPLED
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
    found: NamedDict = {}
    for name, variable in schema.variables.items():
        held = name in reading.variables
        known = reading.variables[name] if held else reading.pending[name]
        some = values(name, [sizes[dim] for dim in variable.dims])
        found[name] = variable_of(variable.dims, some, known.attrs, known.encoding)
    # Not by xarray's constructors, which warn of dimensions that a variable has twice.
    coord_names = set(schema.coord_names)
    return dataset_of(xr.Dataset, found, coord_names, dict(sizes), dict(reading.attrs), {}, {})


def _guessed(dtype: DType) -> Array:
    """Values such as there are many, in place of those that nobody has read."""
    random = np.random.default_rng(0)
    match dtype.kind:
        case "i" | "u":
            return random.integers(0, min(np.iinfo(dtype).max, 10_000), _SAMPLED).astype(dtype)
        case "b":
            return random.integers(0, 2, _SAMPLED).astype(dtype)
        case "f" | "c":
            return (random.normal(size=_SAMPLED) * 100).astype(dtype)
        case "M" | "m":
            hours = random.integers(0, 10**5, _SAMPLED)
            return (hours * np.timedelta64(1, "h")).astype(dtype.str.replace("M", "m")).view(dtype)
        case "U" | "S":
            return np.full(_SAMPLED, "x" * 16).astype(dtype)
        case _:
            return np.full(_SAMPLED, "x" * 16, dtype=object)


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
