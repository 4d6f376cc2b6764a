"""An answer before it is read: its schema, and the file that will be made of it.

A schema is enough for a format to refuse an answer. A file whose size and layout are known before
its values can be written from any byte on, without reading what comes before. Stores and files pack
numbers by the same attributes (CF conventions 2.5.1 and 8.1): their names, and their fill values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
import xarray as xr

from sluice.aliases import Array, Document, DType, record
from sluice.encoders.file_values import Extent, Places, Records
from sluice.encoders.netcdf_names import FileNames
from sluice.errors import NotAcceptable, SelectionError
from sluice.labels import spell_name

# In the encoding of a variable whose values are not decoded: the attributes that decode them, fill
# values in the type of the values.
AS_STORED: Final = "as_stored"
FILLS: Final = ("_FillValue", "missing_value")
LINEAR: Final = ("scale_factor", "add_offset")
# Stands for a boolean that is missing, among flags 0 and 1 (CF conventions 3.5).
NO_FLAG: Final = np.int8(-1)
# How many names a sentence lists; the facts have all of them.
_SPELLED: Final = 5


def is_number(value: object) -> bool:
    """Whether `value` is one real number."""
    try:
        array = np.asarray(value)
    except ValueError:
        # Nested lists of unequal lengths.
        return False
    return array.size == 1 and array.dtype.kind in "iuf"


def read_fill(value: object, dtype: DType) -> Any:
    """The fill value as a scalar of `dtype`, or ``None`` if it is none of its values."""
    number = np.asarray(value).reshape(())[()]
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(number)
    limits = np.iinfo(dtype)
    whole = bool(np.isfinite(number)) and int(number) == number
    return dtype.type(int(number)) if whole and limits.min <= int(number) <= limits.max else None


def is_exactly(fill: Any, value: object) -> bool:
    """Whether a scalar is the number `value`, not the nearest one that its type has."""
    number = np.asarray(value).reshape(())[()]
    return bool(fill == number) or bool(np.isnan(fill) and np.isnan(number))


def file_fill(name: str, attrs: Mapping[Any, Any], dtype: DType) -> Any:
    """The fill value under this `name` as a file of values of `dtype` has it; None if it cannot.

    It has their type (CF conventions 2.5.1), but for a ``missing_value`` with more digits than a
    float32 has, such as -99.9: rounded, readers that compare in float64 would find it nowhere. It
    stays a float64, so that they find as much in the file as in the store, unless it rounds to the
    ``_FillValue``.
    """
    own = read_fill(attrs[name], dtype)
    if name == "_FillValue" or own is None or is_exactly(own, attrs[name]):
        return own
    beside = attrs.get("_FillValue")
    if beside is not None and is_number(beside) and is_exactly(own, beside):
        return own
    return np.float64(np.asarray(attrs[name]).reshape(())[()])


@dataclass(frozen=True, slots=True)
class FileForm:
    """A dtype that NetCDF-4 has, and the attributes that a reader decodes its values by.

    `meaning` are attributes on what values mean, for a variable that has none of them itself.
    """

    dtype: DType
    attrs: Document = field(default_factory=dict)
    meaning: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileValues:
    """Values in the form that a file has them in."""

    values: Array
    attrs: Document = field(default_factory=dict)
    meaning: Document = field(default_factory=dict)

    @property
    def form(self) -> FileForm:
        """What is known of them without the values."""
        return FileForm(self.values.dtype, self.attrs, self.meaning)


def float_dtype(dtype: DType) -> DType:
    """The NetCDF-4 float that holds all of `dtype` (float64 for longer ones)."""
    return np.dtype({2: "f4", 4: "f4"}.get(dtype.itemsize, "f8"))


class AnswerVariable(Protocol):
    """A variable of the answer: its decoded form, not its values."""

    @property
    def dims(self) -> tuple[Hashable, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...


class AnswerSchema(Protocol):
    """An answer whose values may still be in the store.

    `result_bytes` is the size of its arrays in memory; texts of variable length lie outside of
    them, and so do attributes, which take `attribute_bytes`.
    """

    @property
    def variables(self) -> Mapping[Hashable, AnswerVariable]: ...
    @property
    def coord_names(self) -> Container[Hashable]: ...
    @property
    def sizes(self) -> Mapping[Hashable, int]: ...
    @property
    def result_bytes(self) -> int: ...
    @property
    def attribute_bytes(self) -> int: ...


def check_distinct_dimensions(
    variables: Mapping[Hashable, AnswerVariable],
    coord_names: Container[Hashable],
    format_name: str,
) -> None:
    """Raises `NotAcceptable` for a variable that has one dimension twice.

    For formats that say where a cell is by one position along each dimension.
    """
    for name, variable in variables.items():
        dims = variable.dims
        if len(set(dims)) < len(dims):
            twice = spell_name(next(dim for dim in dims if dims.count(dim) > 1))
            # Coordinates come along with whatever shares their dimensions.
            others = "" if name in coord_names else " for other variables with variables=...,"
            raise NotAcceptable(
                f"{spell_name(name)} has the dimension {twice} more than once, which {format_name} "
                f"cannot say; ask for json,{others} or for one position along {twice}",
                variable=str(name),
                dims=[str(dim) for dim in dims],
                known=["json"],
            )


def only_variable(
    variables: Mapping[Hashable, AnswerVariable], coord_names: Container[Hashable], format_name: str
) -> Hashable:
    """The one data variable of an answer, or its one coordinate where it has no data variable.

    For formats that hold one array. Raises `SelectionError`, which names those to choose from.
    """
    data = [name for name in variables if name not in coord_names]
    found = data or list(variables)
    if len(found) == 1:
        return found[0]
    listed = ", ".join(map(spell_name, found[:_SPELLED])) + ", ..." * (len(found) > _SPELLED)
    cure = f"{listed}. Ask for one of them with variables={spell_name(data[0])}" if data else ""
    if not data:
        # Coordinates come along with whatever shares their dimensions.
        cure = f"no data variable, but coordinates: {listed or 'none'}. f=bin and f=json hold all"
    raise SelectionError(
        f"{format_name} holds one variable, and this answer has {cure}",
        parameter="variables",
        known=[str(name) for name in found],
    )


# The bytes of a box of a variable's values, as the file has them.
Stored: TypeAlias = Callable[[Hashable, Array], Iterator[memoryview]]
# The lengths of the file's own chunks of a variable whose values have so many bytes, or None where
# it needs none, unless it must have some.
Chunks: TypeAlias = Callable[[Hashable, int, bool], tuple[int, ...] | None]


class VariableSchema(AnswerVariable, Protocol):
    """A variable of an answer, in memory or not, with its attributes and encoding.

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

    `names` are those of its dataset in files; `chunks` are asked for each variable; `request` is
    how the answer is asked for, up to its format.
    """

    variables: Mapping[Hashable, VariableSchema]
    known: Mapping[Hashable, xr.Variable]
    coord_names: Collection[Hashable]
    attrs: Mapping[Hashable, object]
    names: FileNames
    chunks: Chunks
    request: str = ""


@record
class FileOptions:
    """What can be asked of a file: dimensions that can grow, a word on where it comes from, and
    whether its values are `deflated`.

    `asked` is how all of it is asked for in a request.
    """

    unlimited: tuple[str, ...] = ()
    history: bool = False
    deflated: bool = False
    asked: str = ""


def _as_is(name: Hashable, values: Array) -> Array:
    return values


@record
class FileContent:
    """A file but for its values: its first bytes, its `size`, and where each variable's values lie.

    `extents` are in the order of the file, by the names that the answer has for its variables.
    `between` them are bytes that are known, in their order and each with its place; all others are
    zero. Behind them are the `records`, whose rows are written of values `in_file`. `itemsizes` are
    the bytes of a value of each. `known` are the values of those that are in memory already. With
    `settled` all of this is of the values alone, which lie elsewhere in the file: it makes the
    first bytes of it, as many, once it is known where, and its size.
    """

    head: bytes
    size: int
    extents: Mapping[Hashable, Extent]
    itemsizes: Mapping[Hashable, int]
    known: Mapping[Hashable, Array]
    stored: Stored
    in_file: Callable[[Hashable, Array], Array] = _as_is
    records: Records[Hashable] | None = None
    settled: Callable[[Mapping[Hashable, Places], int], bytes] | None = None
    between: Sequence[tuple[int, bytes]] = ()


@record
class FileFormat:
    """A format whose files have a size and places before their values are known.

    Variables that are `decided_by_values` must be known for that. The others have their values as
    the store packs them if it is `stored`. Answers are written in no other way if it is the `only`
    one. Variables are `chunked` always (True), never (False), or where rows of them are too long or
    they have a dimension that `grows`; where they are never, those are written row by row together.
    What is `deflated` must be made whole before it has a size.
    """

    content: Callable[[UnreadAnswer], FileContent]
    decided_by_values: Callable[[Hashable, VariableSchema], bool]
    stored: bool
    only: bool = False
    chunked: bool | None = None
    grows: tuple[Hashable, ...] = ()
    deflated: bool = False
