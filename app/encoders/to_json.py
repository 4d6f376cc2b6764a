"""Dataset -> JSON in the shape of ``xarray.Dataset.to_dict()``, always valid, written by orjson."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from app.encoders.json_values import json_text
from app.encoders.outline import Outline
from app.encoders.written import Written

if TYPE_CHECKING:
    import xarray as xr


def encode_json(dataset: xr.Dataset, written: Written | None = None) -> bytes:
    """UTF-8 JSON of ``{"dims", "attrs", "coords", "data_vars"}``; no dtype and no attribute fails.

    What `written` holds already is not written again; the text is the same without it. The dataset
    is in memory: reading a lazy variable raises what its array raises.
    """
    return json_text(_document(dataset, written or Written()))


def check_json(outline: Outline) -> None:
    """Nothing: JSON has a form for every answer."""


def json_bytes(outline: Outline) -> int:
    """What an answer counts for as JSON, in bytes.

    A value of one byte counts twice, because "false" and its comma are six: so the text of no
    number, boolean or instant is longer than six times what it counts for.
    """
    single = [math.prod(v.shape) for v in outline.variables.values() if v.dtype.itemsize == 1]
    return outline.result_bytes + sum(single)


def _document(dataset: xr.Dataset, written: Written) -> dict[str, Any]:
    coords: dict[str, Any] = {}
    data_vars: dict[str, Any] = {}
    coord_names = dataset._coord_names
    for name, variable in dataset._variables.items():
        described = _variable(name, variable, written)
        (coords if name in coord_names else data_vars)[str(name)] = described
    return {
        "dims": {str(name): size for name, size in dataset._dims.items()},
        "attrs": written.attributes(None, dataset.attrs),
        "coords": coords,
        "data_vars": data_vars,
    }


def _variable(name: Hashable, variable: xr.Variable, written: Written) -> dict[str, Any]:
    dtype, data = written.values(name, variable)
    return {
        "dims": [str(dim) for dim in variable.dims],
        "attrs": written.attributes(name, variable.attrs),
        "dtype": dtype,
        "data": data,
    }
