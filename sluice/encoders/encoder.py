"""One format of answers: what it is called, what it costs, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from sluice.aliases import Array, Document, DType
from sluice.encoders.answer_schema import AnswerSchema, FileContent, FileFormat, UnreadAnswer
from sluice.encoders.json_encoder import FragmentCache

if TYPE_CHECKING:
    import xarray as xr


# Copied in a fraction of a millisecond, compressed in a few.
_PIECE_BYTES: Final = 2**18
_PART_VALUES: Final = 2**16


class Encode(Protocol):
    """Writes a dataset in memory; it may take what `fragments` holds of answers of this key."""

    def __call__(
        self,
        dataset: xr.Dataset,
        fragments: FragmentCache | None = None,
        template_key: Hashable = None,
    ) -> bytes: ...


class Pieces(Protocol):
    """Writes what `Encode` writes, in pieces: each, nothing among them, a few milliseconds of work.

    Whoever asks for no more of them has ended the work.
    """

    def __call__(
        self,
        dataset: xr.Dataset,
        fragments: FragmentCache | None = None,
        template_key: Hashable = None,
    ) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True, slots=True)
class Encoder:
    """One format: its name in ``f=``, its media type, its file suffix, and how it is written, at
    once or in pieces.

    `check` raises what `encode` would raise, before anything is read. `value_bytes` is what the
    limit on results is held against, with `text_bytes`, which texts of variable length add once
    their bytes by variable are known; `forms` is how often so much is in memory at once, at most.
    As a `file` an answer need not be in memory to be written. A content coding makes it shorter
    unless it is not `coded`. `options` are the names of those that
    it takes, and `adapt` makes the format that it is under their values: its `variant`.
    """

    name: str
    media_type: str
    suffix: str
    encode: Encode
    pieces: Pieces
    check: Callable[[AnswerSchema], None]
    value_bytes: Callable[[AnswerSchema], int]
    text_bytes: Callable[[AnswerSchema, Mapping[Hashable, int]], int]
    forms: int
    described: Document
    stored: bool = False
    file: FileFormat | None = None
    coded: bool = True
    options: tuple[str, ...] = ()
    adapt: Callable[[Encoder, Mapping[str, object]], Encoder] | None = None
    variant: tuple[tuple[str, object], ...] = ()

    @property
    def streams(self) -> bool:
        """Whether an answer can be sent while it is read."""
        return self.file is not None

    @property
    def essence(self) -> str:
        """The media type without its parameters, as an ``Accept`` header names it."""
        return self.media_type.partition(";")[0]


def once(schema: AnswerSchema, texts: Mapping[Hashable, int]) -> int:
    """What texts count for in a format that has each of them once."""
    return sum(texts.values())


def joined(pieces: Pieces) -> Encode:
    """What writes the bytes of these pieces in one piece."""

    def encode(
        dataset: xr.Dataset,
        fragments: FragmentCache | None = None,
        template_key: Hashable = None,
    ) -> bytes:
        return b"".join(pieces(dataset, fragments, template_key))

    return encode


def in_memory(dataset: xr.Dataset, fragments: FragmentCache | None) -> UnreadAnswer:
    """The answer that `dataset` is: all of its values are known."""
    variables, coords = dataset.variables, set(dataset.coords)
    fragments = fragments or FragmentCache(dataset)
    return UnreadAnswer(variables, variables, coords, dataset.attrs, fragments, _no_chunks)


def _no_chunks(name: Hashable, itemsize: int) -> tuple[int, ...] | None:
    return None


def whole_pieces(content: FileContent) -> Iterator[memoryview]:
    """All bytes of a file of which all values are known, in pieces."""
    place = 0
    for piece in _pieces(content):
        for start in range(0, len(piece), _PIECE_BYTES):
            yield piece[start : start + _PIECE_BYTES]
        place += len(piece)
    assert place == content.size, "a file is as long as it said"


def _pieces(content: FileContent) -> Iterator[memoryview]:
    """The head and all values; nothing lies between them."""
    yield memoryview(content.head)
    for name in content.extents:
        yield from content.stored(name, content.known[name])


def flat_parts(values: Array) -> Iterator[Array]:
    """The values in C order, so many at once as are converted in a millisecond or two."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PART_VALUES):
        yield flat[start : start + _PART_VALUES]


def bytes_of(values: Array, dtype: DType) -> memoryview:
    """The bytes of one-dimensional values in this type."""
    return np.ascontiguousarray(values, dtype).view("u1").data
