"""A table as JSON: one object per row (NDJSON), or one list per column for chart libraries.

NDJSON is JSON texts with a line feed after each (https://github.com/ndjson/ndjson-spec). Values are
those of the JSON format: null where missing or infinite, instants and durations ISO 8601.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, record
from sluice.encoders.csv_encoder import check_table, joined, table_pieces_of
from sluice.encoders.encoder import Encoder
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.jsonable import array_to_jsonable, json_text
from sluice.encoders.tables import (
    Column,
    column_text,
    keyed_weight,
    table_layout,
    table_text_weight,
    table_weight,
    units_of,
)

if TYPE_CHECKING:
    import xarray as xr

# A few milliseconds of work.
_BLOCK_ROWS: Final = 8192
# Between fields: JSON has no such sign within a text.
_BETWEEN: Final = "\0"


# What refusals call it.
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
class NdjsonRows:
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


_ROWS: Final = NdjsonRows()
NDJSON: Final = Encoder(
    name="ndjson",
    media_type="application/x-ndjson",
    suffix=".ndjson",
    encode=joined(table_pieces_of(_ROWS)),
    pieces=table_pieces_of(_ROWS),
    check=partial(check_table, format_name=_ROWS.name),
    value_bytes=keyed_weight,
    text_bytes=table_text_weight,
    # As CSV, but for the names of two letters.
    forms=3,
    grows="rows",
    described={
        "schema": {"type": "string", "description": "One JSON object per cell, a line each."},
        "example": '{"time":"2024-01-02T12:00:00Z","latitude":52.5,"t":266.5625}\n',
    },
    rows=_ROWS,
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
