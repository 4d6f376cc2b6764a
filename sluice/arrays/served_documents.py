"""Metadata documents of arrays that are served to other Zarr clients, in format 2 or 3.

Either an array's chunks are served as they are stored: then its document is the store's, as
zarr-python reads it. Or its values are: then they lie in chunks of this module's choice, with one
codec, in the format that is asked for. Values are never decoded by CF: packed ones stay packed, and
the attributes that decode them are those of the store. Missing values are marked differently: in
format 2 xarray takes the array's ``fill_value``, in format 3 the attribute ``_FillValue``, in which
floating-point numbers are a double in base64 (xarray, "Zarr encoding specification").
"""

from __future__ import annotations

import base64
import math
import re
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from sluice.aliases import Document, DocumentDict, DType, ZarrObject
from sluice.arrays.array_documents import normal_array
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.conventions import DIMENSIONS, dimension_names, marked_fill_value
from sluice.errors import MetadataError

ZarrFormat: TypeAlias = Literal[2, 3]
FILL: Final = "_FillValue"
# The members of a v2 document in the specification; others are its writer's own.
_MEMBERS_V2: Final = (
    "zarr_format",
    "shape",
    "chunks",
    "dtype",
    "compressor",
    "fill_value",
    "order",
    "filters",
    "dimension_separator",
)
# The level of the one codec: the fastest.
LEVEL: Final = 1
# The kinds of dtypes for which xarray reads the attribute `_FillValue` in format 3.
_MARKED: Final = "fcbiu"
_NUMBER: Final = re.compile(r"0|[1-9]\d{0,17}")

# Chunks that decode to more are served in parts of at most so many bytes.
_LARGE_BYTES: Final = 16 * 2**20
_PART_BYTES: Final = 4 * 2**20
# Of small chunks several are served as one, up to so many bytes,
_SMALL_BYTES: Final = 2**20
# and so many chunks of arrays of one dimension, and of several.
_MOST_ALONG: Final = 4096
_MOST_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class ChunkKeys:
    """How the keys of an array's chunks are spelled (Zarr v3 core, "Chunk key encoding").

    With ``c`` before the numbers (`led`), as v3 does by default, or without, as v2.
    """

    led: bool
    separator: str

    @classmethod
    def of(cls, document: Document) -> ChunkKeys:
        """Those of a (normal) array."""
        if document["zarr_format"] == 2:
            return cls(False, document.get("dimension_separator") or ".")
        encoding = document["chunk_key_encoding"]
        named = isinstance(encoding, Mapping)
        name = encoding.get("name") if named else encoding
        usual = "." if name == "v2" else "/"
        options = encoding.get("configuration") if named else None
        separator = (options or {}).get("separator", usual)
        return cls(name != "v2", separator)

    def place(self, key: str, rank: int) -> tuple[int, ...] | None:
        """The place in the grid of chunks that `key` names; None where it names none."""
        if not rank:
            return () if key == ("c" if self.led else "0") else None
        numbers = key.split(self.separator, rank + 1)
        if self.led and numbers.pop(0) != "c":
            return None
        if len(numbers) != rank or not all(map(_NUMBER.fullmatch, numbers)):
            return None
        return tuple([int(number) for number in numbers])


def own_document(document: Document, meta: ArrayMeta) -> DocumentDict | None:
    """The document of an array whose chunks are served as stored; None for an irregular grid.

    Its attributes are inside, in format 2 as well.
    """
    normal = normal_array(document)
    attributes = dict(normal.get("attributes") or {})
    if normal["zarr_format"] == 2:
        found = {"filters": None, **{n: normal[n] for n in _MEMBERS_V2 if n in normal}}
        told = {"compressor": _without_checksum(normal.get("compressor")), "attributes": attributes}
        return {**found, **told, "fill_value": _spelled(found["fill_value"])}
    grid = normal["chunk_grid"]
    if grid.get("name") != "regular":
        return None
    if FILL in attributes:
        attributes[FILL] = _marked(_mark_v3(attributes, meta), meta.dtype, attributes)
    return {**normal, "node_type": "array", "attributes": attributes}


