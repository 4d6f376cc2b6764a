"""Variables, dimensions and attributes -> the bytes of a NetCDF-4 file: metadata, then values.

NetCDF-4 is HDF5 by convention (NetCDF User's Guide, "NetCDF-4 File Format"; HDF5 Dimension Scale
Specification). A dimension is a scale: the variable of its name, or a placeholder without values.
Every other variable lists the scales of its dimensions, and every scale who lists it.

All that describes the values lies before the first of them, and follows from names, shapes, types
and attributes alone: so a file has a size, and each value its place, before any value is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from struct import pack
from typing import Final

import numpy as np

from sluice import __version__
from sluice.aliases import Array, Document, DType
from sluice.concurrency import until_cancelled
from sluice.encoders.file_values import (
    Extent,
    FileLayout,
    Places,
    chunk_counts,
    chunk_index,
    growing_chunks,
    index_bytes,
    pipeline,
)
from sluice.encoders.hdf5 import (
    ATTRIBUTE_BYTES,
    NO_SPACE,
    NOWHERE,
    PADDED,
    REFERENCES,
    REFERRERS,
    SUPERBLOCK_BYTES,
    TERMINATED,
    TEXT_BYTES,
    TEXTS,
    UNLIMITED,
    ArrayHeader,
    array_header,
    attribute,
    chunked_header,
    dataspace,
    datatype,
    group_header,
    heap,
    superblock,
    text_type,
)
from sluice.encoders.netcdf_names import NOT_A_DIMENSION

_PLACEHOLDER: Final = "This is a netCDF dimension but not a netCDF variable.%10d"
_PROPERTIES: Final = f"version=2,sluice={__version__}"


@dataclass(frozen=True, slots=True)
class NetcdfVariable:
    """Integers, floats, single bytes or (as objects) text along named dimensions, without values.

    Attributes are text of any length, or at most `ATTRIBUTE_BYTES` of numbers or lists of text;
    `_FillValue` is one of the variable's values. Text has no length that follows from its type:
    all of it is in `texts`. With `chunks`, of so many values along each dimension, values lie chunk
    by chunk (all text in one); without them they are one piece.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: DType
    attrs: Document
    texts: Sequence[str] = ()
    chunks: tuple[int, ...] | None = None

    @property
    def is_scale(self) -> bool:
        """Whether the variable stands for its dimension, or the first of them."""
        return self.dims[:1] == (self.name,)


def file_layout(
    variables: Sequence[NetcdfVariable],
    attrs: Document,
    order: Iterable[str] = (),
    unlimited: Collection[str] = (),
    *,
    deflated: bool = False,
) -> FileLayout:
    """The file with these variables in this order, and these global attributes.

    Values are in the `order` of these names, or in that of the variables. Dimensions that are
    `unlimited` can grow: `ValueError` for what lies along them and has no chunks. Where chunks are
    to be `deflated`, the layout is that of their values; `settled` makes the metadata of the file.
    """
    return _Metadata(variables, unlimited, deflated).layout(attrs, [*order])


