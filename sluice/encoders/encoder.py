"""One format of answers: what it is called, what it costs, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sluice.aliases import Document
from sluice.encoders.answer_schema import AnswerSchema, FileFormat
from sluice.encoders.json_encoder import FragmentCache

if TYPE_CHECKING:
    import xarray as xr


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
    As a `file` an answer need not be in memory to be written. `options` are the names of those that
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
    options: tuple[str, ...] = ()
    adapt: Callable[[Encoder, Mapping[str, object]], Encoder] | None = None
    variant: tuple[tuple[str, object], ...] = ()

    @property
    def essence(self) -> str:
        """The media type without its parameters, as an ``Accept`` header names it."""
        return self.media_type.partition(";")[0]


def once(schema: AnswerSchema, texts: Mapping[Hashable, int]) -> int:
    """What texts count for in a format that has each of them once."""
    return sum(texts.values())
