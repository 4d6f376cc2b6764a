"""What a selection of a Dataset needs of the store, planned before anything is read.

Common selections (integers, slices, lists and points along dimensions with plain indexes) are
planned here, others by way of xarray's own lazy `isel`; the plans are alike. Labels become
positions by binary search where its result is certain, by xarray's indexes elsewhere. `ReadLimits`
bound what a plan may cost.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import xarray as xr

from sluice.aliases import Array, Named, NamedDict, record
from sluice.arrays.texts import TextMeter, attribute_bytes, has_texts, text_bytes
from sluice.datasets._xarray import (
    coord_names_of,
    data_of,
    dataset_of,
    drop_dims_from_indexers,
    indexes_of,
    map_index_queries,
    scalars_of,
    variable_of,
    variables_of,
)
from sluice.datasets.indexers import (
    IntArray,
    Points,
    plain_keys,
    plannable,
    search_label,
    xarray_key,
)
from sluice.datasets.layout import Keys, Layout, ResultSchema, StoredVariable
from sluice.datasets.lazy import LazyArray, VariableReadPlan, read_all, working_bytes
from sluice.encoders.answer_schema import AnswerVariable
from sluice.errors import LimitError

MissingDims = Literal["raise", "warn", "ignore"]
Positions: TypeAlias = Mapping[Any, int | slice | IntArray]


@record
class DatasetReadPlan:
    """The answer to a selection, without those values that are still in the store.

    `variables` are in memory, `pending` must be read; both stand in `schema`, in their order.
    `attrs` and `encoding` belong to the dataset that is selected from; its variables' own do, too.
    `texts` are the bytes of text, outside of their arrays, of those `variables` that have any;
    `keys` what is asked of each dimension, None where xarray's own indexing was needed, or where
    variables differ in that. What is `stored` is as `as_stored` makes it.
    """

    schema: ResultSchema
    variables: Mapping[Hashable, xr.Variable]
    pending: Mapping[Hashable, VariableReadPlan]
    indexes: Mapping[Hashable, xr.Index]
    attrs: NamedDict
    encoding: NamedDict
    texts: Mapping[Hashable, int]
    keys: Keys | None = None
    stored: bool = False

    @property
    def divisible(self) -> bool:
        """Whether any part of each variable can be read alone."""
        if self.keys is None:
            return False
        # Points go along one dimension: what has that twice is cut in both places alike.
        together = any(isinstance(key, Points) for key in self.keys.values())
        return not together or all(len(set(v.dims)) == len(v.dims) for v in self.pending.values())

    def keys_of(self, name: Hashable) -> Keys | None:
        """What is asked of each dimension of a variable, where that can be told in parts."""
        return self.keys

    @property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return sum([v.plan.chunks for v in self.pending.values()])

    @property
    def chunk_bytes(self) -> int:
        """Decoded size of the touched chunks, in bytes: what the answer costs."""
        # (Their own property would be a call more for each request.)
        return sum([v.plan.chunks * v.array.meta.chunk_bytes for v in self.pending.values()])

    @property
    def working_bytes(self) -> int:
        """The most decoded bytes of chunks that reading has in memory at once."""
        return working_bytes([(v, v.plan.chunks) for v in self.pending.values()])

    @property
    def text_bytes(self) -> int:
        """The likely bytes of the texts that are still to be read; the most if unknown."""
        return sum([v.text_bytes for v in self.pending.values()])

    def as_stored(
        self, but: Collection[Hashable], coordinates: Mapping[Hashable, xr.Variable]
    ) -> DatasetReadPlan:
        """The same answer with values as the store packs them, where metadata allow it.

        Their encoding has, under `AS_STORED`, the attributes that decode them. The variables named
        in `but` are decoded in any case; `coordinates` take the place of decoded ones, and of their
        indexes. The schema tells the types that the answer has then.
        """
        pending = {n: v if n in but else v.as_stored() for n, v in self.pending.items()}
        variables = {**self.variables, **coordinates}
        indexes = {name: index for name, index in self.indexes.items() if name not in coordinates}
        dtypes = {name: variable.dtype for name, variable in pending.items()}
        dtypes |= {name: variable.dtype for name, variable in coordinates.items()}
        schema = self.schema.with_types(dtypes)
        return replace(self, schema=schema, variables=variables, pending=pending, indexes=indexes)

    def read_cached(self) -> xr.Dataset | DatasetReadPlan:
        """What `read` brings, if all of it is small and in memory just now; else what to `load`.

        That has the variables which were there: each chunk is looked for once.
        """
        found: dict[Hashable, xr.Variable] = {}
        for name, variable in self.pending.items():
            values = variable.array.read_cached(variable.plan)
            if values is not None:
                found[name] = variable_of(variable.dims, values, variable.attrs, variable.encoding)
        if len(found) == len(self.pending):
            return self.holding(found)
        if not found:
            return self
        pending = {name: one for name, one in self.pending.items() if name not in found}
        return replace(self, variables={**self.variables, **found}, pending=pending)

    async def read(self, meter: TextMeter | None = None) -> xr.Dataset:
        """The answer as a plain Dataset in memory; it shares nothing that can be changed.

        Texts are counted by the `meter`; LimitError as soon as it has had too many. CorruptChunk
        has the fact `variable`.
        """
        found = self.read_cached()
        return found if isinstance(found, xr.Dataset) else await found.load(meter)

    async def load(self, meter: TextMeter | None = None) -> xr.Dataset:
        """What `read` brings, for who has called `read_cached`."""
        return self.holding(await read_all(self.pending, meter))

    def holding(self, read: Mapping[Hashable, xr.Variable]) -> xr.Dataset:
        """The answer, of which these variables have been read."""
        # All names first: their order is the answer's.
        variables: NamedDict = dict.fromkeys(self.schema.variables)
        variables.update(self.variables)
        variables.update(read)
        return dataset_of(
            xr.Dataset,
            variables,
            set(self.schema.coord_names),
            dict(self.schema.sizes),
            dict(self.attrs),
            dict(self.indexes),
            dict(self.encoding),
        )


def plan_isel(
    ds: xr.Dataset | Layout,
    indexers: Named,
    *,
    drop: bool = False,
    missing_dims: MissingDims = "raise",
    keep: Collection[Hashable] | None = None,
) -> DatasetReadPlan:
    """What ``ds.isel(indexers)`` needs; then only the variables in `keep`, if given.

    Positions along dimensions, as in xarray; whoever selects often hands the `Layout` over. Raises
    what ``ds.isel`` raises; reads nothing.
    """
    layout = ds if isinstance(ds, Layout) else Layout.of(ds)
    ds = layout.dataset
    if not layout.sizes.keys() >= indexers.keys():
        indexers = drop_dims_from_indexers(indexers, layout.sizes, missing_dims)
    keys = plain_keys(layout.sizes, indexers)
    plain = plannable(ds, keys)
    if plain is not None:
        schema = layout.schema(plain, keep, drop)
        if schema is not None:
            return _plan_plainly(layout, schema, plain)
    spelled = {dim: xarray_key(ds, dim, keys[dim], wanted) for dim, wanted in indexers.items()}
    return _plan_by_xarray(ds.isel(spelled, drop=drop), keep)


def plan_positions(
    layout: Layout, positions: Positions, keep: Collection[Hashable] | None
) -> DatasetReadPlan:
    """As `plan_isel`, of positions that are plain and within bounds already, and are no points."""
    schema = layout.schema(positions, keep, drop=False)
    if schema is not None:
        return _plan_plainly(layout, schema, positions)
    ds = layout.dataset
    spelled = {dim: xarray_key(ds, dim, key, key) for dim, key in positions.items()}
    return _plan_by_xarray(ds.isel(spelled), keep)


def plan_lazy(lazy: xr.Dataset) -> DatasetReadPlan:
    """What it takes to load `lazy`, a selection that xarray made without reading."""
    variables: dict[Hashable, xr.Variable] = {}
    pending: dict[Hashable, VariableReadPlan] = {}
    for name, variable in variables_of(lazy).items():
        data = data_of(variable)
        array = getattr(data, "array", None)
        if isinstance(array, LazyArray):
            plan = array.plan(data.key)
            pending[name] = VariableReadPlan(
                variable.dims, variable.attrs, variable.encoding, array, plan
            )
        else:
            variables[name] = variable.copy(deep=False)
    found = variables | pending
    ordered: dict[Hashable, AnswerVariable] = {name: found[name] for name in variables_of(lazy)}
    attrs = sum([attribute_bytes(v.attrs) for v in found.values()]) + attribute_bytes(lazy.attrs)
    schema = ResultSchema.of(ordered, coord_names_of(lazy), pending, attrs)
    texts = {n: text_bytes(v.values) for n, v in variables.items() if has_texts(v.dtype)}
    return DatasetReadPlan(
        schema, variables, pending, indexes_of(lazy), lazy.attrs, lazy.encoding, texts
    )


def _plan_by_xarray(lazy: xr.Dataset, keep: Collection[Hashable] | None) -> DatasetReadPlan:
    return plan_lazy(lazy if keep is None else lazy[list(keep)])


def _plan_plainly(layout: Layout, schema: ResultSchema, keys: Keys) -> DatasetReadPlan:
    """The plan of plain `keys`, for the variables of `schema`."""
    variables: dict[Hashable, xr.Variable] = {}
    pending: dict[Hashable, VariableReadPlan] = {}
    indexes: dict[Hashable, xr.Index] = {}
    texts: dict[Hashable, int] = {}
    scalars: list[tuple[Hashable, Array, xr.Variable]] = []
    for name, part in schema.variables.items():
        prepared = layout.variables[name]
        if isinstance(prepared, StoredVariable):
            pending[name] = prepared.select(keys, part.dims)
            continue
        assert prepared is not None
        key = keys.get(prepared.dim)
        if type(key) is int and prepared.values is not None:
            # A copy: the index is shared by all answers.
            scalars.append((name, np.array(prepared.values[key, ...]), prepared.variable))
        else:
            variables[name], index = prepared.select(keys)
            if index is not None:
                indexes[name] = index
            if prepared.lengths is not None:
                texts[name] = prepared.text_bytes(keys)
    variables |= scalars_of(scalars)
    ds = layout.dataset
    return DatasetReadPlan(schema, variables, pending, indexes, ds.attrs, ds.encoding, texts, keys)


def plan_sel(
    ds: xr.Dataset,
    indexers: Named,
    *,
    method: str | None,
    tolerance: Any,
    drop: bool,
) -> DatasetReadPlan:
    """What ``ds.sel(indexers, method, tolerance, drop)`` needs; raises what it raises.

    Coordinates that are asked by label must be in memory.
    """
    positions: dict[Hashable, Any] = {}
    rest = dict(indexers)
    if tolerance is None and method in (None, "nearest"):
        for name, label in indexers.items():
            index = indexes_of(ds).get(name)
            if index is None:
                continue
            position = search_label(index, label, nearest=method is not None)
            if position is not None:
                positions[name] = position
                del rest[name]
    if rest:
        found = map_index_queries(ds, rest, method, tolerance)
        plain = not (found.drop_coords or found.variables or found.indexes or found.rename_dims)
        if not plain or positions.keys() & found.dim_indexers.keys():
            return plan_lazy(ds.sel(indexers, method, tolerance, drop))
        positions |= found.dim_indexers
    return plan_isel(ds, positions, drop=drop)


class Touched(Protocol):
    """What is known of an answer's work: the touched chunks, and their decoded bytes."""

    @property
    def chunks(self) -> int: ...
    @property
    def chunk_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The most that one answer may have: chunks, their decoded bytes, bytes of the result."""

    chunks: int
    chunk_bytes: int
    result_bytes: int

    def excess(self, touched: Touched, result_bytes: int) -> LimitError | None:
        """The first limit that a plan exceeds, or None.

        `result_bytes` is what its encoder writes, which can be more than the plan's own.
        """
        chunks, chunk_bytes = touched.chunks, touched.chunk_bytes
        if result_bytes > self.result_bytes:
            return _excess("The result", "bytes", "result_bytes", result_bytes, self.result_bytes)
        if chunks > self.chunks:
            return _excess("The selection", "chunks", "chunks", chunks, self.chunks)
        if chunk_bytes > self.chunk_bytes:
            decoding = "Decoding the chunks that the selection touches"
            return _excess(decoding, "bytes", "chunk_bytes", chunk_bytes, self.chunk_bytes)
        return None


def _excess(what: str, unit: str, limited: str, estimate: int, limit: int) -> LimitError:
    return LimitError(
        f"{what} would take {estimate} {unit}; one request may take {limit}."
        " Nothing was read: ask for fewer variables or a smaller part.",
        limited=limited,
        estimate=estimate,
        limit=limit,
    )
