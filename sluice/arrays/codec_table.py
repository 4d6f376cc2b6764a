"""Codecs: which can be decoded here, and none makes more bytes of a chunk than it may have.

A few kilobytes can inflate to gigabytes. Frames of Zstandard, Blosc and LZ4 state what they inflate
to, which is looked at first; streams are inflated up to the bound and not further. A codec that
nothing here can decode is refused while its array is parsed: a chunk that comes later would be
taken for damaged, which it is not.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from io import BytesIO
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from sluice.aliases import Document
from sluice.errors import CorruptChunk, MetadataError
from sluice.wording import excerpt

Step = Callable[[Any], Any]

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


def bounded(codec: Any, most_bytes: int) -> Step:
    """``codec.decode`` of a numcodecs codec, which makes at most `most_bytes`.

    Of a codec that is not known here nobody knows how much it makes before it has made it; then it
    is an error. What a step raises says that its input is damaged, whatever its type.
    """
    match codec.codec_id:
        case "zstd":
            from numcodecs.zstd import Zstd, decompress

            # What numcodecs' own codec calls, once it has made an array of the bytes.
            decode = decompress if type(codec) is Zstd else codec.decode
            return partial(_zstd, decode, most_bytes)
        case "blosc":
            return partial(_blosc, codec.decode, most_bytes)
        case "lz4":
            return partial(_lz4, codec.decode, most_bytes)
        case "zlib":
            return partial(_zlib, most_bytes)
        case name if name in _FILES:
            return partial(_streamed, partial(_FILES[name], codec), most_bytes)
        case _:
            return partial(_stretched, codec.decode, _stretch(codec), most_bytes)


def _zstd(decode: Step, most: int, data: Any) -> Any:
    """RFC 8878, 3.1.1.1: the content's size stands in the frame's header, or nowhere."""
    size = _zstd_size(bytes(memoryview(data).cast("B")[:18]))
    if size is None:
        return _streamed(_zstd_file, most, data)
    check_size(size, most)
    return decode(data)


def _zstd_size(head: bytes) -> int | None:
    if len(head) < 6 or head[:4] != _ZSTD_MAGIC:
        raise CorruptChunk("a Zstandard frame does not begin as one")
    descriptor = head[4]
    single_segment = descriptor >> 5 & 1
    start = 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3]
    length = (single_segment, 2, 4, 8)[descriptor >> 6]
    if not length:
        return None
    size = int.from_bytes(head[start : start + length], "little")
    return size + 256 if length == 2 else size


def _blosc(decode: Step, most: int, data: Any) -> Any:
    """Bytes 4 to 8 of the header are the content's size, 12 to 16 the frame's own.

    Blosc 1 believes both and reads past the end of a truncated frame (c-blosc,
    README_CHUNK_FORMAT).
    """
    frame = memoryview(data).cast("B")
    if len(frame) < 16 or int.from_bytes(frame[12:16], "little") != len(frame):
        raise CorruptChunk("a Blosc frame is not as long as its header says")
    check_size(int.from_bytes(frame[4:8], "little"), most)
    return decode(data)


def _lz4(decode: Step, most: int, data: Any) -> Any:
    """numcodecs puts the content's size before the block."""
    check_size(int.from_bytes(memoryview(data).cast("B")[:4], "little"), most)
    return decode(data)


def _zlib(most: int, data: Any) -> bytes:
    inflating = zlib.decompressobj()
    made = inflating.decompress(data, most + 1)
    check_size(len(made), most)
    if not inflating.eof:
        raise CorruptChunk("a chunk's zlib stream ends early")
    return made


def _streamed(open_file: Callable[[BytesIO], Any], most: int, data: Any) -> bytes:
    with open_file(BytesIO(data)) as file:
        made: bytes = file.read(most + 1)
    check_size(len(made), most)
    return made


def _zstd_file(raw: BytesIO) -> Any:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(raw)


def _stretch(codec: Any) -> tuple[int, int]:
    """What a value takes before and after decoding, in bytes, where the codec says so."""
    match codec.codec_id:
        case "packbits":
            return 1, 8
        case "astype":
            types = codec.encode_dtype, codec.decode_dtype
        case "delta" | "fixedscaleoffset" | "quantize" | "categorize":
            types = codec.astype, codec.dtype
        case _:
            return 1, 1
    stored, made = (max(1, np.dtype(one).itemsize) for one in types)
    return stored, made


