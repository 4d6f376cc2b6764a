"""Metadata documents of arrays as others write them, brought to what zarr-python reads.

Writers deviate from the specifications in ways that have one meaning: those are read. Everything
else is refused in words that name the member which is wrong. (Zarr v2 specification, "Arrays";
Zarr v3 core specification, "Array metadata"; netCDF-C's NCZarr for what it adds to both.)
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sluice.aliases import Document, DType
from sluice.arrays.codec_documents import codec_documents, normal_codec, normal_codecs
from sluice.arrays.excerpts import excerpt
from sluice.errors import MetadataError

# Where xarray keeps the names of a v2 array's dimensions (its "Zarr encoding specification").
DIMENSIONS: Final = "_ARRAY_DIMENSIONS"
# Marks a v3 scalar that is stored as the one value along a dimension.
SCALAR: Final = "sluice_scalar"

# What NumPy counts positions with.
_LONGEST: Final = 2**63 - 1
_NEEDED_V2: Final = ("shape", "chunks", "dtype")
_NEEDED_V3: Final = (
    "shape",
    "data_type",
    "chunk_grid",
    "chunk_key_encoding",
    "fill_value",
    "codecs",
)
_KNOWN_V3: Final = frozenset(
    {
        *_NEEDED_V3,
        *("zarr_format", "node_type", "attributes", "dimension_names", "storage_transformers"),
    }
)

# One byte has no order, whatever mark is before its type.
_ONE_BYTE: Final = re.compile(r"[<>=]([biu]1|[SV]\d+)")
# NumPy's times without a unit.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
# Names that NumPy knows and the specification does not; old writers used them.
_DIGITS: Final = re.compile(r"[+-]?\d{1,20}")
# NumPy's times without a unit, in either format: numbers of which nobody knows what they count.
_UNITLESS: Final = re.compile(r"[<>=|]?(?:[mM]8|datetime64|timedelta64)(?:\[(?:\d*generic)?\])?")
_TIMES: Final = ("numpy.datetime64", "numpy.timedelta64")
_NAMED: Final = re.compile(r"bool|(?:u?int|float|complex)\d+|[iufc]\d+|b1")


def normal_array(document: Document) -> Document:
    """The `document` of one array (v2: with its ``attributes`` inside) as zarr-python reads it.

    Raises MetadataError for what no reading makes sense of; its fact `advice` says what to do,
    where that is something else than to write the array again.
    """
    match document.get("zarr_format"):
        case 2:
            return _normal_v2(document)
        case 3:
            return _normal_v3(document)
        case other:
            raise MetadataError(f"its zarr_format is {excerpt(other)}, which is neither 2 nor 3")


def _normal_v2(document: Document) -> Document:
    _expect(document, _NEEDED_V2)
    _expect_units(document["dtype"])
    shape = _lengths("shape", document["shape"])
    normal = {
        "fill_value": None,
        "order": "C",
        **document,
        "shape": shape,
        "chunks": _chunks("chunks", document["chunks"], shape),
        "dtype": _normal_dtype(document["dtype"]),
    }
    separator = normal.get("dimension_separator", ".")
    if separator not in (".", "/", None):
        raise MetadataError(f"its dimension_separator is {excerpt(separator)}, not '.' or '/'")
    if normal["order"] not in ("C", "F"):
        raise MetadataError(
            f"its order is {excerpt(normal['order'])}, which is neither 'C' nor 'F'"
        )
    if not shape:  # which need no names
        normal["attributes"] = {DIMENSIONS: [], **(document.get("attributes") or {})}
    if normal.get("compressor") is not None:
        normal["compressor"] = normal_codec(normal["compressor"])
    if normal.get("filters") is not None:
        normal["filters"] = normal_codecs("filters", normal["filters"])
    return normal


def _normal_v3(document: Document) -> Document:
    _expect(document, _NEEDED_V3)
    _expect_understood(document)
    _expect_units(document["data_type"])
    shape = _lengths("shape", document["shape"])
    normal = {key: member for key, member in document.items() if key != SCALAR}
    normal["shape"] = shape
    grid = document["chunk_grid"]
    if SCALAR in document:
        normal["chunk_grid"] = {"name": "regular", "configuration": {"chunk_shape": []}}
    elif isinstance(grid, Mapping) and grid.get("name") == "regular":
        configuration = grid.get("configuration")
        if not isinstance(configuration, Mapping) or "chunk_shape" not in configuration:
            raise MetadataError("its chunk_grid has no chunk_shape")
        chunks = _chunks("chunk_shape", configuration["chunk_shape"], shape)
        normal["chunk_grid"] = {
            **grid,
            "configuration": {**configuration, "chunk_shape": chunks},
        }
    elif not isinstance(grid, Mapping) or not isinstance(grid.get("name"), str):
        raise MetadataError(f"its chunk_grid is {excerpt(grid)}")
    normal["codecs"] = normal_codecs("codecs", document["codecs"])
    if not normal["codecs"]:
        raise MetadataError("its codecs are an empty list: none makes bytes of an array")
    for codec in codec_documents(normal):
        inner = codec.get("configuration", {}).get("chunk_shape")
        if codec["name"] == "sharding_indexed" and not all(_lengths("chunk_shape", inner)):
            raise MetadataError(f"the chunk_shape inside its shards is {excerpt(inner)}")
    return normal


def _expect(document: Document, needed: tuple[str, ...]) -> None:
    """Raise MetadataError where a member is missing."""
    lacking = [name for name in needed if name not in document]
    if lacking:
        raise MetadataError(f"its metadata lacks {', '.join(map(repr, lacking))}")
    if not isinstance(document.get("attributes") or {}, Mapping):
        raise MetadataError("its attributes are not a JSON object")


def _expect_understood(document: Document) -> None:
    """Raise MetadataError for extensions of v3 that must be understood and are not known here."""
    if document.get("storage_transformers"):
        raise MetadataError("it has storage transformers, which are not known here")
    unknown = [
        name
        for name, member in document.items()
        if name not in _KNOWN_V3
        and not (isinstance(member, Mapping) and member.get("must_understand") is False)
    ]
    if unknown:
        raise MetadataError(f"its metadata has {', '.join(map(repr, unknown))}, not known here")


def _expect_units(dtype: Any) -> None:
    """Raise MetadataError for times that are counted in no unit."""
    match dtype:
        case str() if _UNITLESS.fullmatch(dtype):
            pass
        case {"name": str() as name, "configuration": {"unit": "generic"}} if name in _TIMES:
            pass
        case list():
            for field in dtype:
                if isinstance(field, list) and len(field) >= 2:
                    _expect_units(field[1])
            return
        case _:
            return
    told = dtype if isinstance(dtype, str) else dtype["name"].removeprefix("numpy.")
    raise MetadataError(
        f"its data type {excerpt(told)} names no unit of time",
        advice="Write it with a unit, such as nanoseconds (datetime64[ns]), or name it in "
        "drop_variables.",
    )


def _lengths(name: str, value: Any) -> list[int]:
    """A list of lengths, one per dimension; a lone one is that of one dimension."""
    listed = value if isinstance(value, list | tuple) else [value]
    lengths = [_whole(length) for length in listed]
    if any(length is None or not 0 <= length <= _LONGEST for length in lengths):
        raise MetadataError(f"its {name} is {excerpt(value)}, which is no list of lengths")
    return [length for length in lengths if length is not None]


def _chunks(name: str, value: Any, shape: list[int]) -> list[int]:
    """The lengths of a chunk; along what is empty, where some write 0, they do not matter."""
    chunks = _lengths(name, value)
    if len(chunks) != len(shape):
        raise MetadataError(
            f"its {name} {excerpt(value)} has {len(chunks)} dimensions, its shape {shape} has "
            f"{len(shape)}"
        )
    if any(not chunk and size for chunk, size in zip(chunks, shape, strict=True)):
        raise MetadataError(f"its {name} is {excerpt(value)}: chunks of the length 0 hold nothing")
    return [chunk or 1 for chunk in chunks]


def _whole(value: Any) -> int | None:
    """A whole number, however JSON spells it."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _normal_dtype(dtype: Any) -> Any:
    """A v2 data type without the byte order of single bytes (netCDF-C writes ``<u1``, ``>S1``)."""
    match dtype:
        case str() if found := _ONE_BYTE.fullmatch(dtype):
            return f"|{found[1]}"
        case str() if _NAMED.fullmatch(dtype):
            try:
                return np.dtype(dtype).str
            except TypeError:
                return dtype
        case list():
            return [_normal_field(field) for field in dtype]
        case _:
            return dtype


