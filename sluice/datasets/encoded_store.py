"""A group's variables as xarray reads them from documents that are already in memory.

They are encoded: `sluice.datasets.group_opening` has them decoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable
from typing import Final

import numpy as np
import xarray as xr
import zarr
from xarray.backends import BackendArray

from sluice.aliases import Array, Document, DocumentDict, DType, ZarrObject
from sluice.arrays.array_metadata import ArrayMeta, parse_array
from sluice.arrays.conventions import check_name, dimension_names, marked_fill_value
from sluice.arrays.group_documents import GroupDocuments
from sluice.datasets._xarray import (
    DocumentStore,
    ExplicitIndexer,
    LazilyIndexedArray,
    NumpyIndexingAdapter,
    apply_indexer,
    variable_of,
)
from sluice.datasets.coders import check_encoding
from sluice.datasets.relabel import distinct_dims, with_distinct_dims
from sluice.datasets.unusable import Unusable
from sluice.errors import MetadataError

_FILL: Final = "_FillValue"
_ENCODING: Final = "_Encoding"
_NUMBERS: Final = ("scale_factor", "add_offset")
# The attributes of one variable by which xarray decodes another one.
_SHARED: Final = ("units", "calendar", "bounds")


class EncodedStore(DocumentStore):
    """xarray's reading of Zarr attributes and encodings, over documents that are already here.

    Each array is parsed on its own: what cannot be used is in `unusable`, with its reason, and
    and `leave_out` adds to them later. Arrays that are `dropped` are not parsed.
    """

    def __init__(
        self, documents: GroupDocuments, zarr_store: ZarrObject, dropped: Collection[str] = ()
    ) -> None:
        super().__init__(zarr.Group(_group(documents)))
        self.documents = documents
        self.dropped = frozenset(dropped)
        # Whether to leave out variables whose values could be read and not be unpacked, and whether
        # dates may be missing in every calendar.
        self.lenient = False
        self.unusable: dict[str, Unusable] = {}
        self.encoded: dict[str, EncodedArray] = {}
        self.variables: dict[str, xr.Variable] = {}
        self.zarr_store = zarr_store
        for name, reason in documents.broken.items():
            if name not in self.dropped:
                self.unusable[name] = Unusable(reason)
        for name in documents.arrays:
            if name not in self.dropped:
                self._add(name)
        taken = {*documents.arrays, *(dim for v in self.variables.values() for dim in v.dims)}
        for name in list(self.variables):
            self._separate_dims(name, taken)

    def _separate_dims(self, name: str, taken: Collection[Hashable]) -> None:
        """Give one variable distinct dimensions, once the names of all are known."""
        try:
            self.variables[name] = with_distinct_dims(name, self.variables[name], taken)
        except MetadataError as error:
            self.leave_out(name, error)

    def _add(self, name: str) -> None:
        """Parse one array; on its own, so that it alone is left out where that fails."""
        try:
            check_name(name)
            self.variables[name] = self._variable(name)
        except MetadataError as error:
            self.leave_out(name, error)

    def leave_out(self, name: str, error: Exception) -> None:
        """Leave the variable `name` out, because of `error`."""
        self.unusable[name] = Unusable.of(name, error, self._attributes(name))

    @property
    def fetched_bytes(self) -> int:
        """The bytes of all values that were read to decode by."""
        return sum([e.values.nbytes for e in self.encoded.values() if e.values is not None])

    @property
    def left_out(self) -> set[str]:
        """The names that have no part in the dataset."""
        return {*self.dropped, *self.unusable}

    def close(self) -> None:
        """Nothing to close: whoever made the source closes it."""

    def load(self) -> tuple[dict[str, xr.Variable], DocumentDict]:
        """Copies of the encoded variables (decoding edits attributes), and the group's own.

        Placeholders stand for those that are left out: others may refer to them.
        """
        left_out = self.left_out
        variables = {
            name: self._placeholder(name)
            if name in left_out
            else self.variables[name].copy(deep=False)
            for name in self.documents.arrays
        }
        return variables, self.attributes()

    def _variable(self, name: str) -> xr.Variable:
        """The encoded variable by xarray's own reading, but for what others write otherwise."""
        document = self.documents.arrays[name]
        attributes = dict(document.get("attributes") or {})
        # In v3, xarray raises for a fill value that is not spelled as xarray spells it.
        marked = attributes.pop(_FILL, None) if self.documents.zarr_format == 3 else None
        path = f"{self.documents.path}/{name}".strip("/")
        meta = parse_array(path, {**document, "attributes": attributes}, self.zarr_store)
        dimension_names({**document, "shape": meta.shape})
        self.opened[name] = zarr.Array(meta.zarr)
        with warnings.catch_warnings():
            # Dimensions that it has twice get distinct names afterwards.
            warnings.filterwarnings("ignore", "Duplicate dimension names", UserWarning)
            variable = self.encoded_variable(name)
        if meta.dtype.kind == "V":
            # xarray cannot compare records with a fill value; none of them is missing.
            variable.attrs.pop(_FILL, None)
        if marked is not None:
            variable.attrs[_FILL] = marked_fill_value(
                _unwrapped(marked), meta.dtype, variable.attrs.get("_Unsigned")
            )
        if meta.dtype.kind not in "SO":
            # It names the encoding of bytes, and there are none.
            variable.attrs.pop(_ENCODING, None)
        for key in _NUMBERS:
            if key in variable.attrs:
                variable.attrs[key] = _unwrapped(variable.attrs[key])
        check_encoding(variable)
        self.encoded[name] = EncodedArray(name, meta, variable.dtype)
        data = LazilyIndexedArray(self.encoded[name])
        return variable_of(variable.dims, data, variable.attrs, variable.encoding)

    def _attributes(self, name: str) -> DocumentDict:
        """The stored attributes of an array, whatever else is wrong with it."""
        attributes = self.documents.arrays.get(name, {}).get("attributes")
        return attributes if isinstance(attributes, dict) else {}

    def _placeholder(self, name: str) -> xr.Variable:
        """What xarray needs to know of a variable that it does not decode.

        That is whether its last dimension is of characters, and the time units of its bounds.
        """
        document = self.documents.arrays[name]
        known = self.variables.get(name)
        dims = _dims_of(document) if known is None else known.dims
        characters = document.get("dtype") == "|S1" if known is None else known.dtype == "S1"
        dtype = "S1" if characters else "f8"
        told = {k: v for k, v in self._attributes(name).items() if k in _SHARED and type(v) is str}
        values = np.broadcast_to(np.zeros((), dtype), (1,) * len(dims))
        return xr.Variable(distinct_dims(dims), values, told)


