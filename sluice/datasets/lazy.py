"""A variable's data that is still in the store: read by awaiting, never by touching."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, NoReturn, TypeAlias

import numpy as np
import xarray as xr
from xarray.backends import BackendArray

from sluice.aliases import Array, DType, NamedDict, record
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.plan import ReadPlan, plan_orthogonal, plan_pointwise
from sluice.arrays.store_reader import StoreReader
from sluice.arrays.texts import TextMeter
from sluice.concurrency import map_concurrently
from sluice.datasets._xarray import ExplicitIndexer, VectorizedIndexer, variable_of
from sluice.datasets.cf_decode import Step, StoredForm, stored_form
from sluice.datasets.indexers import Key, Points
from sluice.encoders.answer_schema import AS_STORED
from sluice.errors import CorruptChunk, LimitError, NotLoaded
from sluice.instrumentation import phase
from sluice.scheduler import Flow

# What the texts of an array are taken for until some of them have been read.
_UNKNOWN_BYTES: Final = 2**40


class LazyArray(BackendArray):
    """A stored array with its decoding, behind xarray's seam for backends.

    Synchronous access raises `NotLoaded`; xarray's own `load_async` works. `copy` is the name of
    the copy of the dataset that it is in, None for the dataset itself. `undecoded` values are for
    files, as the store has them.
    """

    __slots__ = (
        "_stored",
        "copy",
        "dtype",
        "meta",
        "reader",
        "shape",
        "stacked",
        "steps",
        "undecoded",
    )

    def __init__(
        self,
        reader: StoreReader,
        meta: ArrayMeta,
        steps: tuple[Step, ...],
        dtype: DType,
        *,
        stacked: bool,
        copy: str | None = None,
        undecoded: bool = False,
    ) -> None:
        self.reader = reader
        self.meta = meta
        self.steps = steps
        self.dtype = dtype
        self.stacked = stacked
        self.copy = copy
        self.undecoded = undecoded
        self.shape = meta.shape[:-1] if stacked else meta.shape
        # The last encoding, which is nearly always the variable's own, and the array for it.
        self._stored: tuple[NamedDict, Undecoded | None] | None = None

    def __getitem__(self, key: ExplicitIndexer) -> NoReturn:
        raise NotLoaded(
            f"array {self.meta.path!r} is not in memory: select with `await ds._sel(...)` or "
            "`await ds._isel(...)`, or load with `await ds.load_async()`"
        )

    async def async_getitem(self, key: ExplicitIndexer) -> Array:
        return await self.read(self.plan(key))

    def plan(self, key: ExplicitIndexer) -> ReadPlan:
        """What an xarray indexer (basic, outer or vectorized) needs of the store."""
        pointwise = isinstance(key, VectorizedIndexer)
        make = plan_pointwise if pointwise else plan_orthogonal
        return make(self.meta.shape, self.meta.chunks, self.stored_key(key.tuple))

    def stored_key(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """`key` for the stored array: a stacked string's characters are always read whole."""
        return (*key, slice(None)) if self.stacked else key

    def as_stored(self, encoding: NamedDict) -> Undecoded | None:
        """The same array undecoded, and its encoding; None for what has to be decoded.

        `encoding` is that of the decoded variable, which nobody changes; see `stored_form`.
        """
        known = self._stored
        if known is None or known[0] is not encoding:
            known = self._stored = encoding, self._undecoded(encoding)
        return known[1]

    def _undecoded(self, encoding: NamedDict) -> Undecoded | None:
        form = None if self.stacked else stored_form(self.meta, self.steps, encoding)
        if form is None and not (self.meta.shape or self.steps) and self.dtype.kind == "S":
            form = StoredForm(self.dtype, (), {})
        if form is None:
            return None
        stored = LazyArray(
            *(self.reader, self.meta, form.steps, form.dtype),
            stacked=False,
            copy=self.copy,
            undecoded=True,
        )
        return stored, {**encoding, AS_STORED: form.decoding}

    def read_cached(self, plan: ReadPlan) -> Array | None:
        """What `read` brings, if that is small and each of its chunks is in memory just now."""
        size = math.prod(plan.shape) * self.meta.dtype.itemsize
        if self.meta.texts is not None:
            size += self.text_bytes(plan)
        if size > self.reader.reader.pool.inline_bytes:
            return None
        values = self.reader.read_cached(self.meta, plan)
        return None if values is None else self._decoded(values)

    def text_bytes(self, plan: ReadPlan) -> int:
        """The likely bytes of texts among the planned values; 1 TiB where none was read yet."""
        texts = self.meta.texts
        if texts is None:
            return 0
        if texts.mean_bytes is None:
            return _UNKNOWN_BYTES
        return int(math.prod(plan.shape) * texts.mean_bytes)

    async def read(
        self, plan: ReadPlan, meter: TextMeter | None = None, *, passing: bool = False
    ) -> Array:
        """The planned values, decoded; large ones in a thread.

        The `meter` counts texts; for `passing` see `StoreReader.read`.
        """
        values = await self.reader.read(self.meta, plan, meter, passing=passing)
        pool = self.reader.reader.pool
        if not self.steps or values.nbytes <= pool.inline_bytes:
            return self._decoded(values)
        with phase("decode"):
            return await pool.run(Flow(), self._decoded, values, values.nbytes)

    def _decoded(self, values: Any) -> Array:
        kind = values.dtype.kind
        if not self.meta.shape and kind in "SUMm" and not (kind == "S" and self.undecoded):
            # As in xarray, which converts scalars to Python and back: a text's dtype gets the
            # length of the text, an instant's the machine's byte order. (Files have bytes of the
            # length that the store tells, which is known before they are read.)
            values = np.asarray(values[()])
        try:
            decoded = values
            for step in self.steps:
                decoded = step(decoded)
        except ValueError:
            # Some of xarray's decoders need a smallest value, and here there is none.
            if values.size:
                raise
            shape = values.shape[:-1] if self.stacked else values.shape
            return np.empty(shape, self.dtype)
        return np.asarray(decoded)


