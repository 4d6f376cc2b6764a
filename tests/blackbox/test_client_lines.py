"""The lines of `docs/clients.md`, run as they stand there: each gives the values of the store."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import urllib.request
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import requests
import xarray as xr

from .conftest import Serve, Service

PAGE: Final = Path(__file__).parents[2] / "docs" / "clients.md"
ADDRESS: Final = "http://127.0.0.1:8000"
OPEN, _, GUARDED = PAGE.read_text().partition("\n## With a key\n")
LINE: Final = re.compile(r"^\| ([^|]+?) \| [^`|]*`(.+)`.* \|$", re.MULTILINE)
LINES: Final = dict(LINE.findall(OPEN))
KEYED: Final = dict(LINE.findall(GUARDED))
KEY: Final = "sluice_key-of-the-lines"
POINT: Final = {"level": 850, "latitude": 52.5, "longitude": 13.4}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dims = ("time", "level", "latitude", "longitude")
    coords = {
        "time": np.datetime64("2024-01-01", "ns") + np.arange(8) * np.timedelta64(6, "h"),
        "level": ("level", np.array([1000, 850, 500], "i4"), {"units": "hPa", "positive": "down"}),
        "latitude": ("latitude", np.arange(80.0, -81, -2.5), {"units": "degrees_north"}),
        "longitude": ("longitude", np.arange(0.0, 360, 7.5), {"units": "degrees_east"}),
    }
    sizes = (8, 3, 65, 48)
    values = np.random.default_rng(1).normal(280, 10, sizes).astype("f4")
    path = tmp_path_factory.mktemp("lines") / "sample.zarr"
    xr.Dataset({"t": (dims, values, {"units": "K"})}, coords).to_zarr(path, zarr_format=2)
    return path


@pytest.fixture(scope="module")
def service(serve: Serve, store: Path) -> Service:
    """The same dataset for all, and for those who have the key."""
    access: dict[str, Any] = {"sample": "public", "guarded": ["reader"]}
    entries = {name: {"url": str(store), "access": who} for name, who in access.items()}
    return serve(entries, SLUICE_KEYS=f"reader {sha256(KEY.encode()).hexdigest()}")


@pytest.fixture(scope="module")
def stored(store: Path) -> xr.Dataset:
    ds: xr.Dataset = xr.open_zarr(store, chunks=None)
    with ds:
        return ds.load()


@pytest.fixture
def line(request: pytest.FixtureRequest, service: Service) -> str:
    """The line of the program that the test is of, for this server."""
    host, port = service.address
    found: str = LINES[request.param]
    return found.replace(ADDRESS, f"http://{host}:{port}")


def with_key(name: str, service: Service) -> str:
    """The line with a key, of the program of this name, for the guarded dataset."""
    host, port = service.address
    line: str = KEYED[name].replace("KEY", KEY)
    place = ADDRESS.removeprefix("http://")
    return line.replace(place, f"{host}:{port}").replace("sample", "guarded")


@pytest.fixture
def home(tmp_path: Path, service: Service) -> Path:
    """A home with the files that `docs/access.md` names."""
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {service.address[0]} login any password {KEY}\n")
    netrc.chmod(0o600)
    (tmp_path / ".ncrc").write_text(f"HTTP.NETRC={netrc}\n")
    return tmp_path


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"lines of clients: no {name}")
    return found


def printed(*command: str, cwd: Path | None = None, home: Path | None = None) -> str:
    environment = {**os.environ, "HOME": str(home)} if home else None
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=120, cwd=cwd, env=environment, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def evaluated(line: str, session: object = None, **modules: str) -> Any:
    known = {name: importlib.import_module(module) for name, module in modules.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ways: dict[str, Any] = {"Request": urllib.request.Request, "io": io, "session": session}
        return eval(line, {**known, **ways, "urlopen": urllib.request.urlopen})


of = pytest.mark.parametrize


@of("line", ["xarray", "xarray, by OPeNDAP", "xarray, a file"], indirect=True)
def test_xarray(line: str, stored: xr.Dataset) -> None:
    with evaluated(line, xr="xarray") as ds:
        found = ds.load()
    xr.testing.assert_equal(found, stored.sel(time=found.time))
    assert found.time.size in (4, 8)


@of("line", ["pandas", "pandas, typed"], indirect=True)
def test_pandas(line: str, stored: xr.Dataset) -> None:
    wanted = stored.t.sel(POINT, method="nearest").values
    np.testing.assert_allclose(evaluated(line, pd="pandas")["t"], wanted, rtol=1e-6)


@of("line", ["polars"], indirect=True)
def test_polars(line: str, stored: xr.Dataset) -> None:
    pytest.importorskip("polars")
    found = evaluated(line, pl="polars")["t"].to_numpy()
    np.testing.assert_array_equal(found, stored.t.sel(time="2024-01-02", level=850).values.ravel())


@of("line", ["DuckDB"], indirect=True)
def test_duckdb(line: str, stored: xr.Dataset) -> None:
    check_duckdb(stored, line)


def check_duckdb(stored: xr.Dataset, *lines: str) -> None:
    duckdb = pytest.importorskip("duckdb")
    extension = pytest.importorskip("duckdb_extension_httpfs")
    (file,) = Path(extension.__file__).parent.rglob("*.duckdb_extension")
    with duckdb.connect(config={"allow_unsigned_extensions": "true"}) as database:
        database.execute(f"LOAD '{file}'")
        for line in lines:
            told = database.execute(line).fetchall()
    wanted = stored.t.sel(time="2024-01-02", level=850).values.astype("f8").mean()
    np.testing.assert_allclose(told[0][0], wanted)


@of("line", ["R", "R, by OPeNDAP"], indirect=True)
def test_r(line: str, stored: xr.Dataset) -> None:
    r = program("Rscript")
    code = f"library(ncdf4); x <- {line}; if (is.data.frame(x)) x <- x$t; cat(x)"
    if subprocess.run([r, "-e", "library(ncdf4)"], capture_output=True, check=False).returncode:
        pytest.skip("lines of clients: no ncdf4 for R")
    found = np.array(printed(r, "-e", code).split(), "f8")
    series = stored.t.sel(POINT, method="nearest")
    wanted = series if "read.csv" in line else stored.t[:8, 0, 0, 0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@of("line", ["MATLAB, Octave"], indirect=True)
def test_octave(line: str, stored: xr.Dataset) -> None:
    code = f"pkg load netcdf; printf('%.9g ', {line});"
    found = np.array(printed(program("octave-cli"), "-qf", "--eval", code).split(), "f8")
    np.testing.assert_allclose(found, stored.t[:8, 0, 0, 0], rtol=1e-6)


@of("line", ["CDO"], indirect=True)
def test_cdo(line: str, stored: xr.Dataset) -> None:
    program("cdo")
    rows = [row.split() for row in printed(*line.split()).splitlines() if not row.startswith("#")]
    found = np.array([row[-1] for row in rows], "f8")
    np.testing.assert_allclose(found, stored.t.sel(POINT, method="nearest"), rtol=1e-4)


@of("line", ["NCO"], indirect=True)
def test_nco(line: str, stored: xr.Dataset, tmp_path: Path) -> None:
    program("ncks")
    printed(*line.split(), cwd=tmp_path)
    with xr.open_dataset(tmp_path / "out.nc") as ds:
        np.testing.assert_array_equal(ds.t.values, stored.t.sel(level=[850])[:1].values)


@of("line", ["ncdump"], indirect=True)
def test_ncdump(line: str) -> None:
    program("ncdump")
    assert "float t(time, level, latitude, longitude)" in printed(*line.split())


@of("line", ["GDAL"], indirect=True)
def test_gdal(line: str, stored: xr.Dataset) -> None:
    """The one of Debian, which is older than rasterio's; with a key in the address as well."""
    program("gdalinfo")
    keyed = line.replace("http://", f"http://any:{KEY}@").replace("sample", "guarded")
    for words in (line, keyed):
        told = printed(*shlex.split(words))
        assert "Size is 48, 65" in told
        (least,) = re.findall(r"Minimum=([\d.]+)", told)
        np.testing.assert_allclose(float(least), stored.t[0, 0].min(), atol=1e-3)


