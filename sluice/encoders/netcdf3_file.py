"""Variables, dimensions and attributes -> the first bytes of a file in a classic NetCDF format.

NetCDF User's Guide, "File Format Specifications": CDF-2, with offsets of 64 bits, and CDF-5, with
lengths of 64 bits too and more types of integers. All numbers are big-endian. At most one dimension
can grow: it is the first of the variables that have it, whose rows lie record by record, behind all
other values.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from struct import pack
from typing import Final, Literal, TypeAlias

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.encoders.file_values import Extent, FileLayout, Records
from sluice.encoders.netcdf_attributes import as_text
from sluice.encoders.netcdf_file import NetcdfVariable
from sluice.errors import NotAcceptable
from sluice.labels import spell_name

Version: TypeAlias = Literal[2, 5]

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 0x0A, 0x0B, 0x0C
_CHAR: Final = 2
# Numbers of types, by numpy's kind and size; those above float64's are of CDF-5 alone.
_TYPES: Final = {
    "i1": 1,
    "S1": _CHAR,
    "i2": 3,
    "i4": 4,
    "f4": 5,
    "f8": 6,
    "u1": 7,
    "u2": 8,
    "u4": 9,
    "i8": 10,
    "u8": 11,
}
_MOST_LENGTH: Final = {2: 2**31 - 1, 5: 2**63 - 1}
# Of a variable, or of a record of one that grows, unless it is the last of the file.
_MOST_BYTES: Final = {2: 2**32 - 4, 5: 2**63 - 4}
# In CDF-2, the size of a variable whose bytes are more than 32 bits can count.
_UNSAID: Final = 2**32 - 1
_INT32: Final = np.iinfo("i4")
_OTHERS: Final = ["netcdf"]


def classic_layout(
    variables: Sequence[NetcdfVariable],
    attrs: Document,
    order: Iterable[str],
    unlimited: Sequence[str] = (),
    *,
    version: Version,
) -> FileLayout:
    """The file with these variables and global attributes; values are in the order of the header.

    That is the order of `variables`, but what grows comes last, and so does what only the last one
    may have. Dimensions without a length can grow as well. Raises `NotAcceptable` for what the
    format cannot hold, by name.
    """
    sizes = {dim: n for v in variables for dim, n in zip(v.dims, v.shape, strict=True)}
    growing = growing_dimension(((v.name, v.dims, v.shape) for v in variables), unlimited, version)
    described = [_signed(v) if version == 2 else v for v in variables]
    fixed, rows = _ordered(described, growing, version)
    file = _Header(version, sizes, growing)
    head = file.written(attrs, {v.name: (v, 0) for v in (*fixed, *rows)})
    end, extents, places = len(head), dict[str, Extent](), dict[str, int]()
    begins: dict[str, tuple[NetcdfVariable, int]] = {}
    for variable in fixed:
        nbytes = _nbytes(variable.shape, variable.dtype)
        extents[variable.name] = Extent(end, nbytes, None, None, big_endian=True)
        begins[variable.name] = variable, end
        end += nbytes + -nbytes % 4
    start = end
    for variable in rows:
        begins[variable.name] = variable, end
        places[variable.name] = end - start
        nbytes = _nbytes(variable.shape[1:], variable.dtype)
        # The only variable in records is not padded (the specification's "Note on padding").
        end += nbytes + (-nbytes % 4 if len(rows) > 1 else 0)
    count = sizes[growing] if growing is not None and rows else 0
    records = Records(start, count, end - start, places) if count else None
    size = start + (records.length if records else 0)
    return FileLayout(file.written(attrs, begins), size, extents, records)


def growing_dimension(
    variables: Iterable[tuple[str, Sequence[str], Sequence[int]]],
    unlimited: Sequence[str],
    version: Version,
) -> str | None:
    """The dimension that can grow, if any, of variables with a name, dimensions and a shape each.

    Raises `NotAcceptable` for two such dimensions, for one that is not the first of a variable, and
    for one that is too long. Values are not needed: it can be asked before any are read.
    """
    variables = list(variables)
    sizes = {dim: n for _, dims, shape in variables for dim, n in zip(dims, shape, strict=True)}
    growing = dict.fromkeys([*unlimited, *(dim for dim, length in sizes.items() if not length)])
    if len(growing) > 1:
        raise _refusal(
            "a classic NetCDF file has one unlimited dimension; here"
            f" {', '.join(map(spell_name, growing))} would be (those without a length are)"
        )
    for dim, length in sizes.items():
        if length > _MOST_LENGTH[version]:
            raise _refusal(f"{spell_name(dim)} is longer than a dimension of CDF-{version} can be")
    for name, dims, _ in variables:
        late = growing.keys() & set(dims[1:])
        if late:
            raise _refusal(
                "the unlimited dimension of a classic NetCDF file comes first, and"
                f" {spell_name(late.pop())} is not the first of {spell_name(name)}",
                variable=name,
            )
    return next(iter(growing), None)


def _ordered(
    variables: Sequence[NetcdfVariable], growing: str | None, version: Version
) -> tuple[list[NetcdfVariable], list[NetcdfVariable]]:
    """Variables of fixed size, and those in records; last of all one that may only be the last.

    (The specification's "Note on vsize" and "Large File Support".)
    """
    groups: tuple[list[NetcdfVariable], list[NetcdfVariable]] = ([], [])
    for variable in variables:
        groups[bool(variable.dims) and variable.dims[0] == growing].append(variable)
    last = groups[1] or groups[0]
    for group in groups:
        large = [v for v in group if _own_bytes(v, growing) > _MOST_BYTES[version]]
        if large and (len(large) > 1 or group is not last):
            raise _refusal(
                f"{large[0].name} is larger than a variable of CDF-{version} may be that is not the"
                " last of its file: ask for it alone, or with cdf5=true",
                variable=large[0].name,
            )
        for variable in large:
            group.remove(variable)
            group.append(variable)
    return groups


def _own_bytes(variable: NetcdfVariable, growing: str | None) -> int:
    """The bytes of a variable, or of a record of one that grows."""
    grows = variable.dims[:1] == (growing,)
    return _nbytes(variable.shape[grows:], variable.dtype)


def _nbytes(shape: Sequence[int], dtype: DType) -> int:
    return math.prod(shape) * dtype.itemsize


class _Header:
    """Writes headers; lengths have 32 bits in CDF-2, 64 in CDF-5."""

    def __init__(self, version: Version, sizes: Mapping[str, int], growing: str | None) -> None:
        self._version = version
        self._count = ">i" if version == 2 else ">q"
        self._sizes = sizes
        self._growing = growing
        self._ids = {dim: number for number, dim in enumerate(sizes)}

    def written(self, attrs: Document, begins: Mapping[str, tuple[NetcdfVariable, int]]) -> bytes:
        """The header with the place of each variable's values, in their order."""
        grown = 0 if self._growing is None else self._sizes[self._growing]
        dims = [
            self._name(dim) + self._number(0 if dim == self._growing else length)
            for dim, length in self._sizes.items()
        ]
        variables = [self._variable(*begin) for begin in begins.values()]
        head = b"".join((b"CDF", bytes([self._version]), self._number(grown)))
        lists = self._list(_DIMENSIONS, dims) + self._attributes(attrs)
        return head + lists + self._list(_VARIABLES, variables)

    def _variable(self, variable: NetcdfVariable, begin: int) -> bytes:
        dims = [self._number(self._ids[dim]) for dim in variable.dims]
        nbytes = _own_bytes(variable, self._growing)
        told = nbytes + -nbytes % 4
        size = pack(">I", min(told, _UNSAID)) if self._version == 2 else pack(">q", told)
        return b"".join(
            (
                *(self._name(variable.name), self._number(len(dims)), *dims),
                *(self._attributes(variable.attrs), pack(">i", _type(variable.dtype))),
                *(size, pack(">q", begin)),
            )
        )

    def _attributes(self, attrs: Document) -> bytes:
        return self._list(_ATTRIBUTES, [self._attribute(*item) for item in attrs.items()])

    def _attribute(self, name: str, value: object) -> bytes:
        if isinstance(value, list):
            # There is no type for lists of texts.
            value = as_text(value)
        if isinstance(value, str):
            kind, content = _CHAR, value.encode()
            count = len(content)
        else:
            numbers = np.atleast_1d(np.asarray(value))
            if self._version == 2:
                numbers = _narrowed(numbers)
            kind, count = _type(numbers.dtype), numbers.size
            content = numbers.astype(numbers.dtype.newbyteorder(">")).tobytes()
        head = self._name(name) + pack(">i", kind) + self._number(count)
        return head + content + bytes(-len(content) % 4)

    def _list(self, tag: int, items: Sequence[bytes]) -> bytes:
        head = pack(">i", tag if items else 0) + self._number(len(items))
        return head + b"".join(items)

    def _name(self, name: str) -> bytes:
        text = name.encode()
        return self._number(len(text)) + text + bytes(-len(text) % 4)

    def _number(self, number: int) -> bytes:
        return pack(self._count, number)


def _type(dtype: DType) -> int:
    return _TYPES[f"{dtype.kind}{dtype.itemsize}"]


def _signed(variable: NetcdfVariable) -> NetcdfVariable:
    """Unsigned integers as signed ones of the same bits, which an attribute says that they are.

    (NetCDF User's Guide, "Attribute Conventions", ``_Unsigned``.)
    """
    dtype, attrs = variable.dtype, dict(variable.attrs)
    if dtype.kind != "u":
        return variable
    signed = np.dtype(f"i{dtype.itemsize}")
    for name, value in attrs.items():
        numbers = np.asarray(value)
        if numbers.dtype == dtype:
            attrs[name] = numbers.view(signed)
    # ("false" is the default for a signed type.)
    if attrs.pop("_Unsigned", "true") == "true":
        attrs["_Unsigned"] = "true"
    return replace(variable, dtype=signed, attrs=attrs)


def _narrowed(numbers: Array) -> Array:
    """Numbers of an attribute in a type of CDF-2 that holds them; the nearest floats if none."""
    if f"{numbers.dtype.kind}{numbers.dtype.itemsize}" in ("u1", "u2"):
        return numbers.astype(f"i{2 * numbers.dtype.itemsize}")
    if numbers.dtype.kind not in "iu" or numbers.dtype in (np.dtype("i1"), np.dtype("i2")):
        return numbers
    fits = int(numbers.min()) >= _INT32.min and int(numbers.max()) <= _INT32.max
    return numbers.astype("i4" if fits else "f8")


def _refusal(reason: str, **facts: object) -> NotAcceptable:
    return NotAcceptable(f"{reason}; f=netcdf can hold it", known=_OTHERS, **facts)
