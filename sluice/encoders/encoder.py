"""One format of answers: what it is called, what it costs, and how it is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Literal, Protocol

import numpy as np

from sluice.aliases import Array, Document, DType, record
from sluice.encoders.answer_schema import AnswerSchema, FileContent, FileFormat, UnreadAnswer
from sluice.encoders.file_values import Places, deflated
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.tables import RowFormat
from sluice.errors import NotAcceptable

if TYPE_CHECKING:
    import xarray as xr


# Converted in a millisecond or two.
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


@record
class Encoder:
    """One format of answers: how it is asked for, what an answer costs in it, how it is written."""

    # The name in ``f=``.
    name: str
    media_type: str
    # Of files, with the dot.
    suffix: str
    encode: Encode
    pieces: Pieces
    # Raises what `encode` would raise, before anything is read.
    check: Callable[[AnswerSchema], None]
    # The bytes that an answer counts for against the limit of results.
    value_bytes: Callable[[AnswerSchema], int]
    # What texts of variable length add to that, from their bytes by variable.
    text_bytes: Callable[[AnswerSchema, Mapping[Hashable, int]], int]
    # How often so many bytes are in memory at once, at most.
    forms: int
    # The media type object of OpenAPI: its schema, and maybe an example.
    described: Document
    # Whether values are written as the store packs them, where that can be.
    stored: bool = False
    # What the length of a text is in proportion to, by which it is estimated.
    grows: Literal["cells", "rows"] | None = None
    # By these an answer is written while it is read, and is never in memory as a whole.
    file: FileFormat | None = None
    rows: RowFormat | None = None
    # By this the length is known before, though the answer is written as a whole.
    sized: FileFormat | None = None
    # Whether a content coding makes it shorter.
    coded: bool = True
    # The names of options in a request, what makes the format that it is under their values, and
    # those values.
    options: tuple[str, ...] = ()
    adapt: Callable[[Encoder, Mapping[str, object]], Encoder] | None = None
    variant: tuple[tuple[str, object], ...] = ()
    # The library, and its version, from which the bytes follow as well: another one, another ETag.
    writer: str = ""
    # Further names that people try.
    others: tuple[str, ...] = ()
    # Whether all must be written before the first byte can be sent.
    spooled: bool = False
    # What must be installed for it; it is imported at first use.
    package: str = ""
    # For formats outside of ``f=``: what to ask for where an answer is too large.
    instead: str = ""

    @property
    def streams(self) -> bool:
        """Whether an answer can be sent while it is read."""
        return self.file is not None or (self.rows is not None and not self.spooled)

    @property
    def called(self) -> tuple[str, ...]:
        """Other names of the format: its suffix, and `others`."""
        return self.suffix[1:], *self.others

    @property
    def essence(self) -> str:
        """The media type without its parameters, as an ``Accept`` header names it."""
        return self.media_type.partition(";")[0]


@lru_cache(maxsize=8)
def package_version(name: str) -> str | None:
    """The version of a package that is installed, else None; it is not loaded for that."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def with_package(encoder: Encoder) -> Encoder:
    """The format, with the version of its package as its `writer`.

    Raises `NotAcceptable` where that is not installed.
    """
    found = package_version(encoder.package)
    if found is None:
        raise NotAcceptable(
            f"f={encoder.name} needs {encoder.package}, which this server does not have (its"
            " operator can install sluice-zarr[tables]); f=csv and f=ndjson have the same rows",
            known=["csv", "ndjson"],
        )
    return replace(encoder, writer=f"{encoder.package} {found}")


def binary_content(description: str) -> Document:
    """The media type object of OpenAPI for a format of bytes."""
    return {"schema": {"type": "string", "format": "binary", "description": description}}


def unchecked(schema: AnswerSchema) -> None:
    """The check of a format that has a form for every answer."""


def memory_weight(schema: AnswerSchema) -> int:
    """What an answer counts for, in bytes, in a format that is about as long as its arrays."""
    return schema.result_bytes + schema.attribute_bytes


def once(schema: AnswerSchema, texts: Mapping[Hashable, int]) -> int:
    """The `text_bytes` of a format that writes each text once."""
    return sum(texts.values())


def _deflated(
    file: FileContent, settled: Callable[[Mapping[Hashable, Places], int], bytes]
) -> Iterator[memoryview]:
    """A file of known values that are compressed; nothing comes after each chunk, and then all."""
    end, written, places = len(file.head), list[bytes](), dict[Hashable, Places]()
    for name, extent in file.extents.items():
        values = file.in_file(name, file.known[name])
        first = len(written)
        for part in extent.parts(values):
            content = extent.in_file(part)
            chunked = extent.chunks is not None
            size = values.dtype.itemsize
            written.append(deflated(content, size) if chunked else content.tobytes())
            yield memoryview(b"")
        nbytes = np.array([len(part) for part in written[first:]], "u8")
        places[name] = Places(end + np.cumsum(nbytes) - nbytes, nbytes)
        end += int(nbytes.sum())
    yield memoryview(settled(places, end))
    for chunk in written:
        yield memoryview(chunk)


def _between(known: deque[tuple[int, bytes]], end: int, start: int) -> Iterator[memoryview]:
    """The bytes of a file from `end` to `start`: those that are known, and zeros."""
    while known and known[0][0] < start:
        place, written = known.popleft()
        yield memoryview(bytes(place - end) + written)
        end = place + len(written)
    yield memoryview(bytes(start - end))


def joined(pieces: Pieces) -> Encode:
    """Writes at once what `pieces` writes."""

    def encode(
        dataset: xr.Dataset,
        fragments: FragmentCache | None = None,
        template_key: Hashable = None,
    ) -> bytes:
        return b"".join(pieces(dataset, fragments, template_key))

    return encode


def flat_parts(values: Array) -> Iterator[Array]:
    """The values in C order and one dimension, at most `_PART_VALUES` at once."""
    flat = values.reshape(-1)
    for start in range(0, flat.size, _PART_VALUES):
        yield flat[start : start + _PART_VALUES]


def bytes_of(values: Array, dtype: DType) -> memoryview:
    """The bytes of one-dimensional values in this type."""
    return np.ascontiguousarray(values, dtype).view("u1").data


def from_memory(
    make: Callable[[UnreadAnswer], FileContent],
) -> tuple[Callable[..., bytes], Callable[..., Iterator[memoryview]]]:
    """What writes a dataset in memory as such a file, at once and in pieces.

    Variables that must have chunks are one.
    """

    def pieces(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> Iterator[memoryview]:
        variables = dataset.variables

        def chunks(name: Hashable, itemsize: int, must: bool) -> tuple[int, ...] | None:
            return variables[name].shape if must else None

        names = (fragments or FragmentCache(dataset)).names
        coords = set(dataset.coords)
        file = make(UnreadAnswer(variables, variables, coords, dataset.attrs, names, chunks))
        if file.settled is not None:
            yield from _deflated(file, file.settled)
            return
        yield memoryview(file.head)
        end, between = len(file.head), deque(file.between)
        for name, extent in file.extents.items():
            yield from _between(between, end, extent.start)
            yield from file.stored(name, file.known[name])
            end = extent.start + extent.length
        if (records := file.records) is not None:
            yield memoryview(bytes(records.start - end))
            yield records.stored([file.in_file(n, file.known[n]) for n in records.places])
            end = file.size
        yield from _between(between, end, file.size)

    def encode(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> bytes:
        return b"".join(pieces(dataset, fragments))

    return encode, pieces
