"""Texts of variable length: their chunks, and what they count for as they are read.

No metadata says how long such texts are. numcodecs' ``vlen-utf8`` and ``vlen-bytes``, which Zarr v3
has taken over, store the number of values, then each value's length and its bytes; all numbers are
little-endian, of four bytes: how long the texts are shows before any of them is made.
"""

from __future__ import annotations

import struct
from codecs import getincrementaldecoder
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, DType
from sluice.arrays.codec_table import Data, Step, view_of
from sluice.errors import CorruptChunk, LimitError

# What JSON writes in six bytes, and in two (RFC 8259, 7).
_IN_SIX: Final = bytes(set(range(32)) - set(b"\b\t\n\f\r"))
_IN_TWO: Final = b'\b\t\n\f\r"\\'
# Looking at each character of longer ones takes longer than a copy.
_SHORT: Final = 256
_PART: Final = 2**18

# What a number, a boolean or nothing counts for.
_SCALAR_BYTES: Final = 8


# What is told of a limit by its name.
_EXCEEDED: Final = MappingProxyType(
    {
        "result_bytes": "The result",
        "text_bytes": "The texts of variable length",
        "chunk_bytes": "The texts of the touched chunks",
    }
)


def has_texts(dtype: DType) -> bool:
    """Whether values of this dtype lie outside of their array, so that it does not say how long."""
    return dtype.kind in "OT"


def text_bytes(values: Array) -> int:
    """The bytes of all texts and bytes among `values`, beside the array itself.

    They count as UTF-8 in a JSON text, where a control character is six bytes: so no format
    makes more of them than they count for.
    """
    match values.dtype.kind:
        case "O" | "T":
            return sum(map(_length, values.flat))
        case _:
            return 0


def text_lengths(values: Array) -> NDArray[np.int64]:
    """For each of 1-D `values`, what `text_bytes` counts."""
    return np.fromiter(map(_length, values.flat), np.int64, values.size)


