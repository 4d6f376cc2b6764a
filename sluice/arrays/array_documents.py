"""Metadata documents of arrays as others write them, brought to what zarr-python reads.

Writers deviate from the specifications in ways that have one meaning: those are read. Everything
else is refused in words that name the member which is wrong. (Zarr v2 specification, "Arrays";
Zarr v3 core specification, "Array metadata"; netCDF-C's NCZarr for what it adds to both.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

import numpy as np

from sluice.aliases import Document
from sluice.arrays.codec_table import COUNTS
from sluice.arrays.conventions import DIMENSIONS, SCALAR
from sluice.errors import MetadataError, excerpt

# One codec: v2 with its ``id``, v3 with ``name`` and ``configuration``.
CodecDocument: TypeAlias = dict[str, object]

# Numbers that writers put into texts.
_INTEGER: Final = re.compile(r"-?\d{1,18}")
_DECIMAL: Final = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?")
# Codecs in codecs (shards in shards) beyond this depth are refused.
_DEEPEST: Final = 16
# The largest position of NumPy.
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
# NumPy's times without a unit, in either format: nothing says what their numbers count.
_UNITLESS: Final = re.compile(r"[<>=|]?(?:[mM]8|datetime64|timedelta64)(?:\[(?:\d*generic)?\])?")
_TIMES: Final = ("numpy.datetime64", "numpy.timedelta64")
# Names of types in place of the specification's typestrings; old writers used them.
_NAMED: Final = re.compile(r"bool|(?:u?int|float|complex)\d+|[iufc]\d+|b1")


def normal_array(document: Document) -> Document:
    """The `document` of one array (v2: with its ``attributes`` inside) as zarr-python reads it.

    Raises MetadataError where it has no clear meaning; its fact `advice` says what to do, unless
    the array has to be written again.
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
    if not shape:  # a scalar has no dimensions to name
        normal["attributes"] = {DIMENSIONS: [], **(document.get("attributes") or {})}
    if normal.get("compressor") is not None:
        normal["compressor"] = _normal_codec(normal["compressor"])
    if normal.get("filters") is not None:
        normal["filters"] = _normal_codecs("filters", normal["filters"])
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
    normal["codecs"] = _normal_codecs("codecs", document["codecs"])
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


def _expect_units(dtype: object) -> None:
    """Raise MetadataError for times that are counted in no unit."""
    match dtype:
        case str() as told if _UNITLESS.fullmatch(told):
            pass
        case {"name": str() as name, "configuration": {"unit": "generic"}} if name in _TIMES:
            told = name.removeprefix("numpy.")
        case list():
            for field in dtype:
                if isinstance(field, list) and len(field) >= 2:
                    _expect_units(field[1])
            return
        case _:
            return
    raise MetadataError(
        f"its data type {excerpt(told)} names no unit of time",
        advice="Write it with a unit, such as nanoseconds (datetime64[ns]), or name it in "
        "drop_variables.",
    )


def _lengths(name: str, value: object) -> list[int]:
    """The lengths in `value`, one per dimension; a lone number is that of one dimension."""
    listed = value if isinstance(value, list | tuple) else [value]
    lengths = [_whole(length) for length in listed]
    if any(length is None or not 0 <= length <= _LONGEST for length in lengths):
        raise MetadataError(f"its {name} is {excerpt(value)}, which is no list of lengths")
    return [length for length in lengths if length is not None]


def _chunks(name: str, value: object, shape: list[int]) -> list[int]:
    """The lengths of a chunk; those of empty dimensions, where some write 0, become 1."""
    chunks = _lengths(name, value)
    if len(chunks) != len(shape):
        raise MetadataError(
            f"its {name} {excerpt(value)} has {len(chunks)} dimensions, its shape {shape} has "
            f"{len(shape)}"
        )
    if any(not chunk and size for chunk, size in zip(chunks, shape, strict=True)):
        raise MetadataError(f"its {name} is {excerpt(value)}: chunks of the length 0 hold nothing")
    return [chunk or 1 for chunk in chunks]


def _whole(value: object) -> int | None:
    """A whole number, however JSON spells it."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None


def _normal_dtype(dtype: object) -> object:
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


def _normal_field(field: object) -> object:
    if isinstance(field, list) and len(field) >= 2:
        return [field[0], _normal_dtype(field[1]), *field[2:]]
    return field


def _normal_codecs(member: str, codecs: object) -> list[CodecDocument]:
    """The list of codecs under `member` (see `_normal_codec`)."""
    if not isinstance(codecs, list | tuple):
        raise MetadataError(f"its {member} are not a list of codecs")
    return [_normal_codec(codec) for codec in codecs]


def _normal_codec(codec: object, depth: int = 0) -> CodecDocument:
    """One codec (v2: ``id`` with its options, v3: ``name`` and ``configuration``) as zarr takes it.

    Options that are numbers in a text become numbers. Raises MetadataError for what is no codec.
    """
    if isinstance(codec, str):  # the short form of Zarr v3.1, "Extension definition"
        codec = {"name": codec}
    if not isinstance(codec, Mapping) or not isinstance(_name_of(codec), str):
        raise MetadataError("one of its codecs has no name")
    if depth > _DEEPEST:
        raise MetadataError("its codecs are nested too deeply")
    normal = {key: _option(key, option) for key, option in codec.items()}
    configuration = normal.get("configuration")
    if configuration is None:
        normal.pop("configuration", None)
    elif not isinstance(configuration, Mapping):
        raise MetadataError(f"the configuration of its codec {_name_of(codec)!r} is no JSON object")
    else:
        normal["configuration"] = {
            key: [_normal_codec(inner, depth + 1) for inner in option]
            if key in ("codecs", "index_codecs") and isinstance(option, list)
            else _option(key, option)
            for key, option in configuration.items()
        }
    return normal


def _name_of(codec: Document) -> object:
    return codec.get("name") if "name" in codec else codec.get("id")


def _option(key: str, option: object) -> object:
    """The option under `key`; numbers in texts become numbers, and counts whole ones."""
    number = _number(option)
    if key in COUNTS and isinstance(number, float) and number.is_integer():
        return int(number)
    return number


def _number(option: object) -> object:
    match option:
        case str() if _INTEGER.fullmatch(text := option.strip()):
            return int(text)
        case str() if _DECIMAL.fullmatch(text := option.strip()):
            return float(text)
        case _:
            return option


def codec_documents(document: Document) -> Iterator[Document]:
    """All codecs of a (normal) array, those inside of shards too."""
    before = [*(document.get("filters") or ()), document.get("compressor")]
    for codec in [*before, *(document.get("codecs") or ())]:
        if isinstance(codec, Mapping):
            yield codec
            inner = codec.get("configuration")
            if isinstance(inner, Mapping):
                for member in ("codecs", "index_codecs"):
                    yield from codec_documents({"codecs": inner.get(member)})
