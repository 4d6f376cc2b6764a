"""Copies of a dataset in other chunks: which of them fit, and which one a selection is read from.

A copy has the same values in the same places, so what a variable is, how it decodes and where an
answer is cut follow from the dataset itself. From a copy come bytes alone: it is read in the place
of the dataset where less has to be decoded for the same values.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, Self

import numpy as np

from sluice.aliases import DType, record
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.reader import Reader
from sluice.arrays.store_reader import StoreReader
from sluice.datasets.encoded_store import EncodedStore
from sluice.datasets.layout import Keys, Layout, StoredVariable
from sluice.datasets.lazy import LazyArray, VariableReadPlan
from sluice.datasets.read_plan import DatasetReadPlan
from sluice.encoders.answer_schema import AS_STORED, FILLS, LINEAR
from sluice.store.source import ByteSource
from sluice.store.zarr_store import SourceStore

# The attribute of a copy's group that names the version of the dataset that it is a copy of.
STAMP: Final = "sluice_copy_of"
# The attributes by which values are decoded: packing, fill values, times, text.
_MEANING: Final = (*LINEAR, *FILLS, "units", "calendar", "_Unsigned", "_Encoding")


@record
class Copy:
    """A copy of a dataset, by its name: its arrays, and what reads their chunks."""

    name: str
    store: EncodedStore
    reader: StoreReader

    @classmethod
    def of(
        cls,
        name: str,
        source: ByteSource,
        documents: GroupDocuments,
        reader: Reader | None,
        store_id: str,
    ) -> Self:
        """The copy in `source`, whose documents these are; reads nothing.

        Its chunks are kept by the `reader` for all who open this version under this `store_id`.
        """
        shared = Reader(cache_bytes=0) if reader is None else reader
        chunks = StoreReader.of(source, shared, (store_id, documents.version))
        return cls(name, EncodedStore(documents, SourceStore(source)), chunks)


@dataclass(frozen=True, slots=True)
class CopiedVariable(StoredVariable):
    """A variable whose values are in copies, too: in arrays of other chunks that decode alike."""

    copies: tuple[LazyArray, ...]

    def select(self, keys: Keys, dims: tuple[Hashable, ...]) -> VariableReadPlan:
        """Its part of an answer, from the array of which the fewest bytes are decoded for it."""
        own = StoredVariable.select(self, keys, dims)
        # (`min` takes the first of equals: the dataset itself.)
        others = [_selected(self, copy, keys, dims) for copy in self.copies]
        return min([own, *others], key=attrgetter("chunk_bytes"))

    def from_copy(
        self, copy: str | None, keys: Keys, like: VariableReadPlan
    ) -> VariableReadPlan | None:
        """The plan `like`, read from this `copy` (None: the dataset); None if it is not there.

        Decoded or as stored, as `like` is.
        """
        arrays = [one for one in (self.array, *self.copies) if one.copy == copy]
        if not arrays:
            return None
        found = _selected(self, arrays[0], keys, like.dims)
        return found.as_stored() if AS_STORED in like.encoding else found


def _selected(
    variable: StoredVariable, array: LazyArray, keys: Keys, dims: tuple[Hashable, ...]
) -> VariableReadPlan:
    stored = StoredVariable(variable.dims, variable.attrs, variable.encoding, array)
    return stored.select(keys, dims)


def part_of(
    variable: StoredVariable, keys: Keys, dims: tuple[Hashable, ...], whole: VariableReadPlan
) -> VariableReadPlan:
    """A part of what is planned as a `whole`: from the same array, decoded or as stored alike."""
    array = StoredVariable(variable.dims, whole.attrs, whole.encoding, whole.array)
    return array.select(keys, dims)


def read_from(layout: Layout, reading: DatasetReadPlan, copy: str | None) -> DatasetReadPlan:
    """The same answer, read from this copy (None: from none), but for variables that it lacks."""
    pending = dict(reading.pending)
    for name, planned in reading.pending.items():
        prepared = layout.variables[name]
        if reading.keys is not None and isinstance(prepared, CopiedVariable):
            found = prepared.from_copy(copy, reading.keys, planned)
            found = prepared.from_copy(None, reading.keys, planned) if found is None else found
            assert found is not None
            pending[name] = found
    return replace(reading, pending=pending)


def copies_in(layout: Layout, reading: DatasetReadPlan) -> list[str | None]:
    """The copies that the answer could be read from, by name; first None, the dataset itself."""
    names: dict[str | None, None] = {None: None}
    for name in reading.pending if reading.keys is not None else ():
        prepared = layout.variables[name]
        if isinstance(prepared, CopiedVariable):
            names |= dict.fromkeys([copy.copy for copy in prepared.copies])
    return list(names)


def with_copies(
    layout: Layout, documents: GroupDocuments, source: ByteSource, copies: Sequence[Copy]
) -> tuple[Layout, Mapping[str, Mapping[str, str]]]:
    """The layout of a dataset with these copies of it, and why variables are not read from them.

    Reasons are by the name of the copy, then of the variable. `documents` are those of the dataset
    in `source`. Reads nothing.
    """
    own = EncodedStore(documents, SourceStore(source))
    variables, misfits = dict(layout.variables), dict[str, dict[str, str]]()
    for copy in copies:
        misfits[copy.name] = {}
        for name in copy.store.documents.arrays:
            prepared = variables.get(name)
            if not isinstance(prepared, StoredVariable):
                continue
            why = _misfit(own, copy.store, str(name))
            if why is None:
                variables[name] = _with_copy(prepared, copy, str(name))
            else:
                misfits[copy.name][name] = why
    return replace(layout, variables=variables), misfits


def _with_copy(variable: StoredVariable, copy: Copy, name: str) -> CopiedVariable:
    before = variable.copies if isinstance(variable, CopiedVariable) else ()
    own, meta = variable.array, copy.store.encoded[name].meta
    array = LazyArray(copy.reader, meta, own.steps, own.dtype, stacked=own.stacked, copy=copy.name)
    return CopiedVariable(variable.dims, variable.attrs, variable.encoding, own, (*before, array))


def _misfit(own: EncodedStore, other: EncodedStore, name: str) -> str | None:
    """Why a variable cannot be read from a copy in place of the dataset; None if it can."""
    for known, where in ((own, "in the dataset itself"), (other, "in the copy")):
        if name not in known.encoded or name in known.unusable:
            broken = known.unusable.get(name)
            return f"it cannot be used {where}" if broken is None else f"{where}, {broken.reason}"
    mine, its = own.encoded[name].meta, other.encoded[name].meta
    if (mine.shape, own.variables[name].dims) != (its.shape, other.variables[name].dims):
        return "its dimensions are others"
    if len(its.chunks) != len(its.shape):
        return "its chunks have no common shape"
    if _native(mine) != _native(its):
        return f"its dtype is {its.dtype}, not {mine.dtype}"
    if not _same(_fill_of(mine), _fill_of(its)):
        return "its fill value is another"
    attributes = own.variables[name].attrs, other.variables[name].attrs
    others = [k for k in _MEANING if not _same(*(attrs.get(k) for attrs in attributes))]
    return f"its {others[0]} is another" if others else None


def _native(meta: ArrayMeta) -> DType:
    # Texts of variable length have no order of bytes.
    return meta.dtype if meta.dtype.kind == "T" else meta.dtype.newbyteorder("=")


def _fill_of(meta: ArrayMeta) -> object:
    return meta.fill if meta.dtype.kind in "OTV" else np.asarray(meta.fill, meta.dtype)


def _same(one: object, other: object) -> bool:
    """Whether two values are the same, of one type; NaN is itself."""
    if one is None or other is None:
        return one is other
    mine, its = np.asarray(one), np.asarray(other)
    if mine.shape != its.shape or mine.dtype.kind != its.dtype.kind:
        return False
    return bool(np.array_equal(mine, its, equal_nan=mine.dtype.kind in "fcmM"))
