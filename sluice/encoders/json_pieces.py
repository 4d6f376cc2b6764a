"""A long JSON answer as pieces of text, each a few milliseconds of work."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array
from sluice.encoders.json_values import json_data, json_text
from sluice.encoders.written import Written

if TYPE_CHECKING:
    import xarray as xr

# orjson lets no other thread run while it writes: so many floats are a quarter of a millisecond.
# The text of many more would be memory that is asked of the system anew each time.
_BLOCK_VALUES: Final = 2**13


def json_pieces(
    dataset: xr.Dataset, written: Written | None = None, form: Hashable = None
) -> Iterator[bytes]:
    """The text of `encode_json`, in pieces."""
    written = written or Written()
    frame, variables = written.frame(dataset, form), dataset._variables
    for name, before in frame.before:
        yield before
        variable = variables[name]
        if variable.size <= _BLOCK_VALUES:
            yield written.data(name, variable)
        else:
            yield from array_pieces(np.asarray(variable.data))
    yield frame.end


def array_pieces(values: Array) -> Iterator[bytes]:
    """The text of an array of any dtype, in pieces."""
    yield from _blocks(values, finest(values))


def finest(values: Array) -> Array:
    """One of the instants with the most fraction digits; nothing of other kinds.

    All instants of an array are written with as many digits: beside this one, a part of them too.
    """
    found = values.reshape(-1)[:0]
    if values.dtype.kind != "M":
        return found
    present = values[~np.isnat(values)]
    for unit in ("s", "ms", "us"):
        finer = present[present.astype(f"M8[{unit}]") != present]
        if not finer.size:
            break
        found = finer[:1]
    return found


def _blocks(values: Array, beside: Array) -> Iterator[bytes]:
    if values.size <= _BLOCK_VALUES:
        yield _text(values, beside)
        return
    between = b"["
    row_values = math.prod(values.shape[1:])  # an item of an array of objects has no size
    if row_values > _BLOCK_VALUES:
        for row in values:
            yield between
            yield from _blocks(row, beside)
            between = b","
    else:
        rows = _BLOCK_VALUES // row_values
        for start in range(0, len(values), rows):
            yield between
            # A copy: orjson's own text lies in a buffer up to twice as long.
            yield _text(values[start : start + rows], beside)[1:-1]
            between = b","
    yield b"]"


def _text(values: Array, beside: Array) -> bytes:
    if not beside.size or not values.ndim:
        return json_text(json_data(values))
    row = np.broadcast_to(beside[0], (1, *values.shape[1:]))
    return json_text(json_data(np.concatenate([values, row]))[:-1])
