"""Answers read back as their clients read them: JSON, NetCDF through xarray, CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from loadtests.grid import Found, WrongAnswer


def from_json(content: bytes) -> Found:
    """A JSON answer; ``null`` is NaN."""
    body = json.loads(content)
    labels = {name: _labels(part["data"]) for name, part in body["coords"].items()}
    values = {n: np.array(part["data"], dtype=float) for n, part in body["data_vars"].items()}
    return Found(body["dims"], labels, values)


def from_netcdf(content: bytes) -> Found:
    """A NetCDF-4 answer, opened from memory and decoded."""
    with xr.open_dataset(io.BytesIO(content), engine="h5netcdf") as ds:
        labels = {str(name): coord.values for name, coord in ds.coords.items()}
        values = {str(name): part.values.astype(float) for name, part in ds.items()}
        return Found({str(name): size for name, size in ds.sizes.items()}, labels, values)


def from_csv(content: bytes, variables: tuple[str, ...]) -> Found:
    """A CSV answer; its columns other than `variables` are labels, an empty value is NaN."""
    header, *rows = csv.reader(io.StringIO(content.decode()))
    if not rows:
        raise WrongAnswer("a table without rows")
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    values = {name: _floats(cells) for name, cells in columns.items() if name in variables}
    labels = {n: _labels(list(cells)) for n, cells in columns.items() if n not in variables}
    return Found(None, labels, values)


def _floats(cells: tuple[str, ...]) -> NDArray[np.float64]:
    return np.array([float(cell) if cell else np.nan for cell in cells])


def _labels(data: Any) -> NDArray[Any]:
    """Labels as numbers or instants where they are, as text otherwise."""
    labels = np.atleast_1d(np.asarray(data))
    if labels.dtype.kind != "U":
        return labels
    try:
        return np.char.rstrip(labels, "Z").astype("M8[ns]")
    except ValueError:
        return labels
