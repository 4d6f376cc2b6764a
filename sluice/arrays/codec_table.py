"""Codecs, one row for each: how it is decoded to a bounded number of bytes, and what that costs.

A few kilobytes can inflate to gigabytes. Frames of Zstandard, Blosc and LZ4 state the size of their
content, which is checked first; streams are inflated up to the bound and not further. A codec that
cannot be decoded here is refused when its array is parsed: later its chunks would pass for damaged.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

import numpy as np

from sluice.aliases import Array, Document
from sluice.errors import CorruptChunk, MetadataError, excerpt

Data: TypeAlias = bytes | bytearray | memoryview | Array
Step: TypeAlias = Callable[[Data], Data]

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


class Codec(Protocol):
    """A codec as numcodecs has it."""

    codec_id: str

    def decode(self, data: Data, /) -> Data: ...


@dataclass(frozen=True, slots=True)
class CodecRow:
    """What is known of a codec.

    bounded: ``bounded(codec, most_bytes)`` decodes with it, to at most so many bytes.
    decode_cost: how many times as long as Zstandard decoding takes.
    v3: the names of the codec in Zarr v3, if it is one from bytes to bytes: its ``"own"``, that
        with ``"numcodecs."`` before it, or both.
    numbers: the options that have to be numbers, since decoding depends on them.
    """

    bounded: Callable[[Codec, int], Step]
    decode_cost: int
    v3: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


def bounded(codec: Codec, most_bytes: int) -> Step:
    """``codec.decode`` of a numcodecs codec, limited to an output of `most_bytes`.

    The output of a codec without a row is measured once it is there. Whatever the step raises means
    that its input is damaged.
    """
    return CODECS.get(codec.codec_id, _UNKNOWN).bounded(codec, most_bytes)


def decode_cost(name: str) -> int:
    """How many times as long as Zstandard the codec of this name takes."""
    return CODECS.get(name, _UNKNOWN).decode_cost


def bytes_codec(codec: Document) -> Codec | None:
    """The numcodecs codec for a v3 codec from bytes to bytes; None where it is not known here."""
    import numcodecs

    written = str(codec["name"])
    name = written.removeprefix("numcodecs.")
    form = "own" if name == written else "numcodecs."
    if form not in CODECS.get(name, _UNKNOWN).v3:
        return None
    if name == "crc32c":
        return Crc32c()
    # The options of the specification's own codecs are for encoding alone.
    options = codec.get("configuration", {}) if form == "numcodecs." else {}
    found: Codec = numcodecs.get_codec({"id": name, **options})
    return found


class Crc32c:
    """The Zarr v3 codec ``crc32c``: a little-endian CRC32C after the data."""

    codec_id = "crc32c"

    def decode(self, data: Data, /) -> bytes:
        """The data before the checksum, once it fits."""
        import google_crc32c

        whole = bytes(data)
        body, stored = whole[:-4], int.from_bytes(whole[-4:], "little")
        if len(whole) < 4 or google_crc32c.value(body) != stored:
            raise CorruptChunk("a chunk's CRC32C does not match its bytes")
        return body


def check_size(size: int, most: int) -> None:
    """Raise CorruptChunk where a chunk decodes to a `size` of more than `most` bytes."""
    if size > most:
        raise CorruptChunk(f"a chunk inflates to more than the {most} bytes that it may have")


def _zstd(codec: Codec, most: int) -> Step:
    """RFC 8878, 3.1.1.1: the content's size stands in the frame's header, or nowhere."""
    from numcodecs.zstd import Zstd, decompress

    # (The function that numcodecs' codec calls, without its conversion of the input.)
    decode: Step = decompress if type(codec) is Zstd else codec.decode
    return partial(_zstd_decoded, decode, most)


def _zstd_decoded(decode: Step, most: int, data: Data) -> Data:
    size, _ = zstd_size(bytes(view_of(data).cast("B")[:18]))
    if size is None:
        return _streamed(_zstd_file, most, data)
    check_size(size, most)
    return decode(data)


def zstd_size(head: bytes) -> tuple[int | None, slice[int, int, None]]:
    """The content size that a frame's header states (None: it states none), and its place there.

    The first block comes right after that place.
    """
    if len(head) < 6 or head[:4] != _ZSTD_MAGIC:
        raise CorruptChunk("a Zstandard frame does not begin as one")
    descriptor = head[4]
    single_segment = descriptor >> 5 & 1
    start = 5 + (1 - single_segment) + (0, 1, 2, 4)[descriptor & 3]
    length = (single_segment, 2, 4, 8)[descriptor >> 6]
    place = slice(start, start + length, None)
    size = int.from_bytes(head[place], "little") + (256 if length == 2 else 0)
    return size if length else None, place


def _blosc(codec: Codec, most: int) -> Step:
    """Bytes 4 to 8 of the header are the content's size, 12 to 16 the frame's own.

    Blosc 1 believes both and reads past the end of a truncated frame (c-blosc,
    README_CHUNK_FORMAT).
    """

    def decode(data: Data) -> Data:
        frame = view_of(data).cast("B")
        if len(frame) < 16 or int.from_bytes(frame[12:16], "little") != len(frame):
            raise CorruptChunk("a Blosc frame is not as long as its header says")
        check_size(int.from_bytes(frame[4:8], "little"), most)
        return codec.decode(data)

    return decode


def _lz4(codec: Codec, most: int) -> Step:
    """numcodecs puts the content's size before the block."""

    def decode(data: Data) -> Data:
        check_size(int.from_bytes(view_of(data).cast("B")[:4], "little"), most)
        return codec.decode(data)

    return decode