# What is read as the store packs it: the array, and its encoding, which says how it decodes.
Undecoded: TypeAlias = tuple[LazyArray, NamedDict]


@record
class VariableReadPlan:
    """A variable of the answer whose values are still to be read."""

    dims: tuple[Hashable, ...]
    attrs: NamedDict
    encoding: NamedDict
    array: LazyArray
    plan: ReadPlan

    @property
    def shape(self) -> tuple[int, ...]:
        return self.plan.shape[: len(self.dims)]

    @property
    def dtype(self) -> DType:
        """The dtype of the decoded values."""
        return self.array.dtype

    @property
    def chunk_bytes(self) -> int:
        """The decoded bytes of the chunks that it touches, each once."""
        return self.plan.chunks * self.array.meta.chunk_bytes

    @property
    def text_bytes(self) -> int:
        """The likely bytes of its texts, outside of the array; 1 TiB if unknown."""
        return self.array.text_bytes(self.plan)

    def as_stored(self) -> VariableReadPlan:
        """The same with values as the store packs them, itself where they have to be decoded.

        Their encoding has, under `AS_STORED`, the attributes that decode them.
        """
        raw = self.array.as_stored(self.encoding)
        if raw is None:
            return self
        array, encoding = raw
        return VariableReadPlan(self.dims, self.attrs, encoding, array, self.plan)

    async def read(
        self, name: Hashable, meter: TextMeter | None = None, *, passing: bool = False
    ) -> xr.Variable:
        """The variable; CorruptChunk and LimitError get its `name` as the fact `variable`."""
        try:
            return self.holding(await self.array.read(self.plan, meter, passing=passing))
        except CorruptChunk as error:
            raise CorruptChunk(error.detail, variable=str(name)) from error
        except LimitError as error:
            raise LimitError(error.detail, **{**error.facts, "variable": str(name)}) from error

    def holding(self, values: Array) -> xr.Variable:
        """The variable with its `values`."""
        return variable_of(self.dims, values, self.attrs, self.encoding)


def remaining(dims: tuple[Hashable, ...], keys: Mapping[Hashable, Key]) -> tuple[Hashable, ...]:
    """The dimensions after a selection; that of points is where the first of theirs was.

    A dimension that a variable has twice is selected from in both places.
    """
    left: list[Hashable] = []
    for dim in dims:
        key = keys.get(dim)
        if isinstance(key, Points):
            if key.dim not in left:
                left.append(key.dim)
        elif not isinstance(key, int):
            left.append(dim)
    return tuple(left)


def length_of(key: Key, size: int) -> int | None:
    """How many elements `key` leaves of a dimension of `size`; None where it drops it."""
    match key:
        case int():
            return None
        case slice():
            return len(range(*key.indices(size)))
        case Points(_, positions):
            return len(positions)
        case positions:
            return len(positions)


def working_bytes(parts: Iterable[tuple[VariableReadPlan, int]]) -> int:
    """The most decoded bytes of chunks in memory while so many of each variable are read at once.

    Chunks that wait for a turn to be decoded share one limit for all variables; besides them there
    are as many that are decoded and not yet placed.
    """
    own = turns = shared = 0
    for variable, chunks in parts:
        reader, meta = variable.array.reader, variable.array.meta
        nbytes = reader.working_bytes(meta, chunks)
        if meta.decoder is not None and meta.dtype.kind not in "OT":
            shared += nbytes
            turns = max(turns, meta.chunk_bytes + 2 * reader.reader.in_flight_bytes)
        else:
            own += nbytes
    return own + min(shared, turns)


async def read_all(
    pending: Mapping[Hashable, VariableReadPlan],
    meter: TextMeter | None = None,
    *,
    passing: bool = False,
) -> dict[Hashable, xr.Variable]:
    """All of these variables, read at once; raises the first failure.

    Chunks that are read in `passing` evict no others from the cache.
    """
    read: dict[Hashable, xr.Variable] = {}

    async def read_one(item: tuple[Hashable, VariableReadPlan]) -> None:
        name, variable = item
        read[name] = await variable.read(name, meter, passing=passing)

    await map_concurrently(pending.items(), read_one)
    return read
