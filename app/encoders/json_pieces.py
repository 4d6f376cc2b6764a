"""A long JSON answer as pieces of text, each a few milliseconds of work."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from app.encoders.json_values import json_data, json_text
from app.encoders.written import Written
from app.labels import PER_SECOND

if TYPE_CHECKING:
    import xarray as xr

# orjson lets no other thread run while it writes: so many floats are two milliseconds.
_BLOCK_VALUES: Final = 2**16


def json_pieces(
    dataset: xr.Dataset, written: Written | None = None, form: Hashable = None
) -> Iterator[bytes]:
    """The text of `encode_json`, in pieces."""
    written = written or Written()
    frame, variables = written.frame(dataset, form), dataset._variables
    sizes = {str(name): size for name, size in dataset._dims.items()}
    yield b"".join((frame.start, json_text(sizes), frame.middle))
    for name, before in frame.before:
        yield before
        variable = variables[name]
        if variable.size <= _BLOCK_VALUES:
            yield written.data(name, variable)
        else:
            yield from array_pieces(np.asarray(variable.data))
    yield frame.end


def array_pieces(values: NDArray[Any]) -> Iterator[bytes]:
    """The text of an array, in pieces where each value's text is its own."""
    if _told_alike(values):
        yield json_text(json_data(values))
    else:
        yield from _blocks(values)


def _blocks(values: NDArray[Any]) -> Iterator[bytes]:
    if values.size <= _BLOCK_VALUES:
        yield json_text(json_data(values))
        return
    between = b"["
    if values[0].size > _BLOCK_VALUES:
        for row in values:
            yield between
            yield from _blocks(row)
            between = b","
    else:
        rows = _BLOCK_VALUES // values[0].size
        for start in range(0, len(values), rows):
            yield between
            yield json_text(json_data(values[start : start + rows]))[1:-1]
            between = b","
    yield b"]"


def _told_alike(values: NDArray[Any]) -> bool:
    """Whether these are instants with fractions of seconds, all of which get as many digits."""
    unit = np.datetime_data(values.dtype)[0] if values.dtype.kind == "M" else "s"
    if unit not in PER_SECOND or unit == "s":
        return False
    whole = values.astype("M8[s]")
    return bool(((whole != values) & ~np.isnat(values)).any())