def _unwrapped(value: object) -> object:
    """The value of a list of one, as netCDF libraries write numbers; any other value as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _dims_of(document: Document) -> tuple[str | None, ...]:
    """The dimensions that a document names, or none."""
    try:
        return dimension_names(document)
    except (MetadataError, KeyError, TypeError):
        return ()


def _group(documents: GroupDocuments) -> ZarrObject:
    from zarr.core.group import AsyncGroup, GroupMetadata
    from zarr.storage import MemoryStore, StorePath

    metadata = GroupMetadata(dict(documents.attributes), zarr_format=documents.zarr_format)
    return AsyncGroup(metadata, StorePath(MemoryStore()))


class NotFetched(Exception):
    """xarray's decoding looked at values of the variable `name`, which are not in memory yet."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class EncodedArray(BackendArray):
    """An array as the store has it, while the dataset is being opened.

    xarray reads some values synchronously when it decodes: all of an index coordinate, the first
    and the last of a time. Those are put here before; any other look raises `NotFetched`.
    """

    __slots__ = ("dtype", "edges", "meta", "name", "shape", "values")

    def __init__(self, name: str, meta: ArrayMeta, dtype: DType) -> None:
        self.name = name
        self.meta = meta
        self.dtype = dtype
        self.shape = meta.shape
        self.values: Array | None = None
        self.edges: tuple[Array, Array] | None = None

    def __getitem__(self, key: ExplicitIndexer) -> Array:
        if self.values is not None:
            return np.asarray(apply_indexer(NumpyIndexingAdapter(self.values), key))
        if self.edges is None:
            raise NotFetched(self.name)
        return self._edge(key)

    def _edge(self, key: ExplicitIndexer) -> Array:
        """The first or the last element, whichever `key` names; the rest is not here."""
        places = [
            range(*k.indices(size)) if isinstance(k, slice) else np.atleast_1d(k)
            for k, size in zip(key.tuple, self.shape, strict=True)
        ]
        shape = [len(p) for p, k in zip(places, key.tuple, strict=True) if isinstance(k, slice)]
        assert self.edges is not None
        if all(len(p) == 1 and p[0] == 0 for p in places):
            return self.edges[0].reshape(shape)
        if all(len(p) == 1 and p[0] == n - 1 for p, n in zip(places, self.shape, strict=True)):
            return self.edges[1].reshape(shape)
        raise NotFetched(self.name)
