"""A file whose size and places are known before its values: what every format of that kind tells.

Such a file can be begun anywhere: who reads it from the middle reads nothing of what comes before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from typing import Protocol, TypeAlias

import xarray as xr

from sluice.aliases import Array, Document
from sluice.encoders.answer_schema import AnswerVariable
from sluice.encoders.file_values import Extent, Records
from sluice.encoders.json_encoder import FragmentCache
from sluice.record import record

# The bytes of a box of a variable's values, as the file has them.
Stored: TypeAlias = Callable[[Hashable, Array], Iterator[memoryview]]
# The lengths of the file's own chunks of a variable whose values have so many bytes, or None where
# it needs none, unless it must have some.
Chunks: TypeAlias = Callable[[Hashable, int, bool], tuple[int, ...] | None]


class VariableSchema(AnswerVariable, Protocol):
    """A variable of an answer, in memory or not, and what is said of it.

    Its dtype is that of the values that will come: under `AS_STORED` its encoding may have how they
    are decoded.
    """

    @property
    def attrs(self) -> Mapping[Hashable, object]: ...
    @property
    def encoding(self) -> Document: ...


@record
class UnreadAnswer:
    """An answer of whose values only those of the `known` variables are in memory.

    `fragments` are what the files of its dataset have in common; `chunks` are asked for each;
    `request` is how it is asked for, up to its format.
    """

    variables: Mapping[Hashable, VariableSchema]
    known: Mapping[Hashable, xr.Variable]
    coord_names: Collection[Hashable]
    attrs: Mapping[Hashable, object]
    fragments: FragmentCache
    chunks: Chunks
    request: str = ""


@record
class FileOptions:
    """What can be asked of a file: dimensions that can grow, and a word on where it comes from.

    `asked` is how all of it is asked for in a request.
    """

    unlimited: tuple[str, ...] = ()
    history: bool = False
    asked: str = ""


def _as_is(name: Hashable, values: Array) -> Array:
    return values


@record
class FileContent:
    """A file but for its values: its first bytes, its `size`, and where each variable's values lie.

    `extents` are in the order of the file, by the names that the answer has for its variables. What
    lies between them is zero, and behind them are the `records`, whose rows are written of values
    `in_file`. `itemsizes` are the bytes of a value of each. `known` are the values of those that
    are in memory already.
    """

    head: bytes
    size: int
    extents: Mapping[Hashable, Extent]
    itemsizes: Mapping[Hashable, int]
    known: Mapping[Hashable, Array]
    stored: Stored
    in_file: Callable[[Hashable, Array], Array] = _as_is
    records: Records[Hashable] | None = None


@record
class FileFormat:
    """A format whose files have a size and places before their values are known.

    Variables that are `decided_by_values` must be known for that. The others have their values as
    the store packs them if it is `stored`. Answers are written in no other way if it is the `only`
    one. Variables are `chunked` always (True), never (False), or where rows of them are too long;
    those with the dimension `records` are written row by row, together.
    """

    content: Callable[[UnreadAnswer], FileContent]
    decided_by_values: Callable[[Hashable, VariableSchema], bool]
    stored: bool
    only: bool = False
    chunked: bool | None = None
    records: Hashable | None = None


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

        fragments = fragments or FragmentCache(dataset)
        coords = set(dataset.coords)
        file = make(UnreadAnswer(variables, variables, coords, dataset.attrs, fragments, chunks))
        yield memoryview(file.head)
        end = len(file.head)
        for name, extent in file.extents.items():
            yield memoryview(bytes(extent.start - end))
            yield from file.stored(name, file.known[name])
            end = extent.start + extent.length
        if (records := file.records) is not None:
            yield memoryview(bytes(records.start - end))
            yield records.stored([file.in_file(n, file.known[n]) for n in records.places])
            end = file.size
        yield memoryview(bytes(file.size - end))

    def encode(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> bytes:
        return b"".join(pieces(dataset, fragments))

    return encode, pieces