@of("line", ["Ferret"], indirect=True)
def test_ferret(line: str, stored: xr.Dataset, tmp_path: Path) -> None:
    """Debian's, which is run by Debian's Python."""
    ferret = program("pyferret")
    use, listed = line.split("; ")
    script = tmp_path / "lines.jnl"
    script.write_text(f"{use}\n{listed.replace('list', 'list/nohead/format=(f14.6)')}\nquit\n")
    told = printed(
        "env", "PATH=/usr/bin:/bin", ferret, "-nodisplay", "-nojnl", "-script", str(script)
    )
    numbers = re.findall(r"^ +(\d+\.\d{6})$", told, re.MULTILINE)
    wanted = stored.t.sel(POINT, method="nearest").values
    np.testing.assert_allclose([float(number) for number in numbers], wanted, rtol=1e-6)


def test_qgis(service: Service, stored: xr.Dataset) -> None:
    """A cell of the raster, and all points of the other layer."""
    host, port = service.address
    lines = [LINES[name].replace(ADDRESS, f"http://{host}:{port}") for name in QGIS]
    cell, points = by_qgis(
        f"raster = QgsRasterLayer({lines[0]!r}, 't', 'gdal')",
        f"points = QgsVectorLayer({lines[1]!r}, 't', 'ogr')",
        "print(raster.dataProvider().sample(QgsPointXY(15, 52.5), 1)[0])",
        "places = [(f.geometry().asPoint(), f['t']) for f in points.getFeatures()]",
        "print([[place.x(), place.y(), value] for place, value in places], flush=True)",
    )
    wanted = float(stored.t[0, 0].sel(latitude=52.5, longitude=15))
    assert float(cell) == pytest.approx(wanted, rel=1e-6)
    instant, found = stored.t.sel(time="2024-01-02T00", level=850), json.loads(points)
    assert found
    for lon, lat, value in found:
        wanted = float(instant.sel(longitude=lon, latitude=lat))
        assert value == pytest.approx(wanted, rel=1e-6)


