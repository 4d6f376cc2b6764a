"""Documents that were compressed as a whole, opened with a bound on what they become."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Final

from app.errors import CatalogError, MetadataError

# What each kind of file begins with: RFC 1952 (gzip), RFC 8878 (zstd), the formats' own
# specifications for the rest. LZMA's older form begins with nothing that others cannot.
_MAGIC: Final = (
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
)


def _zstd(file: BytesIO) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


def _lz4(file: BytesIO) -> Any:
    return importlib.import_module("lz4.frame").open(file)


def _zip(file: BytesIO) -> Any:
    archive = zipfile.ZipFile(file)
    return archive.open(archive.namelist()[0])


# fsspec's names. Each gives a stream, of which no more is made than is read.
_OPENERS: Final[Mapping[str, Callable[[BytesIO], Any]]] = {
    "bz2": bz2.BZ2File,
    "gzip": gzip.open,
    "lz4": _lz4,
    "lzma": lzma.LZMAFile,
    "xz": lzma.LZMAFile,
    "zip": _zip,
    "zstd": _zstd,
}
# From the data itself; fsspec's own word.
INFER: Final = "infer"


def check_compression(name: Any) -> None:
    """Refuse a `compression` that no document is opened with.

    Raises:
        CatalogError: lists the known ones.
    """
    if name not in (None, INFER, *_OPENERS):
        raise CatalogError(
            f"the compression {str(name)[:50]!r} is unknown; known are "
            f"{', '.join(_OPENERS)}, infer",
            field="storage_options.target_options",
        )


def decompressed(data: bytes, name: str, *, compression: str | None, most_bytes: int) -> bytes:
    """`data` as it was before it was compressed; itself where it is not.

    How it was is told by `compression` or else by its first bytes, and by a `name` in ``.lzma``.

    Raises:
        MetadataError: it is longer than `most_bytes`, or does not decompress.
        CatalogError: its compression needs a package that is not installed.
    """
    kind = compression if compression not in (None, INFER) else _kind_of(data, name)
    if kind is None:
        opened = data[: most_bytes + 1]
    elif kind not in _OPENERS:
        raise MetadataError(f"{name} is compressed with {kind}, which is not read: use zstd.")
    else:
        opened = _opened(_OPENERS[kind], data, name, kind, most_bytes)
    if len(opened) > most_bytes:
        raise MetadataError(
            f"{name} has more than {most_bytes} bytes, the most that are read of a reference "
            "document (SLUICE_REFERENCE_BYTES): raise that, or write the references as Parquet."
        )
    return opened


def _kind_of(data: bytes, name: str) -> str | None:
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    return "lzma" if name.endswith(".lzma") and data[:1] == b"\x5d" else None


def _opened(
    opener: Callable[[BytesIO], Any], data: bytes, name: str, kind: str, most_bytes: int
) -> bytes:
    try:
        with opener(BytesIO(data)) as stream:
            return bytes(stream.read(most_bytes + 1))
    except ImportError as error:
        raise CatalogError(
            f"{name} is compressed with {kind}: pip install {kind}, which is not installed"
        ) from error
    except Exception as error:  # each library has its own for data that is not its own
        raise MetadataError(f"{name} cannot be decompressed as {kind}.") from error
