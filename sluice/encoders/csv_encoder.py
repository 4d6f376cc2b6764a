"""Dataset -> CSV (RFC 4180): one row per cell, coordinates first, then a column per variable."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, DType
from sluice.encoders.answer_schema import AnswerSchema, AnswerVariable, check_distinct_dimensions
from sluice.encoders.json_encoder import finest
from sluice.encoders.jsonable import array_to_jsonable, is_missing, json_text, to_jsonable
from sluice.errors import SelectionError
from sluice.labels import format_text, without_surrogates

if TYPE_CHECKING:
    import xarray as xr

# What a number, an instant or a boolean counts for; about half of its text.
_CELL_BYTES = 8
# How many names or groups a sentence lists; the facts have all of them.
_SPELLED = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a variable over `dims`, or (without one) the positions along its dimension."""

    header: str
    variable: Hashable | None
    dims: tuple[Hashable, ...]
    cell_bytes: int


@dataclass(frozen=True, slots=True)
class TableLayout:
    """One row per cell of `shape`, in C order, and the columns of each row."""

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    columns: tuple[Column, ...]

    @property
    def count(self) -> int:
        """How many rows there are, without the header."""
        return math.prod(self.shape) if self.columns else 0


def table_layout(
    variables: Mapping[Hashable, AnswerVariable],
    coord_names: Container[Hashable],
    sizes: Mapping[Hashable, int],
) -> TableLayout:
    """The rows of a dataset: first what says where a row is, then a column per data variable.

    The dimensions are those that the data variables share, in the order of the first; without
    data variables, those of all coordinates. Coordinates along any other dimension are left out,
    as in ``ds[name]``. Raises `SelectionError` where the data variables share no dimensions,
    `NotAcceptable` where one of the variables has a dimension twice.
    """
    check_distinct_dimensions(variables, coord_names, "CSV")
    data = [name for name in variables if name not in coord_names]
    _check_shared({name: variables[name].dims for name in data})
    spanning = data[:1] or list(variables)
    dims = tuple(dict.fromkeys(dim for name in spanning for dim in variables[name].dims))
    coords = [n for n in variables if n in coord_names and set(variables[n].dims).issubset(dims)]
    places = [_values(d, variables[d]) if d in coords else _positions(d) for d in dims]
    rest = [_values(n, variables[n]) for n in (*coords, *data) if n not in dims]
    return TableLayout(dims, tuple(sizes[dim] for dim in dims), (*places, *rest))


def check_csv(schema: AnswerSchema) -> None:
    """Raises what `table_layout` raises for an answer."""
    table_layout(schema.variables, schema.coord_names, schema.sizes)


def csv_weight(schema: AnswerSchema) -> int:
    """What an answer counts for as CSV, in bytes: a coordinate is repeated in every row."""
    rows = table_layout(schema.variables, schema.coord_names, schema.sizes)
    return max(schema.result_bytes, rows.count * sum(c.cell_bytes for c in rows.columns))


def csv_text_weight(schema: AnswerSchema, texts: Mapping[Hashable, int]) -> int:
    """What `texts`, of so many bytes by variable, count for as CSV: those of every row."""
    rows = table_layout(schema.variables, schema.coord_names, schema.sizes)
    total = 0
    for column in rows.columns:
        if column.variable in texts:
            values = math.prod(schema.variables[column.variable].shape)
            total += texts[column.variable] * rows.count // max(1, values)
    return total


def _check_shared(dims: Mapping[Hashable, tuple[Hashable, ...]]) -> None:
    groups: dict[frozenset[Hashable], list[Hashable]] = {}
    for name, own in dims.items():
        groups.setdefault(frozenset(own), []).append(name)
    if len(groups) < 2:
        return
    facts = [
        {"dims": [str(dim) for dim in dims[names[0]]], "variables": [str(n) for n in names]}
        for names in groups.values()
    ]
    spelled = "; ".join(
        f"{_some(group['variables'])} along {_some(group['dims']) or 'no dimension'}"
        for group in facts[:_SPELLED]
    )
    raise SelectionError(
        "CSV has one row per cell, but these variables do not share their dimensions:"
        f" {spelled}{'; ...' * (len(facts) > _SPELLED)}. Ask for those of one group with"
        f" variables={facts[0]['variables'][0]},...",
        groups=facts,
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SPELLED]) + ", ..." * (len(names) > _SPELLED)


def _values(name: Hashable, variable: AnswerVariable) -> Column:
    return Column(without_surrogates(str(name)), name, variable.dims, _cell_bytes(variable.dtype))


def _positions(dim: Hashable) -> Column:
    # No variable has this name: xarray calls any that has a dimension's name a coordinate.
    return Column(without_surrogates(str(dim)), None, (dim,), _CELL_BYTES)