def attribute_bytes(attrs: Mapping[str, object] | Mapping[Hashable, object]) -> int:
    """The bytes of all names, texts and arrays among attributes, and 8 for each other value."""
    total = 0
    # No recursion: attributes may be nested as deep as their document.
    left: list[object] = [attrs]
    while left:
        match left.pop():
            case Mapping() as items:
                left += items.keys()
                left += items.values()
            case list() | tuple() | set() | frozenset() as items:
                left += items
            case np.ndarray() as array:
                total += array.nbytes + text_bytes(array)
            case int() as number:
                total += max(_SCALAR_BYTES, number.bit_length() // 2)
            case value:
                total += _length(value) or _SCALAR_BYTES
    return total


def _length(value: object) -> int:
    match value:
        case str():
            if _is_plain(value):
                return len(value)
            # In parts, between which other threads have their turn.
            starts = range(0, len(value), _PART)
            parts = (value[start : start + _PART] for start in starts)
            return sum(_escaped(part.encode("utf-8", "surrogatepass")) for part in parts)
        case bytes() | bytearray():
            starts = range(0, len(value), _PART)
            return sum(_escaped(value[start : start + _PART]) for start in starts)
        case list() | tuple() | np.ndarray():
            return _SCALAR_BYTES * len(value) if np.ndim(value) else 0
        case _:
            return 0


def _is_plain(text: str) -> bool:
    """Whether each character is one byte in JSON; what is long is not looked at."""
    short = len(text) <= _SHORT and text.isascii() and text.isprintable()
    return short and '"' not in text and "\\" not in text


def _escaped(text: bytes | bytearray) -> int:
    """How long the text is in JSON, without its quotation marks."""
    size = len(text)
    long = size - len(text.translate(None, _IN_SIX))
    short = size - len(text.translate(None, _IN_TWO))
    return size + 5 * long + short


@dataclass(slots=True)
class TextMeter:
    """What one answer's texts have taken so far, on top of all that was known before.

    `result_bytes` is the answer, of at most `most_result_bytes`; `chunk_bytes` are the decoded
    chunks that it touches, of at most `most_chunk_bytes`; `text_bytes` are its texts alone, of at
    most `most_text_bytes`, where these have a limit of their own.
    """

    result_bytes: int
    most_result_bytes: int
    chunk_bytes: int
    most_chunk_bytes: int
    text_bytes: int = 0
    most_text_bytes: int = 2**63

    def foresee(self, chunk_bytes: int, part_bytes: Callable[[], int]) -> None:
        """LimitError where a chunk has too many bytes of text, before any text is made of it.

        The answer takes ``part_bytes()`` of its `chunk_bytes`, which takes a while to find out.
        """
        chunks = self.chunk_bytes + chunk_bytes
        if chunks > self.most_chunk_bytes:
            raise self._excess("chunk_bytes", chunks, self.most_chunk_bytes)
        result, texts = self.result_bytes, self.text_bytes
        room = min(self.most_result_bytes - result, self.most_text_bytes - texts)
        if chunk_bytes <= room:
            return
        part = part_bytes()
        self._check(result + part, texts + part)

    def decode(self, nbytes: int) -> None:
        """A chunk decoded to so many bytes of text: too many are an error once some are taken.

        (Not here, since others may wait for the chunk too.)
        """
        self.chunk_bytes += nbytes

    def take(self, nbytes: int) -> None:
        """So many bytes of text belong to the answer; LimitError where a limit is exceeded."""
        self.text_bytes += nbytes
        self.write(nbytes)
        if self.chunk_bytes > self.most_chunk_bytes:
            raise self._excess("chunk_bytes", self.chunk_bytes, self.most_chunk_bytes)

    def write(self, nbytes: int) -> None:
        """The answer is so much longer by its texts; LimitError where a limit is exceeded."""
        self.result_bytes += nbytes
        self._check(self.result_bytes, self.text_bytes)

    def _check(self, result_bytes: int, text_bytes: int) -> None:
        if result_bytes > self.most_result_bytes:
            raise self._excess("result_bytes", result_bytes, self.most_result_bytes)
        if text_bytes > self.most_text_bytes:
            raise self._excess("text_bytes", text_bytes, self.most_text_bytes)

    def _excess(self, limited: str, found: int, limit: int) -> LimitError:
        return LimitError(
            f"{_EXCEEDED[limited]} would take {found} bytes or more; one request may take {limit}."
            " How long texts are is known only once they are read: ask for a smaller part.",
            limited=limited,
            estimate=found,
            limit=limit,
        )


@dataclass(slots=True)
class TextSize:
    """How long the texts of one array have been so far: the largest mean of any chunk, in bytes.

    None before any was read.
    """

    mean_bytes: float | None = None

    def see(self, nbytes: int, values: int) -> None:
        """A chunk of so many values has so many bytes of text."""
        self.mean_bytes = max(self.mean_bytes or 0.0, nbytes / max(1, values))


# What is made in one go, without a turn for other threads: a call into C holds the interpreter.
_PIECE_VALUES: Final = 4096
_PIECE_BYTES: Final = 2**20
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class TextDecoder:
    """A chunk's bytes -> its texts, by way of their encoded form, whose size is theirs.

    `inflate` brings that form, and `inflate_short` too where it is short (else CorruptChunk).
    `arrange` brings `count` flat values to the shape of the chunk. `codec_id` is ``vlen-utf8`` or
    ``vlen-bytes``; texts come as `dtype`.
    """

    inflate: Step
    inflate_short: Step
    codec_id: str
    dtype: DType
    count: int
    arrange: Callable[[Array], Array]

    def __call__(self, data: bytes) -> Array:
        """The values of a chunk; CorruptChunk for bytes that are none."""
        return self.values(self.inflate(data))

    def size(self, encoded: Data) -> int:
        """The bytes of all texts of a chunk in encoded form."""
        return max(0, _viewed(encoded).nbytes - _LENGTH.size * (1 + self.count))

    def lengths(self, encoded: Data) -> Array:
        """The bytes of each text, in the shape of the chunk."""
        spans = _spans(self._counted(encoded), self.count)
        flat = np.fromiter((end - start for start, end in spans), np.int64, self.count)
        return self.arrange(flat)

    def values(self, encoded: Data) -> Array:
        """The texts of a chunk in encoded form, in the shape of the chunk."""
        view = self._counted(encoded)
        if self.count <= _PIECE_VALUES and view.nbytes <= _PIECE_BYTES:
            return self.arrange(self._made(view, self.count))
        made = np.empty(self.count, self.dtype)
        for first, last, start, end in _pieces(_spans(view, self.count)):
            made[first:last] = self._piece(view[start:end], last - first)
        return self.arrange(made)

    def _counted(self, encoded: Data) -> memoryview:
        """Memory for so many texts as the chunk says is taken at once."""
        view = _viewed(encoded)
        check_count(view, self.count)
        return view

    def _piece(self, view: memoryview, count: int) -> Array | str:
        if count == 1 and view.nbytes > _PIECE_BYTES and self.codec_id == "vlen-utf8":
            return _long_text(view[_LENGTH.size :])
        return self._made(_LENGTH.pack(count) + bytes(view), count)

    def _made(self, encoded: Data, count: int) -> Array:
        import numcodecs

        # Damaged input fails in many ways; each means the same.
        try:
            flat: Array = numcodecs.get_codec({"id": self.codec_id}).decode(encoded)
            texts: Array = flat.astype(self.dtype).reshape(-1)
        except Exception as error:
            raise CorruptChunk("a chunk of texts is damaged") from error
        if texts.size != count:
            raise CorruptChunk(f"a chunk decodes to {texts.size} texts, not {count}")
        return texts


def check_count(encoded: Data, count: int) -> None:
    """Raise CorruptChunk unless a chunk says that it has as many values as it must have."""
    stated = int.from_bytes(_viewed(encoded)[: _LENGTH.size], "little")
    if stated != count:
        raise CorruptChunk(f"a chunk says that it has {stated} values, not {count}")


def _viewed(encoded: Data) -> memoryview:
    return view_of(encoded).cast("B")


def _spans(view: memoryview, count: int) -> Iterator[tuple[int, int]]:
    """Where the bytes of each text begin and end."""
    end = _LENGTH.size
    for _ in range(count):
        try:
            (length,) = _LENGTH.unpack_from(view, end)
        except struct.error:
            length = view.nbytes
        start, end = end + _LENGTH.size, end + _LENGTH.size + length
        if end > view.nbytes:
            raise CorruptChunk("a chunk of texts ends before its last one")
        yield start, end


def _pieces(spans: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """The first value and the one after the last, and their bytes, of pieces of bounded size."""
    first, start, number, end = 0, _LENGTH.size, 0, _LENGTH.size
    for number, (_, after) in enumerate(spans):
        if number > first and (number - first >= _PIECE_VALUES or after - start > _PIECE_BYTES):
            yield first, number, start, end
            first, start = number, end
        end = after
    if end > start:
        yield first, number + 1, start, end


def _long_text(view: memoryview) -> str:
    decoder = getincrementaldecoder("utf-8")()
    starts = range(0, view.nbytes, _PIECE_BYTES)
    try:
        parts = [decoder.decode(view[start : start + _PIECE_BYTES]) for start in starts]
        return "".join([*parts, decoder.decode(b"", final=True)])
    except UnicodeDecodeError as error:
        raise CorruptChunk("a chunk of texts has one that is no UTF-8") from error
