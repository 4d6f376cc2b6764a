"""Answers read back as their clients read them: JSON, NetCDF through xarray, CSV, doors."""

from __future__ import annotations

import csv
import io
import json
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
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


def from_bin(content: bytes) -> Found:
    """Little-endian arrays behind a header in JSON, as safetensors lays them out."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    told = json.loads(header.pop("__metadata__")["dataset"])
    arrays = {name: _tensor(entry, content[8 + length :]) for name, entry in header.items()}
    labels = {name: arrays.pop(name) for name in told["coords"]}
    for name, array in labels.items():
        if told["variables"][name]["dtype"].startswith("datetime64"):
            labels[name] = array.view("M8[ns]")
    values = {name: array.astype(float) for name, array in arrays.items()}
    sizes = {
        dim: size
        for name, array in values.items()
        for dim, size in zip(told["variables"][name]["dims"], array.shape, strict=True)
    }
    return Found(sizes, labels, values)


TENSORS = {"F32": "<f4", "F64": "<f8", "I16": "<i2", "I32": "<i4", "I64": "<i8", "U8": "u1"}


def _tensor(entry: Mapping[str, Any], content: bytes) -> NDArray[Any]:
    start, stop = entry["data_offsets"]
    return np.frombuffer(content[start:stop], TENSORS[entry["dtype"]]).reshape(entry["shape"])


@dataclass(frozen=True, slots=True)
class Packed:
    """How one variable's numbers are packed, by its attributes of DAP2."""

    scale: float
    offset: float
    missing: float

    def unpacked(self, stored: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers as xarray decodes them."""
        return np.where(stored == self.missing, np.nan, stored * self.scale + self.offset)


def packing(das: str, variable: str) -> Packed:
    """What the document of attributes says of `variable`."""
    block = re.search(
        rf"^    {re.escape(variable)} {{$(.*?)^    }}$", das, re.DOTALL | re.MULTILINE
    )
    attrs = dict(re.findall(r"^ +\w+ (\w+) ([^;]+);$", block[1] if block else "", re.MULTILINE))
    defaults = (("scale_factor", 1.0), ("add_offset", 0.0), ("_FillValue", np.nan))
    return Packed(*(float(attrs.get(name, default)) for name, default in defaults))


# Each number of two bytes is sent in four (DAP2, 7.3.3: XDR has no shorter ones).
XDR = {"Float64": ">f8", "Float32": ">f4", "Int32": ">i4", "Int16": ">i4"}


def from_dods(content: bytes, packed: Mapping[str, Packed]) -> Found:
    """The arrays of an answer of DAP2, unpacked; it has no labels."""
    declared, _, data = content.partition(b"\nData:\n")
    values, place = {}, 0
    for kind, name, dims in re.findall(
        r"^ +(\w+) (\w+)((?:\[[^]]+\])+);$", declared.decode(), re.M
    ):
        shape = [int(size) for size in re.findall(r"= (\d+)\]", dims)]
        # An array's length comes twice before its numbers.
        stored = np.frombuffer(data, XDR[kind], int(np.prod(shape)), place + 8)
        values[name] = packed[name].unpacked(stored.reshape(shape))
        place += 8 + stored.nbytes
    if place != len(data):
        raise WrongAnswer(f"{len(data)} bytes of data in place of {place}")
    return Found(None, {}, values)


COVERAGE_AXES = {"x": "X", "y": "Y", "z": "Z", "t": "T"}


def from_coverage(content: bytes, names: Mapping[str, str]) -> Found:
    """CoverageJSON of one domain; `names` has the dimension of each role."""
    body = json.loads(content)
    axes = {axis: _labels(told["values"]) for axis, told in body["domain"]["axes"].items()}
    labels = {names[COVERAGE_AXES[axis]]: values for axis, values in axes.items()}
    ranges = {name: part["values"] for name, part in body["ranges"].items()}
    return Found(None, labels, {n: np.array(values, dtype=float) for n, values in ranges.items()})


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
