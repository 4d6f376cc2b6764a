"""The one place that knows xarray's private names, and makes its objects of parts that fit.

xarray's constructors check and convert; an answer is made of parts that are known to fit, several
times as fast. Its public names lack the decoding of CF conventions as functions, and a Zarr store
that is already read. A test names what a newer xarray has moved (`tests/datasets/test_xarray.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, TypeVar

import xarray as xr
import zarr
from xarray.backends.zarr import ZarrStore
from xarray.coding.common import (
    _ElementwiseFunctionArray,
    lazy_elemwise_func,
    pop_to,
    unpack_for_decoding,
)
from xarray.coding.strings import StackedBytesArray, _numpy_char_to_bytes, decode_bytes_array
from xarray.coding.times import decode_cf_datetime, decode_cf_timedelta, encode_cf_datetime
from xarray.coding.variables import (
    BoolTypeArray,
    NativeEndiannessArray,
    _apply_mask,
    _scale_offset_decoding,
)
from xarray.conventions import decode_cf_variables
from xarray.core.indexing import (
    ExplicitIndexer,
    ImplicitToExplicitIndexingAdapter,
    LazilyIndexedArray,
    NumpyIndexingAdapter,
    PandasIndexingAdapter,
    VectorizedIndexer,
    apply_indexer,
    as_indexable,
    map_index_queries,
)
from xarray.core.utils import drop_dims_from_indexers
from xarray.namedarray.utils import either_dict_or_kwargs

from sluice.aliases import Array, DocumentDict, Named, NamedDict, ZarrObject

__all__ = [
    "BoolTypeArray",
    "DocumentStore",
    "ElementwiseArray",
    "ExplicitIndexer",
    "ImplicitToExplicitIndexingAdapter",
    "LazilyIndexedArray",
    "NativeEndiannessArray",
    "NumpyIndexingAdapter",
    "StackedBytesArray",
    "VectorizedIndexer",
    "apply_indexer",
    "apply_mask",
    "as_indexable",
    "char_to_bytes",
    "coord_names_of",
    "data_of",
    "dataset_of",
    "decode_bytes_array",
    "decode_cf_datetime",
    "decode_cf_timedelta",
    "decode_cf_variables",
    "drop_dims_from_indexers",
    "either_dict_or_kwargs",
    "encode_cf_datetime",
    "indexes_of",
    "lazy_elemwise_func",
    "map_index_queries",
    "pop_to",
    "scalars_of",
    "scale_offset_decoding",
    "stored_of",
    "unpack_for_decoding",
    "variable_of",
    "variables_of",
    "with_stored",
    "with_variables",
]

D = TypeVar("D", bound=xr.Dataset)

ElementwiseArray: Final = _ElementwiseFunctionArray
apply_mask: Final = _apply_mask
scale_offset_decoding: Final = _scale_offset_decoding
char_to_bytes: Final = _numpy_char_to_bytes

# What a Dataset holds, without the wrappers that its properties make anew each time.
variables_of: Final[Callable[[xr.Dataset], dict[Any, xr.Variable]]] = attrgetter("_variables")
coord_names_of: Final[Callable[[xr.Dataset], set[Hashable]]] = attrgetter("_coord_names")
indexes_of: Final[Callable[[xr.Dataset], dict[Any, xr.Index]]] = attrgetter("_indexes")
# What a variable's data is made of: an array, an index, or xarray's lazy form of one.
data_of: Final[Callable[[xr.Variable], Any]] = attrgetter("_data")


def variable_of(
    dims: tuple[Hashable, ...],
    data: object,
    attrs: Named | None,
    encoding: Named | None,
) -> xr.Variable:
    """``xr.Variable(dims, data, attrs, encoding)`` of an array, or of xarray's lazy form of one.

    It has as many axes as `dims`. Without the checks and conversions of the constructor, which
    takes four times as long; an answer has several variables. `attrs` and `encoding` are copied.
    """
    variable: Any = object.__new__(xr.Variable)
    variable._dims = dims
    variable._data = data
    variable._attrs = dict(attrs) if attrs else None
    variable._encoding = dict(encoding) if encoding else None
    return variable  # type: ignore[no-any-return]


def scalars_of(
    values: Iterable[tuple[Hashable, Array, xr.Variable]],
) -> dict[Hashable, xr.Variable]:
    """Variables by name, each as `variable_of` of one value of another variable."""
    found: dict[Hashable, xr.Variable] = {}
    for name, value, of in values:
        scalar: Any = object.__new__(xr.Variable)
        origin: Any = of
        scalar._dims = ()
        scalar._data = value
        scalar._attrs = dict(origin._attrs) if origin._attrs else None
        scalar._encoding = dict(origin._encoding) if origin._encoding else None
        found[name] = scalar
    return found


def dataset_of(
    kind: type[D],
    variables: NamedDict,
    coord_names: set[Hashable],
    sizes: dict[Any, int],
    attrs: NamedDict | None,
    indexes: dict[Any, xr.Index],
    encoding: NamedDict | None,
) -> D:
    """A Dataset of class `kind`, of parts that fit; nothing is copied or checked."""
    return kind._construct_direct(variables, coord_names, sizes, attrs, indexes, encoding)


def with_variables(
    ds: D, variables: Mapping[Any, xr.Variable], sizes: Mapping[Any, int] | None = None
) -> D:
    """`ds` with exactly these variables, and its own sizes unless `sizes` are given."""
    if sizes is None:
        return ds._replace(dict(variables))
    return ds._replace(dict(variables), dims=dict(sizes))


class DocumentStore(ZarrStore):
    """xarray's reading of attributes and encodings, over a `group` that is not read for it.

    Members are added to `opened` one by one, as zarr arrays.
    """

    def __init__(self, group: zarr.Group) -> None:
        # Not ZarrStore's own: it asks the store for the group's members, synchronously.
        self._mode = "r"
        self._use_zarr_fill_value_as_mask = group.metadata.zarr_format == 2
        self.opened: dict[str, ZarrObject] = {}
        self.zarr_group = group

    @property
    def members(self) -> dict[str, ZarrObject]:
        return self.opened

    def attributes(self) -> DocumentDict:
        """The group's own attributes, as xarray has them."""
        attributes: DocumentDict = ZarrStore.get_attrs(self)
        return attributes

    def encoded_variable(self, name: str) -> xr.Variable:
        """The opened member `name` as an encoded variable."""
        variable: xr.Variable = ZarrStore.open_store_variable(self, name)
        return variable


class LabelsAsStored(PandasIndexingAdapter):
    """An index coordinate's data that also knows what the store has in its place, as `stored`.

    What xarray derives from it forgets that, and is decoded like all else.
    """

    __slots__ = ("stored",)

    stored: object


def with_stored(coordinate: xr.Variable, stored: object) -> xr.Variable:
    """The same index coordinate, which knows what is `stored` in the place of its labels."""
    known: Any = coordinate.copy(deep=False)
    data: object = known._data
    if isinstance(data, PandasIndexingAdapter):
        labels = LabelsAsStored(data.array, data.dtype)
        labels.stored = stored
        known._data = labels
    return known  # type: ignore[no-any-return]


def stored_of(coordinate: xr.Variable) -> object:
    """What `with_stored` was told; None where it was told nothing."""
    data = data_of(coordinate)
    return getattr(data, "stored", None) if isinstance(data, LabelsAsStored) else None