def grid_of(document: Document) -> tuple[int, ...]:
    """The shape of a chunk, or of a shard, as a served document has it."""
    if document["zarr_format"] == 2:
        return tuple(document["chunks"])
    return tuple(document["chunk_grid"]["configuration"]["chunk_shape"])


def served_chunks(meta: ArrayMeta) -> tuple[int, ...]:
    """The shape of the chunks in which values are served, where stored chunks cannot be.

    It depends on the store's chunks and not on lengths of dimensions, so that it stays as data are
    appended: large chunks are cut along the first dimensions, small ones are put together.
    """
    chunks = [max(1, length) for length in meta.chunks]
    if meta.dtype.kind in "OT" or not chunks:
        return tuple(chunks)
    nbytes = math.prod(chunks) * max(1, meta.dtype.itemsize)
    if nbytes > _LARGE_BYTES:
        for axis, length in enumerate(chunks):
            cuts = min(length, -(-nbytes // _PART_BYTES))
            chunks[axis] = -(-length // cuts)
            nbytes = math.prod(chunks) * meta.dtype.itemsize
    elif meta.shape[0] > chunks[0]:
        most = _MOST_ALONG if len(chunks) == 1 else _MOST_AT_ONCE
        fitting = max(1, min(most, _SMALL_BYTES // nbytes))
        chunks[0] *= 2 ** (fitting.bit_length() - 1)
    return tuple(chunks)


def value_document(
    document: Document, meta: ArrayMeta, zarr_format: ZarrFormat, chunks: tuple[int, ...]
) -> DocumentDict:
    """The document of an array whose values are served, in `chunks` and in this format.

    Its attributes are inside, in format 2 as well. MetadataError for a type that the format lacks.
    """
    normal = normal_array(document)
    names = dimension_names({**normal, "shape": meta.shape})
    attributes = dict(normal.get("attributes") or {})
    mark = _mark_of(normal, attributes, meta)
    attributes.pop(FILL, None)
    dtype = _little(meta.zarr.metadata.dtype)
    found: DocumentDict = {"zarr_format": zarr_format, "shape": list(meta.shape)}
    if zarr_format == 2:
        attributes[DIMENSIONS] = list(names)
        fill = None if mark is None else _json_fill(dtype, mark, zarr_format)
        if mark is not None and fill is None:
            attributes[FILL] = mark
        texts = text_codec(meta)
        return found | {
            "chunks": list(chunks),
            "dtype": _json_type(dtype, zarr_format),
            "compressor": {"id": "zstd", "level": LEVEL},
            "fill_value": fill,
            "order": "C",
            "filters": None if texts is None else [{"id": texts}],
            "dimension_separator": ".",
            "attributes": attributes,
        }
    hidden = [name for name in attributes if normal["zarr_format"] == 2 and _is_hidden(name)]
    kept = {name: value for name, value in attributes.items() if name not in hidden}
    if mark is not None and meta.dtype.kind in _MARKED:
        kept[FILL] = _marked(mark, meta.dtype, kept)
    elif isinstance(mark, str):
        # xarray reads no mark of texts there, and this one it takes for one.
        kept.setdefault("missing_value", str(mark))
    return found | {
        "node_type": "array",
        "data_type": _json_type(dtype, zarr_format),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _json_fill(dtype, meta.fill, zarr_format),
        "codecs": _codecs_v3(meta),
        "dimension_names": list(names),
        "attributes": kept,
    }


def _is_hidden(name: str) -> bool:
    """Whether xarray hides this attribute of a v2 array."""
    return name == DIMENSIONS or name.lower().startswith("_nc")


def text_codec(meta: ArrayMeta) -> str | None:
    """The name of the codec for texts, or bytes, of variable length; None for other types."""
    if meta.dtype.kind not in "OT":
        return None
    return (
        "vlen-bytes" if type(meta.zarr.metadata.dtype).__name__.endswith("Bytes") else "vlen-utf8"
    )


def _codecs_v3(meta: ArrayMeta) -> list[DocumentDict]:
    texts = text_codec(meta)
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    packed = {"name": "zstd", "configuration": {"level": LEVEL, "checksum": False}}
    return [plain if texts is None else {"name": texts, "configuration": {}}, packed]


def _little(dtype: ZarrObject) -> ZarrObject:
    """zarr-python's data type in little-endian byte order."""
    native = dtype.to_native_dtype()
    if native.kind in "OT" or native.newbyteorder("<") == native:
        return dtype
    return type(dtype).from_native_dtype(native.newbyteorder("<"))


def _json_type(dtype: ZarrObject, zarr_format: ZarrFormat) -> object:
    try:
        with warnings.catch_warnings():
            # (zarr-python warns of types without a specification; clients read its form of them.)
            warnings.simplefilter("ignore")
            told = dtype.to_json(zarr_format=zarr_format)
    except (NotImplementedError, TypeError, ValueError):
        raise MetadataError(f"its data type is none of Zarr v{zarr_format}") from None
    return told["name"] if zarr_format == 2 else told


def _json_fill(dtype: ZarrObject, value: object, zarr_format: ZarrFormat) -> object:
    """The value as a ``fill_value``; None where the type cannot hold it exactly."""
    try:
        cast = dtype.cast_scalar(value)
        # NaN is itself, and no other value may become another one.
        same = cast == value or (cast != cast and value != value)
        return dtype.to_json_scalar(cast, zarr_format=zarr_format) if same else None
    except (TypeError, ValueError, OverflowError):
        return None


def _mark_of(normal: Document, attributes: Document, meta: ArrayMeta) -> object:
    """The value that marks missing ones, as xarray reads the array; None where there is none."""
    if normal["zarr_format"] == 3:
        return _mark_v3(attributes, meta)
    fill = meta.zarr.metadata.fill_value
    return attributes.get(FILL) if fill is None else fill


def _mark_v3(attributes: Document, meta: ArrayMeta) -> object:
    marked = attributes.get(FILL)
    if marked is None:
        return None
    if isinstance(marked, list) and len(marked) == 1:
        marked = marked[0]
    return marked_fill_value(marked, meta.dtype, attributes.get("_Unsigned"))


def _marked(value: object, dtype: DType, attributes: Document) -> object:
    """The attribute ``_FillValue`` of a v3 array with these others, as xarray writes it."""
    match dtype.kind:
        case "f":
            return _double(float(np.asarray(value, dtype="f8")))
        case "c":
            number = complex(np.asarray(value, dtype="c16"))
            return [_double(number.real), _double(number.imag)]
        case "b":
            return bool(value)
        case "i" | "u":
            return _meant(int(np.asarray(value)), dtype, attributes.get("_Unsigned"))
        case "S" if isinstance(value, bytes):
            return base64.standard_b64encode(value).decode()
        case _:
            return value if isinstance(value, str | int | float | list) else str(value)


def _meant(number: int, dtype: DType, unsigned: object) -> int:
    """A stored integer with the sign that the attribute ``_Unsigned`` gives it."""
    bits: int = 8 * dtype.itemsize
    if dtype.kind == "i" and unsigned == "true" and number < 0:
        return number + (1 << bits)
    if dtype.kind == "u" and unsigned == "false" and number >= 2 ** (bits - 1):
        return number - (1 << bits)
    return number


def _double(number: float) -> str:
    return base64.standard_b64encode(struct.pack("<d", number)).decode()


def _without_checksum(compressor: object) -> object:
    """A v2 compressor without ``checksum: false``, the default, which older readers refuse."""
    if not isinstance(compressor, Mapping) or compressor.get("checksum", True):
        return compressor
    return {name: option for name, option in compressor.items() if name != "checksum"}


def _spelled(fill: object) -> object:
    """A v2 ``fill_value`` as the specification spells it: NaN and infinities are texts."""
    if not isinstance(fill, float) or math.isfinite(fill):
        return fill
    return "NaN" if math.isnan(fill) else "Infinity" if fill > 0 else "-Infinity"
