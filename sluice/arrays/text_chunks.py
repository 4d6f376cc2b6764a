"""Chunks of texts of variable length: how long they are shows before any of them is made.

numcodecs' ``vlen-utf8`` and ``vlen-bytes``, which Zarr v3 has taken over: the number of values,
then each value's length and its bytes; all numbers are little-endian, of four bytes.
"""

from __future__ import annotations

import struct
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.errors import CorruptChunk

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

    inflate: Callable[[Any], Any]
    inflate_short: Callable[[Any], Any]
    codec_id: str
    dtype: DType
    count: int
    arrange: Callable[[Array], Array]

    def __call__(self, data: bytes) -> Array:
        """The values of a chunk; CorruptChunk for bytes that are none."""
        return self.values(self.inflate(data))

    def size(self, encoded: Any) -> int:
        """The bytes of all texts of a chunk in encoded form."""
        return max(0, _viewed(encoded).nbytes - _LENGTH.size * (1 + self.count))

    def lengths(self, encoded: Any) -> Array:
        """The bytes of each text, in the shape of the chunk."""
        spans = _spans(self._counted(encoded), self.count)
        flat = np.fromiter((end - start for start, end in spans), np.int64, self.count)
        return self.arrange(flat)

    def values(self, encoded: Any) -> Array:
        """The texts of a chunk in encoded form, in the shape of the chunk."""
        view = self._counted(encoded)
        if self.count <= _PIECE_VALUES and view.nbytes <= _PIECE_BYTES:
            return self.arrange(self._made(view, self.count))
        made = np.empty(self.count, self.dtype)
        for first, last, start, end in _pieces(_spans(view, self.count)):
            made[first:last] = self._piece(view[start:end], last - first)
        return self.arrange(made)

    def _counted(self, encoded: Any) -> memoryview:
        """Memory for so many texts as the chunk says is taken at once."""
        view = _viewed(encoded)
        check_count(view, self.count)
        return view

    def _piece(self, view: memoryview, count: int) -> Any:
        if count == 1 and view.nbytes > _PIECE_BYTES and self.codec_id == "vlen-utf8":
            return _long_text(view[_LENGTH.size :])
        return self._made(_LENGTH.pack(count) + bytes(view), count)

    def _made(self, encoded: Any, count: int) -> Array:
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


def check_count(encoded: Any, count: int) -> None:
    """Raise CorruptChunk unless a chunk says that it has as many values as it must have."""
    stated = int.from_bytes(_viewed(encoded)[: _LENGTH.size], "little")
    if stated != count:
        raise CorruptChunk(f"a chunk says that it has {stated} values, not {count}")


def _viewed(encoded: Any) -> memoryview:
    return memoryview(encoded).cast("B")


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
