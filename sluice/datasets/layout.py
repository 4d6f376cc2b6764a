"""A Dataset prepared for selections: how each variable is selected from, and schemas of results.

The schema of a result follows from the lengths that are selected, not from positions: answers of
equal lengths share one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeAlias

import numpy as np
import xarray as xr
from xarray.indexes import PandasIndex

from sluice.aliases import Array, DType, NamedDict
from sluice.arrays.plan import ReadPlan, plan_element, plan_orthogonal, plan_pointwise
from sluice.arrays.texts import attribute_bytes, has_texts, text_lengths
from sluice.bounded_cache import BoundedCache
from sluice.datasets._xarray import (
    LazilyIndexedArray,
    coord_names_of,
    data_of,
    indexes_of,
    stored_of,
    variable_of,
    variables_of,
)
from sluice.datasets.cf_decode import StoredLabels
from sluice.datasets.indexers import ALL, IntArray, Key, Points
from sluice.datasets.lazy import LazyArray, VariableReadPlan, length_of, remaining
from sluice.encoders.answer_schema import AS_STORED, AnswerVariable

Keys: TypeAlias = Mapping[Hashable, Key]
# Stands for the whole dataset beside the names of its variables.
_WHOLE: Final = object()
# Of schemas: clients choose the lengths of slices, so there is no end to different ones.
_SCHEMAS_BYTES: Final = 4 * 2**20
# Labels are in memory as an index, as an axis to search in, and as text.
_LABEL_COPIES: Final = 3
# What a variable takes besides its attributes.
_VARIABLE_BYTES: Final = 16 * 2**10
# What a schema takes for itself, and for each of its variables.
_SCHEMA_BYTES: Final = 2048
_PART_BYTES: Final = 512
# What a schema follows from: the names to keep, whether scalars drop, what each key leaves.
_SchemaKey: TypeAlias = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class ResultVariable:
    """One variable of an answer: its decoded form."""

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class ResultSchema:
    """The variables of an answer in their order, and what they add up to.

    `result_bytes` is the size of its arrays, `cells` the number of values that must be read,
    `attribute_bytes` what all attributes take. The texts of `unmeasured` variables, outside of the
    arrays, have lengths that are known once they are read. A schema is shared by many selections:
    what else follows from it is cached in `notes`.
    """

    variables: Mapping[Hashable, AnswerVariable]
    coord_names: frozenset[Hashable]
    sizes: Mapping[Hashable, int]
    result_bytes: int
    cells: int
    attribute_bytes: int
    unmeasured: tuple[Hashable, ...]
    notes: NamedDict = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        variables: Mapping[Hashable, AnswerVariable],
        coords: Iterable[Hashable],
        unread: Iterable[Hashable],
        attribute_bytes: int,
    ) -> Self:
        """The schema of these `variables`, of which `unread` must be read."""
        sizes: dict[Hashable, int] = {}
        for variable in variables.values():
            sizes.update(zip(variable.dims, variable.shape, strict=True))
        nbytes = sum([math.prod(v.shape) * v.dtype.itemsize for v in variables.values()])
        unread = list(unread)
        cells = sum([math.prod(variables[name].shape) for name in unread])
        texts = tuple([name for name in unread if has_texts(variables[name].dtype)])
        return cls(variables, frozenset(coords), sizes, nbytes, cells, attribute_bytes, texts)

    def with_types(self, dtypes: Mapping[Hashable, DType]) -> ResultSchema:
        """The schema with other types of some variables; itself where all have theirs."""
        changed: dict[Hashable, AnswerVariable] = {}
        for name, dtype in dtypes.items():
            variable = self.variables[name]
            if variable.dtype != dtype:
                changed[name] = ResultVariable(variable.dims, variable.shape, dtype)
        if not changed:
            return self
        variables = {**self.variables, **changed}
        nbytes = sum([math.prod(v.shape) * v.dtype.itemsize for v in variables.values()])
        return replace(self, variables=variables, result_bytes=nbytes, notes={})


@dataclass(frozen=True, slots=True)
class IndexCoordinate:
    """A coordinate with an index of its own, in memory.

    `values` are its labels as NumPy has them, None where xarray must say what a label becomes;
    `lengths` the bytes of each, where labels are texts of variable length; `stored` what the store
    has in their place, where that is known and differs.
    """

    name: Hashable
    dim: Hashable
    variable: xr.Variable
    index: PandasIndex
    values: Array | None
    lengths: IntArray | None
    stored: StoredLabels | None

    @classmethod
    def of(cls, name: Hashable, variable: xr.Variable, index: PandasIndex) -> Self:
        """The prepared coordinate; `variable` is the one that `index` made."""
        values = index.index.values
        plain = values.dtype == index.coord_dtype and values.dtype.kind in "iufmM"
        lengths = text_lengths(np.asarray(values)) if values.dtype.kind in "OT" else None
        stored = stored_of(variable)
        known = stored if isinstance(stored, StoredLabels) else None
        return cls(name, index.dim, variable, index, values if plain else None, lengths, known)

    def select(self, keys: Keys) -> tuple[xr.Variable, PandasIndex | None]:
        """Its part of an answer, and its index if it keeps one."""
        match keys.get(self.dim, ALL):
            # (Not `int(position)`, which takes six times as long: it looks for match arguments.)
            case int() as position:
                return self._pick((), position), None
            case Points(dim, positions):
                return self._pick((dim,), positions), None
            case key if key is ALL:
                return self.variable.copy(deep=False), self.index
            case key:
                kept = self.index.isel({self.dim: key})
                assert kept is not None
                return kept.create_variables({self.name: self.variable})[self.name], kept

    def select_stored(self, keys: Keys) -> xr.Variable | None:
        """Its part of an answer as the store packs it, without an index; None: it is decoded.

        The encoding has, under `AS_STORED`, the attributes that decode it.
        """
        if self.stored is None:
            return None
        key = keys.get(self.dim, ALL)
        place = key.positions if isinstance(key, Points) else key
        dims = remaining((self.dim,), keys)
        encoding = {**self.variable.encoding, AS_STORED: self.stored.form.decoding}
        return variable_of(dims, self.stored.pick(place), self.variable.attrs, encoding)

    def text_bytes(self, keys: Keys) -> int:
        """The bytes of the texts of its part of an answer."""
        key = keys.get(self.dim, ALL)
        place: Any = key.positions if isinstance(key, Points) else key
        return 0 if self.lengths is None else int(self.lengths[place].sum())

    def _pick(self, dims: tuple[Hashable, ...], place: Any) -> xr.Variable:
        variable = self.variable
        if self.values is None:
            picked = variable[xr.Variable(dims, place)] if dims else variable[place]
            return picked.to_base_variable().load()
        # A copy: the index is shared. (NumPy makes arrays of scalars more slowly.)
        data = np.array(self.values[place, ...])
        return variable_of(dims, data, variable.attrs, variable.encoding)


@dataclass(frozen=True, slots=True)
class StoredVariable:
    """A variable whose values are all in the store."""

    dims: tuple[Hashable, ...]
    attrs: NamedDict
    encoding: NamedDict
    array: LazyArray

    def select(self, keys: Keys, dims: tuple[Hashable, ...]) -> VariableReadPlan:
        """Its part of an answer, in which it has the dimensions `dims`."""
        array = self.array
        wanted: tuple[Any, ...] = tuple([keys.get(dim, ALL) for dim in self.dims])
        if array.stacked:
            wanted = array.stored_key(wanted)
        shape, chunks = array.meta.shape, array.meta.chunks
        if not dims and shape and not array.stacked:
            plan: ReadPlan = plan_element(shape, chunks, wanted)
        else:
            plan = self._plan(wanted, dims)
        return VariableReadPlan(dims, self.attrs, self.encoding, array, plan)

    def _plan(self, wanted: tuple[Any, ...], dims: tuple[Hashable, ...]) -> ReadPlan:
        shape, chunks = self.array.meta.shape, self.array.meta.chunks
        points = [key for key in wanted if isinstance(key, Points)]
        if not points:
            return plan_orthogonal(shape, chunks, wanted)
        flat = tuple([k.positions if isinstance(k, Points) else k for k in wanted])
        return plan_pointwise(shape, chunks, flat, at=dims.index(points[0].dim))


# None stands for what only xarray's own indexing selects from.
Prepared: TypeAlias = IndexCoordinate | StoredVariable | None


def _schema_cache() -> BoundedCache[_SchemaKey, ResultSchema]:
    return BoundedCache(_SCHEMAS_BYTES)


@dataclass(frozen=True, slots=True)
class Layout:
    """A Dataset and its variables as selections take them; nothing of it changes.

    `attribute_bytes` is what the attributes of each variable and of the whole take. Schemas are
    cached: clients ask for a few kinds of answers again and again.
    """

    dataset: xr.Dataset
    sizes: Mapping[Hashable, int]
    variables: Mapping[Hashable, Prepared]
    dims: Mapping[Hashable, tuple[Hashable, ...]]
    coords: tuple[Hashable, ...]
    attribute_bytes: Mapping[Hashable, int]
    _schemas: BoundedCache[_SchemaKey, ResultSchema] = field(default_factory=_schema_cache)

    @classmethod
    def of(cls, ds: xr.Dataset) -> Self:
        """The layout of `ds`, which must not change from here on."""
        variables = {name: _prepared(ds, name, v) for name, v in variables_of(ds).items()}
        coords = tuple([name for name in variables if name in coord_names_of(ds)])
        dims = {name: variable.dims for name, variable in variables_of(ds).items()}
        attrs = {name: attribute_bytes(v.attrs) for name, v in variables_of(ds).items()}
        attrs[_WHOLE] = attribute_bytes(ds.attrs)
        return cls(ds, dict(ds.sizes), variables, dims, coords, attrs)

    @property
    def held_bytes(self) -> int:
        """About what the opened dataset takes: labels, attributes, and what each variable takes."""
        coordinates = [p for p in self.variables.values() if type(p) is IndexCoordinate]
        labels = sum([c.variable.nbytes + c.text_bytes({}) for c in coordinates])
        stored = sum([c.stored.nbytes for c in coordinates if c.stored is not None])
        attrs = sum(self.attribute_bytes.values())
        return _LABEL_COPIES * labels + stored + attrs + _VARIABLE_BYTES * len(self.variables)

    def schema(
        self, keys: Keys, keep: Collection[Hashable] | None, drop: bool
    ) -> ResultSchema | None:
        """The schema of the answer to `keys`; None where one of its variables is not prepared.

        With `keep`, these variables and the coordinates along the dimensions that they are left
        with, as in ``ds.isel(keys)[keep]``. `drop` leaves out coordinates that become scalars.
        """
        lengths = [
            dim if type(key) is int else (dim, *self._left(dim, key)) for dim, key in keys.items()
        ]
        key: _SchemaKey = (None if keep is None else tuple(keep), drop, *lengths)
        schema = self._schemas.get(key)
        if schema is None:
            schema = self._schema_of(keys, keep, drop)
            if schema is not None:
                parts = len(schema.variables) + len(key)
                self._schemas.put(key, schema, _SCHEMA_BYTES + _PART_BYTES * parts)
        return schema

    def labels_as_stored(
        self, names: Iterable[Hashable], keys: Keys
    ) -> dict[Hashable, xr.Variable]:
        """Those of the index coordinates `names` that can be as the store packs them."""
        found: dict[Hashable, xr.Variable] = {}
        for name in names:
            prepared = self.variables[name]
            if isinstance(prepared, IndexCoordinate):
                stored = prepared.select_stored(keys)
                if stored is not None:
                    found[name] = stored
        return found

    def _schema_of(
        self, keys: Keys, keep: Collection[Hashable] | None, drop: bool
    ) -> ResultSchema | None:
        names = self.variables if keep is None else self._kept(keys, keep)
        lengths = self._lengths(keys)
        parts: dict[Hashable, ResultVariable] = {}
        for name in names:
            prepared, dims = self.variables[name], self.dims[name]
            if prepared is None:
                return None
            left = remaining(dims, keys)
            if not (drop and name in self.coords and dims and not left):
                dtype = variables_of(self.dataset)[name].dtype
                parts[name] = ResultVariable(left, tuple([lengths[dim] for dim in left]), dtype)
        unread = [name for name in parts if isinstance(self.variables[name], StoredVariable)]
        attrs = sum([self.attribute_bytes[name] for name in (*parts, _WHOLE)])
        coords = [name for name in self.coords if name in parts]
        return ResultSchema.of(parts, coords, unread, attrs)

    def _left(self, dim: Hashable, key: Key) -> tuple[Hashable, int | None]:
        """The dimension that `key` leaves of `dim`, and its length (None: it leaves none)."""
        return key.dim if isinstance(key, Points) else dim, length_of(key, self.sizes[dim])

    def _lengths(self, keys: Keys) -> dict[Hashable, int]:
        """The size of each dimension that an answer to `keys` can have."""
        lengths = dict(self.sizes)
        for dim, key in keys.items():
            left, length = self._left(dim, key)
            if length is not None:
                lengths[left] = length
        return lengths

    def _kept(self, keys: Keys, keep: Collection[Hashable]) -> Iterable[Hashable]:
        left = {dim for name in keep for dim in remaining(self.dims[name], keys)}
        along = [n for n in self.coords if left.issuperset(remaining(self.dims[n], keys))]
        return dict.fromkeys([*keep, *along])


def _prepared(ds: xr.Dataset, name: Hashable, variable: xr.Variable) -> Prepared:
    index = indexes_of(ds).get(name)
    if index is not None:
        return IndexCoordinate.of(name, variable, index) if type(index) is PandasIndex else None
    data = data_of(variable)
    if not isinstance(data, LazilyIndexedArray) or not isinstance(data.array, LazyArray):
        return None
    if any(key != slice(None) for key in data.key.tuple):
        return None
    return StoredVariable(variable.dims, variable.attrs, variable.encoding, data.array)
