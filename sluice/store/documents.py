"""JSON documents that stores hold (metadata, reference sets), compressed or not."""

from __future__ import annotations

import bz2
import gzip
import importlib
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from io import BytesIO
from typing import Final, Protocol

from sluice.aliases import DocumentDict
from sluice.errors import CatalogError, MetadataError, plain_words


def json_object(data: bytes, name: str) -> DocumentDict:
    """The JSON object in `data`.

    Raises:
        MetadataError: it is something else, or nested too deeply; names `name`.
    """
    try:
        document = json.loads(data)
    except UnicodeDecodeError as error:
        raise MetadataError(f"{name} is not JSON: it is not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{name} is not JSON: {plain_words(str(error))}") from error
    if not isinstance(document, dict):
        raise MetadataError(f"{name} is not a JSON object")
    return document


# What each kind of file begins with: RFC 1952 (gzip), RFC 8878 (zstd), the formats' own
# specifications for the rest. The older form of LZMA has no such mark.
_MAGIC: Final = (
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"PK\x03\x04", "zip"),
    (b"\xff\x06\x00\x00sNaPpY", "snappy"),
)


class _Stream(Protocol):
    """A decompressing file, which inflates no more than is read."""

    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


def _gzip(file: BytesIO) -> _Stream:
    return gzip.GzipFile(fileobj=file)


def _zstd(file: BytesIO) -> _Stream:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


def _lz4(file: BytesIO) -> _Stream:
    opened: _Stream = importlib.import_module("lz4.frame").open(file)
    return opened


def _xz(file: BytesIO) -> _Stream:
    # Zeros may follow (the format's specification, 2.2), of which the library knows nothing.
    return lzma.LZMAFile(BytesIO(file.getvalue().rstrip(b"\0")))


def _zip(file: BytesIO) -> _Stream:
    archive = zipfile.ZipFile(file)
    return archive.open(archive.namelist()[0])


# By fsspec's names.
_OPENERS: Final[Mapping[str, Callable[[BytesIO], _Stream]]] = {
    "bz2": bz2.BZ2File,
    "gzip": _gzip,
    "lz4": _lz4,
    "lzma": lzma.LZMAFile,
    "xz": _xz,
    "zip": _zip,
    "zstd": _zstd,
}
# fsspec's word for a compression that is found out from the data.
INFER: Final = "infer"


def check_compression(name: object) -> None:
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
    """`data` decompressed; itself where it is not compressed.

    By `compression`, or else as its first bytes, or a `name` in ``.lzma``, say.

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
    opener: Callable[[BytesIO], _Stream], data: bytes, name: str, kind: str, most_bytes: int
) -> bytes:
    if kind == "zstd" and not _is_whole_zstd(data):
        raise MetadataError(f"{name} cannot be decompressed as zstd: it is cut off.")
    try:
        with closing(opener(BytesIO(data))) as stream:
            return bytes(stream.read(most_bytes + 1))
    except ImportError as error:
        raise CatalogError(
            f"{name} is compressed with {kind}: pip install {kind}, which is not installed"
        ) from error
    except EOFError as error:
        raise MetadataError(f"{name} cannot be decompressed as {kind}: it is cut off.") from error
    except Exception as error:  # each library has its own for data that is not its own
        raise MetadataError(f"{name} cannot be decompressed as {kind}.") from error


def _is_whole_zstd(data: bytes) -> bool:
    """Whether all Zstandard frames are complete (RFC 8878, 3.1): the library does not check that.

    True for what is no frame, which the library refuses.
    """
    import zstandard

    at = 0
    while at < len(data):
        if data[at + 1 : at + 4] == b"\x2a\x4d\x18" and data[at] >> 4 == 5:  # skippable
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            continue
        try:
            parameters = zstandard.get_frame_parameters(data[at : at + 18])
            at += zstandard.frame_header_size(data[at : at + 18])
        except zstandard.ZstdError:
            return data[at : at + 4] != _MAGIC[0][0]
        last = False
        while not last:
            header = int.from_bytes(data[at : at + 3], "little")
            if at + 3 > len(data):
                return False
            last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
            at += 3 + (1 if kind == 1 else size)
        at += 4 if parameters.has_checksum else 0
    return at == len(data)