class _Metadata:
    """Writes all but values, piece by piece, and knows the address of each piece."""

    def __init__(
        self, variables: Sequence[NetcdfVariable], unlimited: Collection[str], deflated: bool
    ) -> None:
        # The address of the next piece: a multiple of eight.
        self._end = SUPERBLOCK_BYTES
        self._pieces: list[bytes | bytearray] = []
        # Variables whose values have no place yet: their bytes, and what is to be told the place.
        self._waiting: dict[str, tuple[NetcdfVariable, int, Callable[[Places], None]]] = {}
        self._root = NOWHERE
        self._deflated = deflated
        self._unlimited = frozenset(unlimited)
        self._sizes = {d: n for v in variables for d, n in zip(v.dims, v.shape, strict=True)}
        self._ids = {dim: number for number, dim in enumerate(self._sizes)}
        self._arrays = {self._link(v): v for v in variables if not v.is_scale}
        self._scales = {v.name: v for v in variables if v.is_scale}
        # The references of each scale to the arrays that list it.
        self._referrers: dict[str, list[bytes]] = {dim: [] for dim in self._sizes}
        # The addresses of the root group's objects, in the order of its links.
        self._places = dict.fromkeys([*map(self._link, variables), *self._sizes], NOWHERE)

    def layout(self, attrs: Document, order: list[str]) -> FileLayout:
        """Writes what is referred to before what refers to it, and the root group last."""
        used = [dim for variable in self._arrays.values() for dim in variable.dims]
        # Arrays refer to their lists of scales, these to scales, and scales to arrays: so room is
        # kept for the lists, which are written once scales have addresses.
        start = self._end
        lists, handles = heap(start, [bytes(8)] * len(used), 8)
        self._place(lists)
        unused = iter(handles)
        for link, variable in self._arrays.items():
            self._places[link] = self._place_array(variable, islice(unused, len(variable.dims)))
        for dim in self._sizes:
            self._places[dim] = self._place_scale(dim)
        lists[:], _ = heap(start, [pack("<Q", self._places[dim]) for dim in used], 8)
        attributes = [self._attribute(*item) for item in attrs.items()]
        attributes.append(_text("_NCProperties", _PROPERTIES))
        self._root = self._place(group_header([*self._places.items()], attributes))
        extents, size = self._place_values(order)
        settled = self._settled if self._deflated else None
        return FileLayout(self._written(size), size, extents, settled=settled)

    def _written(self, size: int) -> bytes:
        return b"".join([superblock(size, self._root), *self._pieces])

    def _settled(self, places: Mapping[str, Places], size: int) -> bytes:
        """The metadata of a file of `size` bytes, given the places of compressed chunks."""
        for name, found in places.items():
            _, _, settle = self._waiting[name]
            settle(found)
        return self._written(size)

    def _place(self, piece: bytes | bytearray) -> int:
        """Adds a piece and returns its address; the piece may be changed until all is written."""
        address, length = self._end, len(piece)
        self._pieces += (piece, bytes(-length % 8))
        self._end += length + -length % 8
        return address

    def _place_values(self, order: list[str]) -> tuple[dict[str, Extent], int]:
        """The places of all values, in this order, and the size of the file."""
        end, extents = self._end, dict[str, Extent]()
        for name in dict.fromkeys([n for n in order if n in self._waiting] + [*self._waiting]):
            variable, length, settle = self._waiting[name]
            pieces = math.prod(chunk_counts(variable.shape, variable.chunks or variable.shape))
            settle(Places.in_line(end, length, pieces))
            fill = variable.attrs.get("_FillValue")
            extents[name] = Extent(end, length, variable.chunks, fill)
            end += length + -length % 8
        return extents, end

    def _link(self, variable: NetcdfVariable) -> str:
        """The variable's name in the group; another one where a dimension's scale has that."""
        taken = variable.name in self._sizes and not variable.is_scale
        return f"{NOT_A_DIMENSION}{variable.name}" if taken else variable.name

    def _place_array(self, variable: NetcdfVariable, lists: Iterable[bytes]) -> int:
        if not variable.dims:
            return self._place_header(variable, [])
        space = dataspace((len(variable.dims),))
        listed = attribute("DIMENSION_LIST", REFERENCES, space, b"".join(lists))
        place = self._place_header(variable, [listed, self._coordinates(variable.dims)])
        for axis, dim in enumerate(variable.dims):
            self._referrers[dim].append(pack("<QI4x", place, axis))
        return place

    def _place_scale(self, dim: str) -> int:
        variable, size, referrers = self._scales.get(dim), self._sizes[dim], self._referrers[dim]
        name = _PLACEHOLDER % size if variable is None else dim
        hidden = [
            _text("CLASS", "DIMENSION_SCALE\0", TERMINATED),
            _text("NAME", f"{name}\0", TERMINATED),
            _numbers("_Netcdf4Dimid", np.array(self._ids[dim], "i4")),
            self._coordinates((dim,) if variable is None else variable.dims),
        ]
        if 0 < 16 * len(referrers) <= ATTRIBUTE_BYTES:
            # A longer list is left out: it is needed only to rename or remove a dimension.
            space = dataspace((len(referrers),))
            hidden.append(attribute("REFERENCE_LIST", REFERRERS, space, b"".join(referrers)))
        if variable is not None:
            return self._place_header(variable, hidden)
        placeholder = NetcdfVariable(dim, (dim,), (size,), np.dtype(">f4"), {})
        return self._place(self._header(placeholder, hidden).content)

    def _place_header(self, variable: NetcdfVariable, hidden: list[bytes]) -> int:
        """The header of a variable; if it has values, their place is filled in later."""
        length = math.prod(variable.shape) * variable.dtype.itemsize
        if length and variable.chunks is None and self._unlimited.intersection(variable.dims):
            raise ValueError(f"{variable.name} can grow, and needs chunks")
        if variable.dtype.kind == "O":
            return self._place_text_header(variable, hidden)
        header = self._header(variable, hidden)
        settle: Callable[[Places], None] = partial(_point_to, header)
        if variable.chunks is not None and length:
            counts = chunk_counts(variable.shape, variable.chunks)
            index = bytearray(index_bytes(math.prod(counts), len(counts)))
            settle = partial(_index_chunks, variable, header, index, self._place(index))
            length = math.prod((*counts, *variable.chunks)) * variable.dtype.itemsize
        if length:
            self._waiting[variable.name] = variable, length, settle
        return self._place(header.content)

    def _place_text_header(self, variable: NetcdfVariable, hidden: list[bytes]) -> int:
        """The header of text, which is written before it, as one chunk where it has chunks."""
        place = self._place(self._place_texts(variable.texts)) if variable.texts else NOWHERE
        header = self._header(variable, hidden)
        if variable.chunks is not None and variable.texts:
            shape = variable.shape
            found = Places.in_line(place, len(variable.texts) * TEXT_BYTES, 1)
            index, place = chunk_index(self._end, found, shape, shape, TEXT_BYTES)
            self._place(index)
        header.point_to(place)
        return self._place(header.content)

    def _header(self, variable: NetcdfVariable, hidden: list[bytes]) -> ArrayHeader:
        """The header of an array; in NetCDF a dimension of no length is one that can grow."""
        attributes = hidden + [self._attribute(*item) for item in variable.attrs.items()]
        kind, shape, size = datatype(variable.dtype), variable.shape, variable.dtype.itemsize
        fill = variable.attrs.get("_FillValue")
        filled = b"" if fill is None else fill.tobytes()
        most = [
            UNLIMITED if not length or dim in self._unlimited else length
            for dim, length in zip(variable.dims, shape, strict=True)
        ]
        if variable.chunks is None and UNLIMITED not in most:
            length = math.prod(shape) * (TEXT_BYTES if variable.dtype.kind == "O" else size)
            return array_header(kind, shape, length, filled, attributes)
        chunks = variable.chunks or growing_chunks(shape, size)
        if variable.texts:
            # All text is one chunk.
            chunks = shape
        deflated = self._deflated and variable.dtype.kind != "O"
        filters = pipeline(size) if deflated else b""
        return chunked_header(kind, shape, most, chunks, filled, attributes, filters)

    def _coordinates(self, dims: Sequence[str]) -> bytes:
        """The numbers of a variable's dimensions, by which the C library finds them."""
        return _numbers("_Netcdf4Coordinates", np.array([self._ids[dim] for dim in dims], "i4"))

    def _attribute(self, name: str, value: object) -> bytes:
        match value:
            case str() if value.isascii() and len(value) <= ATTRIBUTE_BYTES:
                return _text(name, value)
            case str():
                return attribute(name, TEXTS, dataspace(()), self._place_texts([value]))
            case list():
                return attribute(name, TEXTS, dataspace((len(value),)), self._place_texts(value))
            case _:
                return _numbers(name, np.atleast_1d(np.asarray(value)))

    def _place_texts(self, texts: Sequence[str]) -> bytes:
        """Writes texts of any length to a heap; the bytes that refer to them in an array."""
        content, handles = heap(self._end, [text.encode() for text in until_cancelled(texts)])
        self._place(content)
        return b"".join(handles)


def _point_to(header: ArrayHeader, places: Places) -> None:
    """Fills in the address of values in one piece."""
    header.point_to(int(places.starts[0]))


def _index_chunks(
    variable: NetcdfVariable, header: ArrayHeader, index: bytearray, address: int, places: Places
) -> None:
    """Writes the index of chunks in these `places`, and fills its address in the header."""
    assert variable.chunks is not None
    size = variable.dtype.itemsize
    index[:], root = chunk_index(address, places, variable.shape, variable.chunks, size)
    header.point_to(root)


def _text(name: str, value: str, ending: int = PADDED) -> bytes:
    """Text as the C library writes it, as characters; empty text has a null dataspace.

    Its type is ASCII, as that of scales' names always is: h5py 2 reads no other text of one length.
    """
    data = value.encode()
    space = dataspace(()) if data else NO_SPACE
    return attribute(name, text_type(len(data) or 1, ending), space, data)


def _numbers(name: str, value: Array) -> bytes:
    return attribute(name, datatype(value.dtype), dataspace(value.shape), value.tobytes())
