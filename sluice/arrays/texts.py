"""Texts of variable length: how their chunks are decoded, and how their bytes are counted.

No metadata says how long such texts are. numcodecs' ``vlen-utf8`` and ``vlen-bytes``, which Zarr v3
has taken over, store the number of values, then each value's length and its bytes; all numbers are
little-endian, of four bytes. So the lengths are known before any text is decoded.
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

# Characters that JSON writes in six bytes, and in two (RFC 8259, 7).
_IN_SIX: Final = bytes(set(range(32)) - set(b"\b\t\n\f\r"))
_IN_TWO: Final = b'\b\t\n\f\r"\\'
# The longest text whose characters are looked at one by one; longer ones are encoded.
_SHORT: Final = 256
# How much of a text is encoded in one go.
_PART: Final = 2**18

# What a number, a boolean or None counts for.
_SCALAR_BYTES: Final = 8

# How messages call what is limited, by the names of the limits.
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
    """The bytes of all texts and bytes among `values`, which lie outside of the array itself.

    They count as in a JSON text in UTF-8, where a control character takes six bytes: no format
    writes more for them.
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
            # In parts: between two calls into C, other threads can run.
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
    """Whether each character is one byte in JSON; False for long texts, without a look."""
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
    """Counts the texts of one answer as they are read, and stops the reading at a limit.

    `result_bytes` is the size of the answer, at first without texts, of at most
    `most_result_bytes`; `chunk_bytes` that of the decoded chunks it touches, of at most
    `most_chunk_bytes`; `text_bytes` that of its texts alone, of at most `most_text_bytes`.
    """

    result_bytes: int
    most_result_bytes: int
    chunk_bytes: int
    most_chunk_bytes: int
    text_bytes: int = 0
    most_text_bytes: int = 2**63

    def foresee(self, chunk_bytes: int, part_bytes: Callable[[], int]) -> None:
        """LimitError if a chunk with so many bytes of text exceeds a limit; counts nothing yet.

        ``part_bytes()`` is how many of them the answer takes; it is slow, and called if need be.
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
        """Count the bytes of text of a decoded chunk.

        Raises nothing, since other readings may wait for the same chunk: `take` does.
        """
        self.chunk_bytes += nbytes

    def take(self, nbytes: int) -> None:
        """Count bytes of text that the answer takes; LimitError where a limit is exceeded."""
        self.text_bytes += nbytes
        self.write(nbytes)
        if self.chunk_bytes > self.most_chunk_bytes:
            raise self._excess("chunk_bytes", self.chunk_bytes, self.most_chunk_bytes)

    def write(self, nbytes: int) -> None:
        """Count bytes by which texts make the answer longer; LimitError beyond a limit."""
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
    """How long the texts of one array were so far: the largest mean of any chunk, in bytes.

    None before any chunk was read.
    """

    mean_bytes: float | None = None

    def see(self, nbytes: int, values: int) -> None:
        """Learn that a chunk of so many values has `nbytes` of text."""
        self.mean_bytes = max(self.mean_bytes or 0.0, nbytes / max(1, values))


# What is decoded by one call into C, which lets no other thread run.
_PIECE_VALUES: Final = 4096
_PIECE_BYTES: Final = 2**20
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class TextDecoder:
    """Decodes a chunk's bytes to texts in two steps: to their encoded form, then to `dtype`.

    `inflate` makes the encoded form, which tells how long the texts are; `inflate_short` the same
    of a short one, and raises CorruptChunk for others. `arrange` brings `count` flat values to the
    shape of the chunk. `codec_id` is ``vlen-utf8`` or ``vlen-bytes``.
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
        """The encoded form, once its own count is right: memory is allocated by that."""
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
