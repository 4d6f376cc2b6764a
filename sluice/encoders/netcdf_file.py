"""Variables, dimensions and attributes -> the bytes of a NetCDF-4 file.

NetCDF-4 is HDF5 by convention (NetCDF User's Guide, "NetCDF-4 File Format"; HDF5 Dimension Scale
Specification). A dimension is a scale: the variable of its name, or a placeholder without values.
Every other variable lists the scales of its dimensions, and every scale who lists it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from struct import pack
from typing import Any, Final

import numpy as np

from sluice import __version__
from sluice.aliases import Array, Document
from sluice.encoders.hdf5 import (
    ATTRIBUTE_BYTES,
    NO_SPACE,
    NOWHERE,
    PADDED,
    REFERENCES,
    REFERRERS,
    TERMINATED,
    TEXTS,
    File,
    array_header,
    attribute,
    dataspace,
    datatype,
    group_header,
    growing_header,
    heap,
    text_type,
)
from sluice.encoders.netcdf_names import NOT_A_DIMENSION

_PLACEHOLDER: Final = "This is a netCDF dimension but not a netCDF variable.%10d"
_PROPERTIES: Final = f"version=2,sluice={__version__}"


@dataclass(frozen=True, slots=True)
class NetcdfVariable:
    """Integers, floats, single bytes or (as objects) text along named dimensions.

    Attributes are text of any length, or at most `ATTRIBUTE_BYTES` of numbers or lists of text;
    `_FillValue` is one of the variable's values.
    """

    name: str
    dims: tuple[str, ...]
    values: Array
    attrs: Document

    @property
    def is_scale(self) -> bool:
        """Whether the variable stands for its dimension, or the first of them."""
        return self.dims[:1] == (self.name,)


def write_netcdf(variables: Sequence[NetcdfVariable], attrs: Document) -> list[memoryview]:
    """The file with these variables in this order, and these global attributes, in its parts.

    The values of the variables are parts of it as they are: they are not copied.
    """
    return _Writer(variables).write(attrs)


class _Writer:
    """Places everything, and knows the addresses of what it has placed."""

    def __init__(self, variables: Sequence[NetcdfVariable]) -> None:
        self._file = File()
        self._sizes = {d: n for v in variables for d, n in zip(v.dims, v.values.shape, strict=True)}
        self._ids = {dim: number for number, dim in enumerate(self._sizes)}
        self._arrays = {self._link(v): v for v in variables if not v.is_scale}
        self._scales = {v.name: v for v in variables if v.is_scale}
        # What each scale says of the arrays that list it.
        self._referrers: dict[str, list[bytes]] = {dim: [] for dim in self._sizes}
        # Where the objects of the root group are, in the order in which a reader finds them.
        self._places = dict.fromkeys([*map(self._link, variables), *self._sizes], NOWHERE)

    def write(self, attrs: Document) -> list[memoryview]:
        """Places values before what refers to them, and the root group at last."""
        used = [dim for variable in self._arrays.values() for dim in variable.dims]
        # Arrays say where their lists of scales are, these where scales are, and these where
        # arrays are: the lists have a place at once, but are written when the rest is placed.
        start = self._file.end
        lists, handles = heap(start, [bytes(8)] * len(used), 8)
        self._file.place(lists)
        unused = iter(handles)
        for link, variable in self._arrays.items():
            self._places[link] = self._place_array(variable, islice(unused, len(variable.dims)))
        for dim in self._sizes:
            self._places[dim] = self._place_scale(dim)
        lists[:], _ = heap(start, [pack("<Q", self._places[dim]) for dim in used], 8)
        attributes = [self._attribute(*item) for item in attrs.items()]
        attributes.append(_text("_NCProperties", _PROPERTIES))
        root = group_header([*self._places.items()], attributes)
        return self._file.finish(self._file.place(root))

    def _link(self, variable: NetcdfVariable) -> str:
        """The variable's name, unless that leads to the scale of a dimension which it is not."""
        taken = variable.name in self._sizes and not variable.is_scale
        return f"{NOT_A_DIMENSION}{variable.name}" if taken else variable.name

    def _place_array(self, variable: NetcdfVariable, lists: Iterable[bytes]) -> int:
        if not variable.dims:
            return self._place(variable, [])
        space = dataspace((len(variable.dims),))
        listed = attribute("DIMENSION_LIST", REFERENCES, space, b"".join(lists))
        place = self._place(variable, [listed, self._coordinates(variable.dims)])
        for axis, dim in enumerate(variable.dims):
            self._referrers[dim].append(pack("<QI4x", place, axis))
        return place

    def _place_scale(self, dim: str) -> int:
        variable, size, referrers = self._scales.get(dim), self._sizes[dim], self._referrers[dim]
        name = _PLACEHOLDER % size if variable is None else dim
        hidden = [
            _text("CLASS", "DIMENSION_SCALE\0", TERMINATED),
            _text("NAME", f"{name}\0", TERMINATED),
            _numbers("_Netcdf4Dimid", np.int32(self._ids[dim])),
            self._coordinates((dim,) if variable is None else variable.dims),
        ]
        if 0 < 16 * len(referrers) <= ATTRIBUTE_BYTES:
            # A longer list is left out: only who renames or removes a dimension looks at it.
            space = dataspace((len(referrers),))
            hidden.append(attribute("REFERENCE_LIST", REFERRERS, space, b"".join(referrers)))
        if variable is not None:
            return self._place(variable, hidden)
        kind = datatype(np.dtype(">f4"))
        return self._file.place(_header(kind, (size,), (NOWHERE, 4 * size), b"", hidden))

    def _place(self, variable: NetcdfVariable, hidden: list[bytes]) -> int:
        """The values of a variable and its header; the address of the latter."""
        kind, shape = datatype(variable.values.dtype), variable.values.shape
        if variable.values.dtype.kind == "O":
            content: Any = self._place_texts(variable.values.ravel().tolist())
        else:
            content = np.ascontiguousarray(variable.values).reshape(-1).view("u1")
        length = memoryview(content).nbytes
        place = (self._file.place(content) if length else NOWHERE, length)
        attributes = hidden + [self._attribute(*item) for item in variable.attrs.items()]
        fill = variable.attrs.get("_FillValue")
        filled = b"" if fill is None else fill.tobytes()
        return self._file.place(_header(kind, shape, place, filled, attributes))

    def _coordinates(self, dims: Sequence[str]) -> bytes:
        """The numbers of a variable's dimensions: what the C library looks for first."""
        return _numbers("_Netcdf4Coordinates", np.array([self._ids[dim] for dim in dims], "i4"))

    def _attribute(self, name: str, value: Any) -> bytes:
        match value:
            case str() if value.isascii() and len(value) <= ATTRIBUTE_BYTES:
                return _text(name, value)
            case str():
                return attribute(name, TEXTS, dataspace(()), self._place_texts([value]))
            case list():
                return attribute(name, TEXTS, dataspace((len(value),)), self._place_texts(value))
            case _:
                return _numbers(name, np.atleast_1d(value))

    def _place_texts(self, texts: list[str]) -> bytes:
        """Text of any length; what stands for it in an array."""
        content, handles = heap(self._file.end, [text.encode() for text in texts])
        self._file.place(content)
        return b"".join(handles)


def _header(
    kind: bytes,
    shape: tuple[int, ...],
    place: tuple[int, int],
    fill: bytes,
    attributes: Sequence[bytes],
) -> bytes:
    """The header of an array; in NetCDF a dimension of no length is one that can grow."""
    if 0 in shape:
        return growing_header(kind, shape, fill, attributes)
    return array_header(kind, shape, place, fill, attributes)


def _text(name: str, value: str, ending: int = PADDED) -> bytes:
    """Characters, as the C library writes text; none at all have no place rather than no size.

    They are said to be ASCII, which the HDF5 library says of the names of scales in any case: old
    readers (h5py 2) know no other text of one length.
    """
    data = value.encode()
    space = dataspace(()) if data else NO_SPACE
    return attribute(name, text_type(len(data) or 1, ending), space, data)


def _numbers(name: str, value: Any) -> bytes:
    return attribute(name, datatype(value.dtype), dataspace(value.shape), value.tobytes())
