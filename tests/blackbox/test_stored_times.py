"""Times in any form that a store keeps them in: byte orders, units, calendars, and missing ones."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, Literal

import netCDF4
import numpy as np
import pytest
import zarr

from .conftest import Serve, Service, check

FORMATS: tuple[Literal[2, 3], ...] = (2, 3)
UNITS = ("D", "h", "s", "ms", "ns")
SCALES = {
    "days": "D",
    "hours": "h",
    "minutes": "m",
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
}
GONE = -(2**63)
SHORT, LONG = 3, 9000
CALENDARS = ("noleap", "360_day", "julian", "all_leap")


def put(group: zarr.Group, name: str, data: Any, attrs: Any = None, fill: Any = None) -> None:
    """An array along ``x``, as long as its values."""
    version, dims = group.metadata.zarr_format, ["x"][: data.ndim]
    named: dict[str, Any] = {"dimension_names": dims} if version == 3 else {}
    given: dict[str, Any] = {} if fill is None else {"fill_value": fill}
    array = group.create_array(name, data=data, **named, **given)
    array.attrs.update({} if version == 3 else {"_ARRAY_DIMENSIONS": dims})
    array.attrs.update(attrs or {})


def native(folder: Path, version: Literal[2, 3], unit: str, order: str, size: int) -> Path:
    """Instants and durations of a unit and a byte order, the second one missing; and a scalar."""
    path = folder / f"{unit}{version}{size}{order}"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    counts = np.arange(size)
    counts[1] = GONE
    for name, kind in (("at", "M8"), ("took", "m8")):
        dtype = f"{'>' if order == 'big' else '<'}{kind}[{unit}]"
        values = counts.view(f"{kind}[{unit}]").astype(dtype)
        put(group, name, values)
        put(group, f"{name}_once", values[2])
    return path


def dated(folder: Path, version: Literal[2, 3], calendar: str, first: int) -> Path:
    """Days of a calendar, the third of which is missing; the first one too, if `first` is so."""
    path = folder / f"{calendar}{version}{first}"
    group = zarr.open_group(path, mode="w", zarr_format=version)
    attrs: dict[str, Any] = {"units": "days since 2000-01-01", "calendar": calendar}
    for name, dtype in (("whole", "i8"), ("half", "i4"), ("small", "i2")):
        marked = {**attrs, **({"_FillValue": -9} if version == 3 else {})}
        put(group, name, np.array([first, 2, -9, 4], dtype), marked, fill=-9)
    put(group, "float", np.array([np.nan if first < 0 else first, 2, np.nan, 4]), attrs)
    put(group, "none", np.full(4, np.nan), attrs)
    put(group, "beside", np.arange(4.0) + 1)
    return path


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("times")
    found = {
        f"{unit}-{order}-{version}-{size}": native(folder, version, unit, order, size)
        for unit in UNITS
        for order in ("big", "little")
        for version in FORMATS
        for size in (SHORT, LONG)
    }
    for calendar in CALENDARS:
        for version in FORMATS:
            for first in (1, -9):
                path = dated(folder, version, calendar, first)
                found[f"{calendar}-{version}{'' if first > 0 else '-first'}"] = path
    return found


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    return serve(stores)


def column(service: Service, store: str, name: str) -> list[str]:
    answer = service.get(f"/datasets/{store}/sel?f=csv&variables={name}")
    assert answer.status_code == 200, answer.text
    return [row[-1] for row in csv.reader(io.StringIO(answer.text))][1:]


def seconds(text: str) -> np.datetime64:
    return np.datetime64(text.removesuffix("Z"), "ns")


@pytest.mark.parametrize("size", [SHORT, LONG])
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("unit", UNITS)
def test_native_times(
    service: Service, unit: str, order: str, version: Literal[2, 3], size: int
) -> None:
    """Instants and durations of every unit, byte order and length, in every format."""
    store = f"{unit}-{order}-{version}-{size}"
    wanted = [None if n == 1 else np.array(n, f"M8[{unit}]")[()] for n in range(size)]
    found = service.get(f"/datasets/{store}/sel").json()["data_vars"]
    told = found["at"]["data"]
    assert [text and seconds(text) for text in told] == wanted
    assert seconds(found["at_once"]["data"]) == wanted[2]
    assert column(service, store, "at") == [text or "" for text in told]
    durations = found["took"]["data"]
    assert durations[0] == "PT0S"
    assert durations[1] is None
    assert durations[2] == found["took_once"]["data"]
    assert column(service, store, "took") == [text or "" for text in durations]
    answer = service.get(f"/datasets/{store}/sel?f=netcdf")
    assert answer.status_code == 200, answer.text
    with netCDF4.Dataset("answer", memory=answer.content) as file:
        for name in ("at", "took"):
            counts, scale = file[name][:], file[name].units.split()[0]
            assert np.ma.getmaskarray(counts).tolist() == [n == 1 for n in range(size)]
            took = np.array(int(counts[2]), f"m8[{SCALES[scale]}]")
            assert took == np.array(2, f"m8[{unit}]")
            assert not any(key.startswith("_FillValue_") for key in file[name].ncattrs())


@pytest.mark.parametrize("first", ["", "-first"])
@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("calendar", CALENDARS)
def test_missing_dates(service: Service, calendar: str, version: Literal[2, 3], first: str) -> None:
    """What is missing among the dates of another calendar is missing in every format."""
    store = f"{calendar}-{version}{first}"
    assert service.get(f"/datasets/{store}").json()["unusable"] == {}
    found = service.get(f"/datasets/{store}/sel").json()["data_vars"]
    head = None if first else "2000-01-02T00:00:00"
    wanted = [head, "2000-01-03T00:00:00", None, "2000-01-05T00:00:00"]
    answer = service.get(f"/datasets/{store}/sel?f=netcdf")
    assert answer.status_code == 200, answer.text
    with netCDF4.Dataset("answer", memory=answer.content) as file:
        for name in ("whole", "half", "small", "float"):
            assert found[name]["data"] == wanted, name
            assert column(service, store, name) == [text or "" for text in wanted]
            assert file[name].calendar == calendar
            counts = np.ma.masked_invalid(file[name][:])
            days = [None if text is None else int(text[8:10]) - 1 for text in wanted]
            assert counts.tolist() == days
        assert found["none"]["data"] == [None] * 4
        assert np.ma.masked_invalid(file["none"][:]).mask.all()
    # One at a time, too.
    alone = service.get(f"/datasets/{store}/isel?x=2&variables=whole").json()
    assert alone["data_vars"]["whole"]["data"] is None
    assert service.get(f"/datasets/{store}/isel?x=2&variables=whole&f=netcdf").status_code == 200


def test_missing_dates_pass_the_check(stores: dict[str, Path], tmp_path: Path) -> None:
    few = {name: path for name, path in stores.items() if name.startswith("noleap")}
    assert [one for one in check(tmp_path, few) if one["severity"] == "error"] == []
