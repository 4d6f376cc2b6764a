"""What lies at an address: files, stores, groups, and how their metadata is kept."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from sluice.aliases import Document
from sluice.arrays.group_documents import GroupDocuments, groups_with_arrays
from sluice.errors import SluiceError
from sluice.store.addresses import split_document, split_url
from sluice.store.documents import json_object
from sluice.store.protocols import LOCAL, ROOTLESS
from sluice.store.source import ByteSource

from .findings import Finding, Severity

# The source of another address than the entry's, with its options.
Beside = Callable[[str], Awaitable[ByteSource]]

# What tells the kind of a file.
HEAD_BYTES: Final = 4096
_BLANKS: Final = b"\xef\xbb\xbf \t\r\n"

_REFERENCE: Final = (
    "make a reference document of it with kerchunk or VirtualiZarr and serve that "
    "(url: reference://, storage_options: {fo: ...}), or write it as Zarr"
)
_TO_ZARR: Final = "open it with xarray and write it as Zarr"
_UNPACK: Final = "unpack it, and name the folder of the store that was in it as url"

# What files begin with (at the byte that is named), what they are, and what to do. The first of
# each format's own specification; a JSON document is looked at further.
_KINDS: Final = (
    (0, b"\x89HDF\r\n\x1a\n", "a NetCDF-4 or HDF5 file", _REFERENCE),
    (0, b"CDF\x01", "a NetCDF-3 file", _REFERENCE),
    (0, b"CDF\x02", "a NetCDF-3 file", _REFERENCE),
    (0, b"CDF\x05", "a NetCDF-3 file (CDF-5)", _REFERENCE),
    (0, b"\x0e\x03\x13\x01", "an HDF4 file", _REFERENCE),
    (0, b"II*\x00", "a TIFF image", _REFERENCE),
    (0, b"MM\x00*", "a TIFF image", _REFERENCE),
    (0, b"II+\x00", "a TIFF image", _REFERENCE),
    (0, b"MM\x00+", "a TIFF image", _REFERENCE),
    (0, b"SIMPLE  =", "a FITS file", _REFERENCE),
    (0, b"PK\x03\x04", "a zip archive", _UNPACK),
    (0, b"PK\x05\x06", "an empty zip archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"PAR1", "a Parquet file", "a table is no grid: " + _TO_ZARR),
    (0, b"ARROW1", "an Arrow file", "a table is no grid: " + _TO_ZARR),
    (0, b"\x89PNG", "a PNG image", _TO_ZARR),
    (0, b"\xff\xd8\xff", "a JPEG image", _TO_ZARR),
    (0, b"BUFR", "a BUFR file", _TO_ZARR),
    (0, b"\x93NUMPY", "a NumPy file", _TO_ZARR),
    (0, b"icechunk", "a file of an Icechunk repository", "export it as Zarr, or to references"),
)
_PACKED: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
)


async def file_at(url: str, beside: Beside) -> str | None:
    """The sentence for a `url` that is a file; None where there is none, or nobody can tell."""
    protocol, _ = split_url(url)
    if protocol in ROOTLESS and protocol != "memory":
        return None
    folder, name = split_document(url.rstrip("/"))
    if not name:
        return None
    try:
        source = await beside(folder)
        data = await source.get(name, 0, HEAD_BYTES)
        if data and _is_page(data) and not await _answers_pages(source, name):
            return None  # a web server's list of what is in a folder
    except SluiceError:
        return None
    if data is None or (not data and protocol not in LOCAL):
        return None  # an empty object can stand for a folder
    what, way = kind_of_file(data, url)
    return f"its url is {what} and no Zarr store, which is a folder: {way}."


def _is_page(data: bytes) -> bool:
    return data.lstrip(_BLANKS)[:1] == b"<"


async def _answers_pages(source: ByteSource, name: str) -> bool:
    """Whether a server has a page for people even where a document of a store would be."""
    data = await source.get(f"{name}/zarr.json", 0, HEAD_BYTES)
    return data is not None and _is_page(data)


def kind_of_file(data: bytes, url: str) -> tuple[str, str]:
    """What a file is whose first `HEAD_BYTES` these are, and what to do with it."""
    if not data:
        return "an empty file", "write it again"
    for offset, magic, what, way in _KINDS:
        if data[offset:].startswith(magic):
            return what, way
    # GRIB messages may come after a bulletin's header.
    if b"GRIB" in data[:200]:
        return "a GRIB file", _REFERENCE
    packed = next((name for magic, name in _PACKED if data.startswith(magic)), None)
    return _packed(packed, url) if packed else _text(data, url)


def _text(data: bytes, url: str) -> tuple[str, str]:
    if data.lstrip(_BLANKS).startswith(b"{"):
        return _json(data, url)
    if _is_page(data):
        return "a page for browsers (HTML or XML)", "look at url"
    return "a file of another kind", "look at url"


def _packed(name: str, url: str) -> tuple[str, str]:
    if ".json" in url:
        return f"a reference document, it seems, compressed with {name}", _document(url)
    return f"a file compressed with {name}", _UNPACK


def _json(data: bytes, url: str) -> tuple[str, str]:
    if b'"refs"' in data or b".zgroup" in data or b".zattrs" in data or b".zarray" in data:
        return "a reference document (kerchunk's)", _document(url)
    name = url.rstrip("/").rpartition("/")[2]
    if name in ("zarr.json", ".zgroup", ".zmetadata", ".zattrs", ".zarray"):
        return "one document of a store", "name its folder as url"
    return "a JSON document", f"if it holds references, {_document(url)}"


def _document(url: str) -> str:
    shown = url.partition("?")[0].rpartition("/")[2]
    return (
        f"write url: reference:// and, as storage_options, {{fo: the address of {shown}}}, with "
        "what is now in storage_options as target_options"
    )


_MOST_LISTED: Final = 200
_MOST_NAMED: Final = 20


async def variables_below(source: ByteSource, group: str | None) -> str | None:
    """The sentence that names the groups below `group` that hold arrays; None: there is none."""
    root = (group or "").strip("/")
    try:
        listed = await groups_with_arrays(
            source, zarr_format=None, consolidated=None, most=_MOST_LISTED, below=root
        )
    except SluiceError:
        return None
    found = [path for path in listed if path != root]
    if not found:
        return None
    named = ", ".join(found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    if len(found) == 1:
        return f"its group holds no variables, and {named} does: write group: {found[0]}."
    return (
        f"its group holds no variables; those that do are {named}{more}: write group: {found[0]}, "
        'or group: "*", which serves each of them.'
    )


async def stores_below(source: ByteSource) -> str | None:
    """The sentence that names the stores below a folder that is none itself."""
    try:
        found = await _stores(source)
    except SluiceError:
        return None
    if not found:
        return None
    named = ", ".join(found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"its url is a folder of stores ({named}{more}): name one of them in url."


async def _stores(source: ByteSource) -> list[str]:
    found = []
    for name in (await source.list_dir(""))[:_MOST_LISTED]:
        if not name.startswith(".") and await _is_group(source, name):
            found.append(name)
    return found


async def _is_group(source: ByteSource, path: str) -> bool:
    if await source.exists(f"{path}/.zgroup"):
        return True
    data = await source.get(f"{path}/zarr.json")
    return data is not None and json_object(data, path).get("node_type") == "group"


# Fields of which another value means other data, by how people call them.
_TELLING: Final = {
    "shape": "shape",
    "chunks": "chunks",
    "chunk_grid": "chunks",
    "dtype": "dtype",
    "data_type": "data type",
    "compressor": "compressor",
    "filters": "filters",
    "codecs": "codecs",
    "order": "order",
    "fill_value": "fill value",
    "dimension_separator": "separator of chunk keys",
    "chunk_key_encoding": "chunk keys",
    "dimension_names": "dimension names",
    "attributes": "attributes",
}
_FIX: Final = "Run zarr.consolidate_metadata on the store"
_LONGEST: Final = 60


def stale_findings(consolidated: GroupDocuments, own: GroupDocuments) -> list[Finding]:
    """What the consolidated documents of a group say otherwise than its arrays' own."""
    findings = [
        Finding(Severity.WARNING, name, f"its consolidated metadata is stale: {differs}. {_FIX}.")
        for name, document in consolidated.arrays.items()
        if name in own.arrays and (differs := "; ".join(_differences(document, own.arrays[name])))
    ]
    gone = sorted(consolidated.arrays.keys() - own.arrays.keys())
    if gone:
        named = _list(gone)
        text = f"consolidated metadata names {named}, of which the store has no document. {_FIX}."
        findings.append(Finding(Severity.WARNING, "", text))
    new = sorted(own.arrays.keys() - consolidated.arrays.keys())
    if new:
        text = (
            f"consolidated metadata lacks {_list(new)}, of which the store has documents, so no "
            f"request can ask for that. {_FIX}."
        )
        findings.append(Finding(Severity.WARNING, "", text))
    return findings


def _differences(consolidated: Document, own: Document) -> Iterator[str]:
    for field, called in _TELLING.items():
        said, is_so = consolidated.get(field), own.get(field)
        if field == "dimension_separator":
            said, is_so = said or ".", is_so or "."
        if (said or None) != (is_so or None) and _as_json(said) != _as_json(is_so):
            if field == "attributes":
                yield "it says other attributes than the array's own document"
            else:
                yield f"{called} {_shown(said)}, and the array's own document {_shown(is_so)}"


def _as_json(value: object) -> str:
    # NaN is not equal to itself, its text is.
    return json.dumps(value, sort_keys=True)


def _shown(value: object) -> str:
    text = _as_json(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _list(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
