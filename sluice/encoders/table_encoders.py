"""Tables: CSV (RFC 4180), one JSON object per row (NDJSON), or one list per column for charts.

Coordinates come first, then a column per variable. NDJSON is JSON texts with a line feed after each
(https://github.com/ndjson/ndjson-spec). Values are those of the JSON format: null where missing or
infinite, instants and durations ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, record
from sluice.encoders.answer_schema import AnswerSchema
from sluice.encoders.encoder import Encoder, Pieces, joined
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.jsonable import array_to_jsonable, is_missing, json_text, to_jsonable
from sluice.encoders.tables import (
    Column,
    RowFormat,
    keyed_weight,
    layout_of,
    table_layout,
    table_pieces,
    table_text_weight,
    table_weight,
)
from sluice.encoders.text_tables import TextRows, column_text, units_of
from sluice.labels import format_text

if TYPE_CHECKING:
    import xarray as xr


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
            return [quoted(object_text(item)) for item in values.tolist()]


def quoted(content: str | None) -> str:
    """A text as a field; ``None`` is the empty field."""
    if content is None:
        return ""
    if content and _SPECIAL.search(content) is None:
        return content
    return '"' + content.replace('"', '""') + '"'


def _json_items(values: Array) -> list[str]:
    """The JSON of each item, without quotes; no item may contain a comma or a quote."""
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


def object_text(item: object) -> str | None:
    """The text of one object; None where it is missing."""
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


_NEWLINE: Final = "\r\n"
# U+FEFF in UTF-8: without it spreadsheets take a file for one of the system's own code page.
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@record
class CsvRows(TextRows):
    """Rows as CSV; with `units` those stand behind the names in the header, in parentheses.

    The first bytes say that it is UTF-8 where it is `marked`.
    """

    units: bool = False
    marked: bool = False
    name: str = "CSV"

    def head(self, columns: Sequence[Column], units: Sequence[str | None]) -> bytes:
        """The row of names."""
        named = zip(columns, units if self.units else [None] * len(columns), strict=True)
        names = [c.header if unit is None else f"{c.header} ({unit})" for c, unit in named]
        mark = _BYTE_ORDER_MARK if self.marked else b""
        return mark + self.lines([[quoted(name)] for name in names])

    def fields(self, column: Column, values: Array) -> list[str]:
        """Those of `format_fields`."""
        return format_fields(values)

    def lines(self, columns: list[list[str]]) -> bytes:
        """Rows of these fields, CRLF after each."""
        if len(columns) == 1:
            # Readers pass over blank lines: a row of one empty field needs its quotes.
            columns = [[field or '""' for field in columns[0]]]
        lines = map(",".join, zip(*columns, strict=True))
        return (_NEWLINE.join(lines) + _NEWLINE).encode()


def table_pieces_of(rows: RowFormat) -> Pieces:
    """Writes tables in this format, in pieces."""

    def pieces(
        dataset: xr.Dataset,
        fragments: FragmentCache | None = None,
        template_key: Hashable = None,
    ) -> Iterator[bytes]:
        return table_pieces(dataset, rows)

    return pieces


def check_table(schema: AnswerSchema, format_name: str) -> None:
    """Raises what `table_layout` raises."""
    layout_of(schema, format_name)


def _as_asked(encoder: Encoder, options: Mapping[str, object]) -> Encoder:
    rows = CsvRows(units=options.get("header") == "units", marked=options.get("bom") is True)
    pieces = table_pieces_of(rows)
    return replace(encoder, encode=joined(pieces), pieces=pieces, rows=rows)


_ROWS: Final = CsvRows()
# Rows run over the dimensions that the data variables share, the last one fastest. A dimension
# without a coordinate has a column of positions within the answer, from 0.
CSV: Final = Encoder(
    name="csv",
    media_type="text/csv; charset=utf-8",
    suffix=".csv",
    encode=joined(table_pieces_of(_ROWS)),
    pieces=table_pieces_of(_ROWS),
    check=partial(check_table, format_name=_ROWS.name),
    value_bytes=table_weight,
    text_bytes=table_text_weight,
    # Numbers 0.5 to 1.2, instants 1.8: a field counts for more than its value takes.
    forms=2,
    grows="rows",
    described={
        "schema": {"type": "string", "description": "One row per cell, coordinates first."},
        "example": "time,latitude,t\r\n2024-01-02T12:00:00Z,52.5,266.5625\r\n",
    },
    rows=_ROWS,
    options=("header", "bom"),
    adapt=_as_asked,
)


# A few milliseconds of work.
_BLOCK_ROWS: Final = 8192
# Separates fields: JSON escapes this character within texts.
_BETWEEN: Final = "\0"

# What errors call the format.
_BY_COLUMN: Final = "JSON by column"


def json_fields(values: Array, before: str = "") -> list[str]:
    """The JSON text of each of 1-D `values`, with `before`, which is JSON, before it."""
    if not values.size:
        return []
    match values.dtype.kind:
        case "b" | "i" | "u" | "f" | "M" | "m":
            # None of these texts holds a comma.
            text = json_text(array_to_jsonable(values))[1:-1].decode()
            return (before + text.replace(",", _BETWEEN + before)).split(_BETWEEN)
        case _:
            items = array_to_jsonable(values)
            assert isinstance(items, np.ndarray | list)
            return [before + json_text(item).decode() for item in items]


@record
class NdjsonRows(TextRows):
    """Rows as objects, whose keys are the names of the columns."""

    name: str = "NDJSON"

    def head(self, columns: Sequence[Column], units: Sequence[str | None]) -> bytes:
        """Nothing."""
        return b""

    def fields(self, column: Column, values: Array) -> list[str]:
        """Members of objects."""
        return json_fields(values, json_text(column.header).decode() + ":")

    def lines(self, columns: list[list[str]]) -> bytes:
        """Objects of these members, a line feed after each."""
        members = map(",".join, zip(*columns, strict=True))
        return ("{" + "}\n{".join(members) + "}\n").encode()


def column_pieces(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> Iterator[bytes]:
    """``{"columns": {name: [...], ...}, "units": {name: "K", ...}}``: the columns of CSV.

    All lists are equally long: a value for each row. `units` has those columns that have some.
    Raises what `table_layout` raises.
    """
    variables, coords = dataset.variables, set(dataset.coords)
    layout = table_layout(variables, coords, dataset.sizes, _BY_COLUMN)
    opening = b'{"columns":{'
    for column in layout.columns:
        text = column_text(column, variables, layout, json_fields)
        opening += json_text(column.header) + b":["
        for first in range(0, layout.count, _BLOCK_ROWS):
            cells = np.arange(first, min(first + _BLOCK_ROWS, layout.count))
            yield opening + ",".join(text.at(cells)).encode()
            opening = b","
        opening = b"]," if layout.count else opening + b"],"
    units = zip(layout.columns, units_of(layout.columns, variables), strict=True)
    told = {column.header: unit for column, unit in units if unit is not None}
    yield opening.rstrip(b",") + b'},"units":' + json_text(told) + b"}"


_JSON_ROWS: Final = NdjsonRows()
NDJSON: Final = Encoder(
    name="ndjson",
    media_type="application/x-ndjson",
    suffix=".ndjson",
    others=("jsonl", "jsonlines"),
    encode=joined(table_pieces_of(_JSON_ROWS)),
    pieces=table_pieces_of(_JSON_ROWS),
    check=partial(check_table, format_name=_JSON_ROWS.name),
    value_bytes=keyed_weight,
    text_bytes=table_text_weight,
    # As CSV, but for the names of two letters.
    forms=3,
    grows="rows",
    described={
        "schema": {"type": "string", "description": "One JSON object per cell, a line each."},
        "example": '{"time":"2024-01-02T12:00:00Z","latitude":52.5,"t":266.5625}\n',
    },
    rows=_JSON_ROWS,
)
COLUMNS: Final = Encoder(
    name="columns",
    media_type="application/vnd.sluice.columns+json",
    suffix=".columns.json",
    encode=joined(column_pieces),
    pieces=column_pieces,
    check=partial(check_table, format_name=_BY_COLUMN),
    value_bytes=table_weight,
    text_bytes=table_text_weight,
    # As JSON.
    forms=4,
    grows="rows",
    described={
        "schema": {
            "type": "object",
            "description": "One list per column of CSV, and their units beside: for charts.",
            "required": ["columns", "units"],
            "properties": {
                "columns": {"type": "object", "additionalProperties": {"type": "array"}},
                "units": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        },
        "example": {
            "columns": {"time": ["2024-01-02T12:00:00Z"], "latitude": [52.5], "t": [266.5625]},
            "units": {"latitude": "degrees_north", "t": "K"},
        },
    },
)