def _normal_field(field: Any) -> Any:
    if isinstance(field, list) and len(field) >= 2:
        return [field[0], _normal_dtype(field[1]), *field[2:]]
    return field


def check_name(name: str) -> None:
    """Raise MetadataError for a name under which no store keeps anything, or no format writes it.

    Python can hold halves of surrogate pairs, which UTF-8 cannot.
    """
    if not name:
        raise MetadataError("it has no name")
    if "\0" in name or _SURROGATE.search(name):
        raise MetadataError("its name has a character that no text may have")


def dimension_names(document: Document) -> tuple[str | None, ...]:
    """The names of an array's dimensions, one per length of its (normal) shape.

    A v3 array may leave some without a name. MetadataError where they are missing or wrong.
    """
    rank = len(document["shape"])
    if document["zarr_format"] == 3:
        member, names = "dimension_names", document.get("dimension_names")
    else:
        member = DIMENSIONS
        names = (document.get("attributes") or {}).get(member)
    if names is None:
        if not rank:
            return ()
        raise MetadataError(
            f"its metadata does not name its dimensions ({member})",
            advice=f"Add {member} to its metadata, one name for each of its {rank} dimensions, or "
            "name it in drop_variables.",
        )
    if not isinstance(names, list | tuple) or not all(
        isinstance(name, str) or (name is None and member == "dimension_names") for name in names
    ):
        raise MetadataError(f"its {member} is {excerpt(names)}, which is no list of names")
    if len(names) != rank:
        raise MetadataError(f"its {member} has {len(names)} names, its shape {rank} dimensions")
    if any(name is not None and ("\0" in name or _SURROGATE.search(name)) for name in names):
        raise MetadataError(f"its {member} has a character that no text may have")
    return tuple(names)