def _cell_bytes(dtype: DType) -> int:
    match dtype.kind:
        case "U":
            return max(_CELL_BYTES, dtype.itemsize // 4)
        case "S" | "V" | "c":
            return max(_CELL_BYTES, dtype.itemsize)
        case _:
            return _CELL_BYTES


# What makes a field need its quotes (RFC 4180 2.6).
_SPECIAL = re.compile('[",\r\n]')


def format_fields(values: Array) -> list[str]:
    """One field for each of 1-D `values`, quoted where RFC 4180 wants quotes.

    Missing values are empty, and an empty string is ``""``. Numbers, booleans, instants and
    durations are written as in JSON, infinities ``inf`` and ``-inf``; a complex number
    ``1.5-2.0i``; bytes as `format_bytes`; other objects as JSON text.
    """
    if not values.size:
        return []
    match values.dtype.kind:
        case "b" | "i" | "u" | "M" | "m":
            return _json_items(values)
        case "f":
            return _floats(values)
        case "c":
            return _complexes(values)
        case _:
            return [quoted(_object_text(item)) for item in values.tolist()]


def quoted(content: str | None) -> str:
    """A text as a field; ``None`` is the empty field."""
    if content is None:
        return ""
    if content and _SPECIAL.search(content) is None:
        return content
    return '"' + content.replace('"', '""') + '"'


def _json_items(values: Array) -> list[str]:
    """The items of a JSON array none of which holds a comma or a quote."""
    written = json_text(array_to_jsonable(values))[1:-1].decode()
    return written.replace('"', "").replace("null", "").split(",")


def _floats(values: Array) -> list[str]:
    if values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            values = values.astype("f8")
    fields = _json_items(values)
    for index in np.flatnonzero(np.isinf(values)).tolist():
        fields[index] = "inf" if values[index] > 0 else "-inf"
    return fields


def _complexes(values: Array) -> list[str]:
    pairs = zip(_floats(values.real), _floats(values.imag), strict=True)
    # A number either part of which is NaN is NaN.
    return [_complex(real, imag) if real and imag else "" for real, imag in pairs]


def _complex(real: str, imag: str) -> str:
    return f"{real}{'' if imag.startswith('-') else '+'}{imag}i"


def _object_text(item: object) -> str | None:
    if isinstance(item, str):
        return format_text(item)
    if is_missing(item):
        return None
    match item:
        case float() | np.floating():
            return _floats(np.asarray([item]))[0]
        case complex() | np.complexfloating():
            return _complexes(np.asarray([item]))[0]
    match to_jsonable(item):
        case str() as written:
            return written
        case written:
            return json_text(written).decode()


# A few milliseconds of work: no other thread runs while one block's fields are joined.
_BLOCK_ROWS = 8192
_NEWLINE = "\r\n"


def encode_csv(dataset: xr.Dataset) -> bytes:
    """The text of `csv_pieces` in one piece."""
    return b"".join(csv_pieces(dataset))


def csv_pieces(dataset: xr.Dataset) -> Iterator[bytes]:
    """UTF-8 text: a header row of names, then one row per cell; CRLF after each.

    Rows run over the dimensions that the data variables share, the last one fastest. A dimension
    without a coordinate has a column of positions within the answer, from 0. Fields are those of
    `format_fields`. Raises `SelectionError` where the data variables share no dimensions.
    """
    rows = table_layout(dataset.variables, set(dataset.coords), dataset.sizes)
    columns = [_column_texts(column, dataset.variables, rows) for column in rows.columns]
    yield _lines([[quoted(column.header)] for column in rows.columns])
    for start in range(0, rows.count, _BLOCK_ROWS):
        cells = np.arange(start, min(start + _BLOCK_ROWS, rows.count))
        yield _lines([column.at(cells) for column in columns])


def _lines(columns: list[list[str]]) -> bytes:
    if len(columns) == 1:
        # Readers pass over blank lines: a row of one empty field needs its quotes.
        columns = [[field or '""' for field in columns[0]]]
    lines = map(",".join, zip(*columns, strict=True))
    return (_NEWLINE.join(lines) + _NEWLINE).encode()


@dataclass(frozen=True, slots=True)
class _Texts:
    """The fields of a column: all of them if they are few, else formatted block by block."""

    values: Array
    fields: Array | None
    # An instant with as many digits as the column needs, so that all blocks have as many.
    finest: Array
    # Per dimension: cells of the answer from one position to the next, positions, own stride.
    steps: tuple[tuple[int, int, int], ...]

    def at(self, cells: NDArray[np.int64]) -> list[str]:
        """The fields in the rows numbered `cells`."""
        own = np.zeros(cells.shape, dtype=np.int64)
        for inner, size, stride in self.steps:
            own += cells // inner % size * stride
        if self.fields is not None:
            return self.fields[own].tolist()  # type: ignore[no-any-return]
        values = np.concatenate([self.values[own], self.finest])
        return format_fields(values)[: cells.size]


def _column_texts(
    column: Column, variables: Mapping[Hashable, xr.Variable], rows: TableLayout
) -> _Texts:
    if column.variable is None:
        values = np.arange(dict(zip(rows.dims, rows.shape, strict=True))[column.dims[0]])
    else:
        values = np.asarray(variables[column.variable].data).ravel()
    fields = None
    if values.size <= _BLOCK_ROWS:
        fields = np.empty(values.size, dtype=object)
        fields[:] = format_fields(values)
    return _Texts(values, fields, finest(values), _steps(column.dims, rows))


def _steps(dims: tuple[Hashable, ...], rows: TableLayout) -> tuple[tuple[int, int, int], ...]:
    sizes = dict(zip(rows.dims, rows.shape, strict=True))
    return tuple(
        (_cells_after(dim, rows.dims, sizes), sizes[dim], _cells_after(dim, dims, sizes))
        for dim in dims
    )


def _cells_after(dim: Hashable, dims: tuple[Hashable, ...], sizes: Mapping[Hashable, int]) -> int:
    """How many cells of an array over `dims` share one position along `dim` in a row."""
    return math.prod(sizes[later] for later in dims[dims.index(dim) + 1 :])