QGIS: Final = ("QGIS, a raster", "QGIS, points")


def by_qgis(*asked: str) -> list[str]:
    """The lines that these statements print, for the Python that QGIS is installed for."""
    python = "/usr/bin/python3"
    if not Path("/usr/lib/python3/dist-packages/qgis").exists():
        pytest.skip("lines of clients: no QGIS (Debian's python3-qgis)")
    lines = [
        "from qgis.core import *",
        "qgis = QgsApplication([], False)",
        "qgis.initQgis()",
        *asked,
        # What Qt and GDAL do at the end of an interpreter is their own.
        "import os; os._exit(0)",
    ]
    ran = subprocess.run(
        [python, "-c", "\n".join(lines)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@of("line", ["OWSLib"], indirect=True)
def test_owslib(line: str, stored: xr.Dataset) -> None:
    owslib = pytest.importorskip("owslib.ogcapi.edr")
    code = line.replace("EnvironmentalDataRetrieval", "edr.EnvironmentalDataRetrieval")
    found = evaluated(code, edr=owslib.__name__)["ranges"]["t"]["values"]
    wanted = stored.t.sel(latitude=52.5, longitude=13.4, method="nearest").values.ravel()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@of("line", ["JavaScript"], indirect=True)
def test_javascript(line: str, stored: xr.Dataset) -> None:
    code = f"console.log(JSON.stringify({line}))"
    told = json.loads(printed(program("node"), "--input-type=module", "-e", code))
    wanted = stored.t.sel(POINT, method="nearest").values
    np.testing.assert_allclose(told["columns"]["t"], wanted, rtol=1e-6)


@of("line", ["Excel"], indirect=True)
def test_excel(line: str, stored: xr.Dataset) -> None:
    with urllib.request.urlopen(line) as answer:
        text = answer.read().decode("utf-8-sig")
    head, *rows = csv.reader(io.StringIO(text))
    wanted = stored.t.sel(POINT, method="nearest").values
    at = next(i for i, name in enumerate(head) if name.startswith("t ") or name == "t")
    np.testing.assert_allclose([float(row[at]) for row in rows], wanted, rtol=1e-6)


@of("line", ["curl"], indirect=True)
def test_curl(line: str, stored: xr.Dataset, tmp_path: Path) -> None:
    program("curl")
    printed("sh", "-c", line, cwd=tmp_path)
    (file,) = tmp_path.iterdir()
    with xr.open_dataset(file) as ds:
        np.testing.assert_array_equal(ds.t.values, stored.t.sel(time="2024-01-02", level=850))


# With a key.


@of("name", ["xarray", "xarray, by OPeNDAP"])
def test_xarray_with_a_key(name: str, service: Service, stored: xr.Dataset) -> None:
    with evaluated(with_key(name, service), xr="xarray") as ds:
        np.testing.assert_array_equal(ds.t[1], stored.t[1])


def test_pydap_with_a_key(
    service: Service, stored: xr.Dataset, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a session only its headers; or from the file of passwords, of which it needs no word."""
    pytest.importorskip("pydap")
    line, session = with_key("pydap", service), requests.Session()
    session.headers["Authorization"] = f"Bearer {KEY}"
    with evaluated(line, session=session, xr="xarray") as ds:
        np.testing.assert_array_equal(ds.t[1, 1], stored.t[1, 1])
    monkeypatch.setenv("HOME", str(home))
    with evaluated(line.replace(", session=session", ""), xr="xarray") as ds:
        np.testing.assert_array_equal(ds.t[1, 1], stored.t[1, 1])


@of("name", ["pandas", "pandas, typed", "polars"])
def test_tables_with_a_key(name: str, service: Service, stored: xr.Dataset) -> None:
    pytest.importorskip("polars")
    wanted = stored.t.sel(POINT, method="nearest").values
    found = evaluated(with_key(name, service), pd="pandas", pl="polars")["t"]
    np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-6)


def test_duckdb_with_a_key(service: Service, stored: xr.Dataset) -> None:
    """A secret is made once; the line is the same then."""
    host, port = service.address
    line = LINES["DuckDB"].replace(ADDRESS, f"http://{host}:{port}").replace("sample", "guarded")
    check_duckdb(stored, with_key("DuckDB", service), line)


def test_tensorstore_with_a_key(service: Service, stored: xr.Dataset) -> None:
    pytest.importorskip("tensorstore")
    array = evaluated(with_key("tensorstore", service), tensorstore="tensorstore")
    np.testing.assert_array_equal(array[2].read().result(), stored.t[2])


def test_rasterio_with_a_key(service: Service, stored: xr.Dataset) -> None:
    pytest.importorskip("rasterio")
    with evaluated(with_key("GDAL, rasterio", service), rasterio="rasterio") as opened:
        np.testing.assert_array_equal(opened.read(1), stored.t[0, 0])


def test_owslib_with_a_key(service: Service, stored: xr.Dataset) -> None:
    owslib = pytest.importorskip("owslib.ogcapi.edr")
    code = with_key("OWSLib", service)
    for name in ("EnvironmentalDataRetrieval", "Authentication"):
        code = code.replace(name, f"edr.{name}")
    found = evaluated(code, edr=owslib.__name__)["ranges"]["t"]["values"]
    wanted = stored.t.sel(latitude=52.5, longitude=13.4, method="nearest").values.ravel()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@of("name", ["cdo", "ncks", "ncdump"])
def test_programs_find_the_key_in_a_file(name: str, service: Service, home: Path) -> None:
    """All that stand on the NetCDF library; a key in the address does as well."""
    program(name)
    host, port = service.address
    words = {"cdo": ["-s", "showname"], "ncks": ["-m"], "ncdump": ["-h"]}[name]
    assert " t" in printed(name, *words, f"http://{host}:{port}/dap/guarded", home=home)
    assert " t" in printed(name, *words, f"http://any:{KEY}@{host}:{port}/dap/guarded")


def test_r_with_a_key(service: Service, stored: xr.Dataset) -> None:
    told = printed(program("Rscript"), "-e", f"cat({with_key('R', service)}$t, sep='\\n')")
    wanted = stored.t.sel(POINT, method="nearest").values
    np.testing.assert_allclose([float(row) for row in told.split()], wanted, rtol=1e-6)


def test_javascript_with_a_key(service: Service, stored: xr.Dataset) -> None:
    code = f"console.log(JSON.stringify({with_key('JavaScript', service)}))"
    told = json.loads(printed(program("node"), "--input-type=module", "-e", code))
    wanted = stored.t.sel(POINT, method="nearest").values
    np.testing.assert_allclose(told["columns"]["t"], wanted, rtol=1e-6)


def test_curl_with_a_key(service: Service, stored: xr.Dataset, home: Path) -> None:
    program("curl")
    printed("sh", "-c", with_key("curl", service), cwd=home, home=home)
    with xr.open_dataset(home / "sel.nc") as ds:
        np.testing.assert_array_equal(ds.t.values, stored.t.sel(time="2024-01-02", level=850))


def test_each_keyed_line_is_run() -> None:
    """Those of programs have no words of their own; edr-xarray takes no variable named `t`."""
    source, unrun = Path(__file__).read_text(), {"CDO, NCO, ncdump", "edr-xarray"}
    run = source.partition("# With a key.")[2].partition("def test_each_keyed_line")[0]
    assert {name for name in KEYED if not re.search(f"[\"']{name}[\"']", run)} == unrun


def test_each_line_is_run_or_named() -> None:
    """A line more needs a test, or a place in the sentence below the table."""
    source, unrun = Path(__file__).read_text(), {"Panoply, IDL", "QGIS, its EDR plugin"}
    run = source.partition("def test_each_line")[0]
    assert {name for name in LINES if f'"{name}"' not in run} == unrun
