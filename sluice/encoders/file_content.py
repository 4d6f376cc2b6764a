"""A file whose size and places are known before its values: what every format of that kind tells.

Such a file can be begun anywhere: who reads it from the middle reads nothing of what comes before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from typing import Final, Protocol, TypeAlias

import numpy as np
import xarray as xr

from sluice.aliases import Array, Document, DType
from sluice.encoders.answer_schema import AnswerVariable
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_file import Extent
from sluice.record import record

# Copied in a fraction of a millisecond, compressed in a few.
_PIECE_BYTES: Final = 2**18
_PART_VALUES: Final = 2**16
# The bytes of a box of a variable's values, as the file has them.
Stored: TypeAlias = Callable[[Hashable, Array], Iterator[memoryview]]
# The lengths of the file's own chunks of a variable whose values have so many bytes, or None.
Chunks: TypeAlias = Callable[[Hashable, int], tuple[int, ...] | None]


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

    `fragments` are what the files of its dataset have in common; `chunks` are asked for the others.
    """

    variables: Mapping[Hashable, VariableSchema]
    known: Mapping[Hashable, xr.Variable]
    coord_names: Collection[Hashable]
    attrs: Mapping[Hashable, object]
    fragments: FragmentCache
    chunks: Chunks


@record
class FileContent:
    """A file but for its values: its first bytes, its `size`, and where each variable's values lie.

    `extents` are in the order of the file, by the names that the answer has for its variables. What
    lies between them is zero. `itemsizes` are the bytes of a value of each. `known` are the values
    of those that are in memory already.
    """

    head: bytes
    size: int
    extents: Mapping[Hashable, Extent]
    itemsizes: Mapping[Hashable, int]
    known: Mapping[Hashable, Array]
    stored: Stored


@record
class FileFormat:
    """A format whose files have a size and places before their values are known.

    Variables that are `decided_by_values` must be known for that. The others have their values as
    the store packs them if it is `stored`. If it is not `chunked`, each variable is in one piece.
    """

    content: Callable[[UnreadAnswer], FileContent]
    decided_by_values: Callable[[Hashable, VariableSchema], bool]
    stored: bool
    chunked: bool = True


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
