"""Who takes part: how each is started, how it is asked, and how its answer is read."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import xarray as xr

from loadtests.bench.asks import Ask, Values
from loadtests.bench.data import HOURS, OFFSET, SCALE

Url = Callable[[Ask], str]
Read = Callable[[bytes], Values]
SERVED = "loadtests.bench.servers"


@dataclass(frozen=True, slots=True)
class Contestant:
    """An application: `app` names its factory; None is Sluice itself.

    `own_venv`: it runs beside Sluice's own versions of everything, not in the contestants' venv.
    A `program` is a module that is run, and no application.
    """

    name: str
    app: str | None
    urls: Mapping[str, Url]
    reads: Mapping[str, Read]
    own_venv: bool = False
    ready: str = "/openapi.json"
    program: bool = False


def _sluice_point(ask: Ask) -> str:
    lat, lon = f"nearest::{ask.lats[0]}", f"nearest::{ask.lons[0]}"
    named = {"variables": ask.variable, "time": f"{ask.times[0]}Z", "lat": lat, "lon": lon}
    return _sluice(named)


def _sluice_series(ask: Ask) -> str:
    lat, lon = f"nearest::{ask.lats[0]}", f"nearest::{ask.lons[0]}"
    return _sluice({"variables": ask.variable, "lat": lat, "lon": lon})


def _sluice_box(ask: Ask) -> str:
    time = "/".join(f"{instant}Z" for instant in ask.times)
    cells = {"lat": _ends(ask.lats), "lon": _ends(ask.lons)}
    return _sluice({"variables": ask.variable, "time": time, **cells, "f": "netcdf"})


def _sluice_stations(ask: Ask) -> str:
    lat, lon = f"nearest::{_list(ask.lats)}", f"nearest::{_list(ask.lons)}"
    named = {"variables": ask.variable, "time": f"{ask.times[0]}Z", "lat": lat, "lon": lon}
    return _sluice({**named, "pointwise": "lat,lon"})


def _sluice(named: Mapping[str, str]) -> str:
    return "/datasets/era5/sel?" + urlencode(named, safe=":,/")


def _plain_point(ask: Ask) -> str:
    labels = {"time": ask.times[0], "lat": ask.lats[0], "lon": ask.lons[0]}
    return "/point?" + urlencode({"variable": ask.variable, **labels}, safe=":")


def _plain_series(ask: Ask) -> str:
    named = {"variable": ask.variable, "lat": ask.lats[0], "lon": ask.lons[0]}
    return "/series?" + urlencode(named)


def _plain_box(ask: Ask) -> str:
    cells = {"time": "/".join(ask.times), "lat": _ends(ask.lats), "lon": _ends(ask.lons)}
    return "/box?" + urlencode({"variable": ask.variable, **cells}, safe=":/")


def _plain_stations(ask: Ask) -> str:
    cells = {"time": ask.times[0], "lat": _list(ask.lats), "lon": _list(ask.lons)}
    return "/stations?" + urlencode({"variable": ask.variable, **cells}, safe=":,")


def _edr_point(ask: Ask) -> str:
    named = {
        "coords": f"POINT({ask.lons[0]} {ask.lats[0]})",
        "datetime": ask.times[0],
        "parameter-name": ask.variable,
        "f": "csv",
    }
    return "/datasets/era5/edr/position?" + urlencode(named)


def _opendap_point(ask: Ask) -> str:
    rows, columns = ask.positions
    assert ask.hours is not None
    # The plugin takes `start:stop`, not DAP's `start:stride:stop`.
    where = "".join(f"[{at}:{at}]" for at in (ask.hours[0], rows[0], columns[0]))
    return f"/datasets/era5/opendap.dods?{quote(ask.variable + where)}"


def _titiler_point(ask: Ask, store: str) -> str:
    # It knows longitudes from -180 to 180 alone.
    lon = (ask.lons[0] + 180) % 360 - 180
    named = {"url": store, "variable": ask.variable, "sel": f"time={ask.times[0]}"}
    return f"/point/{lon:.2f},{ask.lats[0]}?" + urlencode(named)


def _ends(labels: tuple[float, ...]) -> str:
    return f"{labels[0]}/{labels[1]}"


def _list(labels: tuple[float, ...]) -> str:
    return ",".join(map(str, labels))


def _read_json(body: bytes) -> Values:
    (variable,) = json.loads(body)["data_vars"].values()
    return np.array(variable["data"], dtype=float)


def _read_netcdf(body: bytes) -> Values:
    with xr.open_dataset(io.BytesIO(body), engine="h5netcdf") as opened:
        (variable,) = opened.data_vars.values()
        return np.asarray(variable.values, dtype=float)


def _read_csv(body: bytes) -> Values:
    header, row = (line.split(",") for line in body.decode().strip().splitlines())
    return np.array([float(row[header.index("t2m")])])


def _read_dods(body: bytes) -> Values:
    """One number after ``Data:``, big-endian, before the labels of its cell (DAP 2, XDR)."""
    declared, _, data = body.partition(b"Data:\r\n" if b"Data:\r\n" in body else b"Data:\n")
    kind = ">f8" if b"Float64 t2m" in declared else ">f4"
    # An array's length comes twice before its values.
    return np.frombuffer(data, kind, count=1, offset=8).astype(float)


def _read_titiler(body: bytes) -> Values:
    found: dict[str, Any] = json.loads(body)
    return np.array(found["values"], dtype=float)


_SLUICE_URLS = {
    "point": _sluice_point,
    "series": _sluice_series,
    "box": _sluice_box,
    "stations": _sluice_stations,
}
_PLAIN_URLS = {
    "point": _plain_point,
    "series": _plain_series,
    "box": _plain_box,
    "stations": _plain_stations,
}
_READS = {
    "point": _read_json,
    "series": _read_json,
    "box": _read_netcdf,
    "stations": _read_json,
}

SLUICE = Contestant("sluice", None, _SLUICE_URLS, _READS, own_venv=True, ready="/healthz")
FLOOR = Contestant("floor", f"{SERVED}.floor:create_app", _SLUICE_URLS, {}, own_venv=True)
ENCODE_ONLY = Contestant(
    "encode-only",
    f"{SERVED}.encode_only:create_app",
    {"series": lambda _: "/json", "box": lambda _: "/netcdf"},
    {},
    own_venv=True,
)
THREADPOOL = Contestant("threadpool", f"{SERVED}.threadpool:create_app", _PLAIN_URLS, _READS)
LOAD_ASYNC = Contestant("load_async", f"{SERVED}.load_async:create_app", _PLAIN_URLS, _READS)
EDR = Contestant(
    "xpublish-edr", f"{SERVED}.edr:create_app", {"point": _edr_point}, {"point": _read_csv}
)
OPENDAP = Contestant(
    "xpublish-opendap",
    f"{SERVED}.opendap:create_app",
    {"point": _opendap_point},
    {"point": _read_dods},
)


def _dap_point(ask: Ask) -> str:
    assert ask.hours is not None
    return _dap(ask, f"{ask.hours[0]}")


def _dap_series(ask: Ask) -> str:
    return _dap(ask, f"0:{HOURS - 1}")


def _dap(ask: Ask, hours: str) -> str:
    rows, columns = ask.positions
    return f"/dap/era5.dods?{quote(f'{ask.variable}[{hours}][{rows[0]}][{columns[0]}]')}"


def _own_edr_point(ask: Ask) -> str:
    named = {
        "coords": f"POINT({ask.lons[0]} {ask.lats[0]})",
        "datetime": f"{ask.times[0]}Z",
        "parameter-name": ask.variable,
        "f": "CSV",
    }
    return "/edr/collections/era5/position?" + urlencode(named)


def _read_own_dods(body: bytes) -> Values:
    """An array of numbers, packed or not, its length twice before them (DAP 2, XDR)."""
    declared, _, data = body.partition(b"\nData:\n")
    kinds = {b"Float64": ">f8", b"Float32": ">f4", b"Int16": ">i4"}
    (name,) = [one for one in kinds if one + b" t2m" in declared]
    found = np.frombuffer(data[8:], kinds[name]).astype(float)
    return found * SCALE + OFFSET if name == b"Int16" else found


SLUICE_DAP = Contestant(
    "sluice, dap",
    None,
    {"point": _dap_point, "series": _dap_series},
    {"point": _read_own_dods, "series": _read_own_dods},
    own_venv=True,
    ready="/healthz",
)
SLUICE_EDR = Contestant(
    "sluice, edr",
    None,
    {"point": _own_edr_point},
    {"point": _read_csv},
    own_venv=True,
    ready="/healthz",
)
NGINX = Contestant(
    "nginx", f"{SERVED}.nginx", {}, {}, own_venv=True, ready="/zarr.json", program=True
)
FILES = Contestant(
    "bare ASGI", f"{SERVED}.files:create_app", {}, {}, own_venv=True, ready="/zarr.json"
)


def titiler(store: str) -> Contestant:
    """titiler.xarray, which is told by each request what to open."""
    urls = {"point": lambda ask: _titiler_point(ask, store)}
    app = f"{SERVED}.titiler:create_app"
    return Contestant("titiler.xarray", app, urls, {"point": _read_titiler}, ready="/api")


def catalog(stores: Mapping[str, Mapping[str, Any]]) -> str:
    """A catalog of these entries, in JSON, which is YAML."""
    return json.dumps({"datasets": stores})


def s3_entry(endpoint: str, bucket: str, store: str, engine: str) -> dict[str, Any]:
    """A store of the stand-in, with credentials, so that every request is signed."""
    options = {"endpoint_url": endpoint, "key": "bench", "secret": "bench-secret"}
    return {"url": f"s3://{bucket}/{store}", "storage_options": options, "engine": engine}
