"""A table as JSON: one object per row (NDJSON), or one list per column for chart libraries.

NDJSON is JSON texts with a line feed after each (https://github.com/ndjson/ndjson-spec). Values are
those of the JSON format: null where missing or infinite, instants and durations ISO 8601.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sluice.aliases import Array
from sluice.encoders.jsonable import array_to_jsonable, json_text
from sluice.encoders.tables import Column, column_text, table_layout, units_of
from sluice.record import record

if TYPE_CHECKING:
    import xarray as xr

# A few milliseconds of work.
_BLOCK_ROWS = 8192
# Between fields: JSON has no such sign within a text.
_BETWEEN = "\0"


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


def column_pieces(dataset: xr.Dataset) -> Iterator[bytes]:
    """``{"columns": {name: [...], ...}, "units": {name: "K", ...}}``: the columns of CSV.

    All lists are equally long: a value for each row. `units` has those columns that have some.
    Raises what `table_layout` raises.
    """
    variables, coords = dataset.variables, set(dataset.coords)
    layout = table_layout(variables, coords, dataset.sizes, "A list per column")
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