def marked_fill_value(value: Any, dtype: DType, unsigned: object = None) -> Any:
    """What the attribute ``_FillValue`` of a v3 array says, in the array's stored `dtype`.

    xarray writes floating-point numbers as base64 of a little-endian double, and reads that alone;
    others write the number, or its name (``"NaN"``). Theirs becomes the nearest number of the
    dtype, as which it stands among the values (CF conventions, 2.5.1). Where the attribute
    `_Unsigned` is ``"true"`` and the integers are signed, the number may be told as it is meant:
    255 is stored as -1 in one byte.
    MetadataError for what is no value of the dtype.
    """
    try:
        match dtype.kind:
            case "f":
                return _nearest(value, dtype)
            case "c" if isinstance(value, list) and len(value) == 2:
                return complex(_double(value[0]), _double(value[1]))
            case "c":
                return complex(_double(value))
            case "b":
                return bool(value)
            case "i" | "u":
                whole = _integer(value)
                return _wrapped(whole, dtype) if unsigned == "true" else whole
            case "S":
                return base64.b64decode(value, validate=True)
            case _:
                return value
    except (ValueError, TypeError, OverflowError):
        raise MetadataError(
            f"its attribute _FillValue is {excerpt(value)}, which is no value of its data type "
            f"{dtype}"
        ) from None


def _double(value: Any) -> float:
    written = _written_double(value)
    return float(value) if written is None else written


def _written_double(value: Any) -> float | None:
    """The number whose double stands here as base64, as xarray writes it; None for others."""
    if not isinstance(value, str):
        return None
    try:
        return float(struct.unpack("<d", base64.b64decode(value, validate=True))[0])
    except (ValueError, struct.error):
        return None


def _nearest(value: Any, dtype: DType) -> float:
    """The number as the dtype has it; as it is where xarray wrote it, or beyond all of its own."""
    written = _written_double(value)
    if written is not None:
        return written
    number = float(value)
    with np.errstate(over="ignore"):
        nearest = float(dtype.type(number))
    return number if math.isinf(nearest) and not math.isinf(number) else nearest


def _wrapped(number: int, dtype: DType) -> int:
    """An unsigned `number` as signed integers of the same length have it; any other as it is."""
    bits = 8 * dtype.itemsize
    beyond = dtype.kind == "i" and 2 ** (bits - 1) <= number < 2**bits
    return number - 2**bits if beyond else number


def _integer(value: Any) -> int:
    number = float(value) if isinstance(value, str) and not _DIGITS.fullmatch(value) else value
    whole = int(number)
    if whole != number and not isinstance(number, str):
        raise ValueError(value)
    return whole