def _zlib(_: Codec, most: int) -> Step:
    def decode(data: Data) -> Data:
        inflating = zlib.decompressobj()
        made = inflating.decompress(view_of(data), most + 1)
        check_size(len(made), most)
        if not inflating.eof:
            raise CorruptChunk("a chunk's zlib stream ends early")
        return made

    return decode


class _File(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


def _streamed(open_file: Callable[[BytesIO], _File], most: int, data: Data) -> bytes:
    with closing(open_file(BytesIO(view_of(data)))) as file:
        made = file.read(most + 1)
    check_size(len(made), most)
    return made


def _zstd_file(raw: BytesIO) -> _File:
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(raw)


def _gzip(_: Codec, most: int) -> Step:
    return partial(_streamed, lambda raw: gzip.GzipFile(fileobj=raw), most)


def _bz2(_: Codec, most: int) -> Step:
    return partial(_streamed, bz2.BZ2File, most)


def _lzma(codec: Codec, most: int) -> Step:
    options = {name: getattr(codec, name) for name in ("format", "filters")}
    return partial(_streamed, partial(lzma.LZMAFile, **options), most)


def _as_wide(codec: Codec, most: int) -> Step:
    """A codec whose output is as large as its input."""
    return partial(_stretched, codec.decode, (1, 1), most)


def _bits(codec: Codec, most: int) -> Step:
    """A codec whose output has a byte for each bit of its input."""
    return partial(_stretched, codec.decode, (1, 8), most)


def _retyped(stored: str, made: str, codec: Codec, most: int) -> Step:
    """A codec that changes the dtype; the names are those of its attributes for both."""
    types = (getattr(codec, name) for name in (stored, made))
    before, after = (max(1, np.dtype(one).itemsize) for one in types)
    return partial(_stretched, codec.decode, (before, after), most)


def _stretched(decode: Step, stretch: tuple[int, int], most: int, data: Data) -> Data:
    """Decode; `stretch` is how many bytes a value takes before and after."""
    stored, made = stretch
    check_size(_nbytes(data) // stored * made, most)
    found = decode(data)
    check_size(_nbytes(found), most)
    return found


def _nbytes(data: Data) -> int:
    return data.nbytes if isinstance(data, np.ndarray) else memoryview(data).nbytes


def view_of(data: Data) -> memoryview:
    """The bytes, without a copy."""
    return memoryview(data.data if isinstance(data, np.ndarray) else data)


_filter: Final = partial(_retyped, "astype", "dtype")

# By numcodecs' names. The costs were measured with 2 MiB of int16: 2.4 ms by Zstandard, 8 to 11 by
# gzip and zlib, 42 and 53 by the last two; the others take less than Zstandard.
CODECS: Final[Mapping[str, CodecRow]] = MappingProxyType(
    {
        "zstd": CodecRow(_zstd, 1, v3=("own", "numcodecs.")),
        "blosc": CodecRow(_blosc, 1, v3=("own", "numcodecs.")),
        "lz4": CodecRow(_lz4, 1, v3=("numcodecs.",)),
        "gzip": CodecRow(_gzip, 4, v3=("own", "numcodecs.")),
        "zlib": CodecRow(_zlib, 4, v3=("numcodecs.",)),
        "bz2": CodecRow(_bz2, 20, v3=("numcodecs.",)),
        "lzma": CodecRow(_lzma, 20, v3=("numcodecs.",), numbers=("format",)),
        "shuffle": CodecRow(_as_wide, 1, v3=("numcodecs.",), numbers=("elementsize",)),
        "crc32c": CodecRow(_as_wide, 1, v3=("own",)),
        "packbits": CodecRow(_bits, 1),
        "astype": CodecRow(partial(_retyped, "encode_dtype", "decode_dtype"), 1),
        "delta": CodecRow(_filter, 1),
        "fixedscaleoffset": CodecRow(_filter, 1, numbers=("offset", "scale")),
        "quantize": CodecRow(_filter, 1),
        "categorize": CodecRow(_filter, 1),
    }
)
# For codecs of other packages.
_UNKNOWN: Final = CodecRow(_as_wide, 1)

# Options that are counts: numcodecs takes them as they are, and fails on another kind of number
# only when it decodes.
COUNTS: Final = frozenset(
    {"elementsize", "level", "clevel", "blocksize", "typesize", "acceleration", "format"}
)

# Packages of the Python Package Index, by the codecs that they bring; below by prefixes of names.
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
_PACKAGES_BY_PREFIX: Final = (("imagecodecs_", "imagecodecs"), ("gribscan", "gribscan"))


def _check_options(name: str, options: Document) -> None:
    """Raise MetadataError where options that have to be numbers are none."""
    for key in options.keys() & CODECS.get(name, _UNKNOWN).numbers:
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
    by_prefix = (package for prefix, package in _PACKAGES_BY_PREFIX if name.startswith(prefix))
    package = _PACKAGES.get(name) or next(by_prefix, None)
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
