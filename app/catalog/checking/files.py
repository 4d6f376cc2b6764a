"""Addresses that are a file where a store was meant: what the file is, and the way to serve it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from sluice.errors import SluiceError
from sluice.store.addresses import split_document, split_url
from sluice.store.protocols import LOCAL, ROOTLESS
from sluice.store.source import ByteSource

# The source of another address than the entry's, with its options.
Beside = Callable[[str], Awaitable[ByteSource]]

_HEAD_BYTES: Final = 4096
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
        data = await source.get(name, 0, _HEAD_BYTES)
        if data and _is_page(data) and not await _answers_pages(source, name):
            return None  # a web server's list of what is in a folder
    except SluiceError:
        return None
    if data is None or (not data and protocol not in LOCAL):
        return None  # an empty object can stand for a folder
    what, way = _kind(data, url)
    return f"its url is {what} and no Zarr store, which is a folder: {way}."


def _is_page(data: bytes) -> bool:
    return data.lstrip(_BLANKS)[:1] == b"<"


async def _answers_pages(source: ByteSource, name: str) -> bool:
    """Whether a server has a page for people even where a document of a store would be."""
    data = await source.get(f"{name}/zarr.json", 0, _HEAD_BYTES)
    return data is not None and _is_page(data)


def _kind(data: bytes, url: str) -> tuple[str, str]:
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