def _stretched(decode: Step, stretch: tuple[int, int], most: int, data: Any) -> Any:
    stored, made = stretch
    check_size(_nbytes(data) // stored * made, most)
    found = decode(data)
    check_size(_nbytes(found), most)
    return found


def _nbytes(data: Any) -> int:
    return int(data.nbytes) if isinstance(data, np.ndarray) else memoryview(data).nbytes


def check_size(size: int, most: int) -> None:
    """Raise CorruptChunk where a step makes more than `most` bytes of a chunk."""
    if size > most:
        raise CorruptChunk(f"a chunk inflates to more than the {most} bytes that it may have")


def _lzma_file(codec: Any, raw: BytesIO) -> lzma.LZMAFile:
    return lzma.LZMAFile(raw, format=codec.format, filters=codec.filters)


_FILES: Mapping[str, Callable[[Any, BytesIO], Any]] = MappingProxyType(
    {
        "gzip": lambda _, raw: gzip.GzipFile(fileobj=raw),
        "bz2": lambda _, raw: bz2.BZ2File(raw),
        "lzma": _lzma_file,
    }
)


# Options that are counts: numcodecs takes them as they are, and fails on another kind of number
# only when it decodes.
COUNTS: Final = frozenset(
    {"elementsize", "level", "clevel", "blocksize", "typesize", "acceleration", "format"}
)
# Options by which a chunk is decoded, so that nothing can be read where they are no numbers.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"shuffle": ("elementsize",), "fixedscaleoffset": ("offset", "scale"), "lzma": ("format",)}
)

# Packages from the Python Package Index that bring codecs of these names, or that begin so.
_PACKAGES: Final = MappingProxyType(
    {
        "zfpy": "zfpy",
        "pcodec": "pcodec",
        "msgpack2": "msgpack",
        "crc32c": "google-crc32c",
        "grib": "kerchunk",
        "fill_hdf_strings": "kerchunk",
        "record_member": "kerchunk",
        "FITSAscii": "kerchunk",
        "FITSVarBintable": "kerchunk",
        "gribberish": "gribberish",
        "cast_value": "cast-value-rs",
    }
)
_PACKAGES_BY_PREFIX: Final = MappingProxyType(
    {"imagecodecs_": "imagecodecs", "gribscan": "gribscan"}
)


def _check_options(name: str, options: Document) -> None:
    """Raise MetadataError for options that are no numbers, without which nothing is decoded."""
    for key in options.keys() & _NEEDED.get(name, ()):
        kind, kinds = ("whole number", int) if key in COUNTS else ("number", (int, float))
        option = options[key]
        if isinstance(option, bool) or not isinstance(option, kinds):
            raise MetadataError(
                f"its codec {name!r} has the option {key} {excerpt(option)}, which is no {kind}"
            )


def codec_id(codec: Document) -> str:
    """The codec's name as numcodecs has it."""
    return str(codec.get("id") or codec.get("name")).removeprefix("numcodecs.")


def check_codec(codec: Document, zarr_format: int) -> None:
    """Raise MetadataError, which names the package to install, unless `codec` can be decoded."""
    import numcodecs
    from numcodecs.errors import UnknownCodecError
    from zarr.errors import UnknownCodecError as UnknownZarrCodec
    from zarr.registry import get_codec_class

    name = codec_id(codec)
    options = codec if zarr_format == 2 else {**codec.get("configuration", {}), "id": name}
    _check_options(name, options)
    try:
        if zarr_format == 2 or str(codec["name"]).startswith("numcodecs."):
            numcodecs.get_codec(dict(options))
        if zarr_format == 3:
            get_codec_class(str(codec["name"]))
    except (UnknownCodecError, UnknownZarrCodec, ImportError, KeyError):
        raise _not_installed(name) from None
    except (TypeError, ValueError):
        raise MetadataError(f"its codec {name!r} has options that it does not take") from None


def _not_installed(name: str) -> MetadataError:
    package = _PACKAGES.get(name) or next(
        (package for prefix, package in _PACKAGES_BY_PREFIX.items() if name.startswith(prefix)),
        None,
    )
    if package is None:
        return MetadataError(
            f"its codec {name!r} is not known here",
            advice="Install the Python package that brings this codec to numcodecs or zarr, or "
            "name the variable in drop_variables.",
        )
    return MetadataError(
        f"its codec {name!r} needs the Python package {package}, which is not installed here",
        advice=f"Install {package} where Sluice runs, or name the variable in drop_variables.",
    )
