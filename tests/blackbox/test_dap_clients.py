"""OPeNDAP as its clients speak it: what they read is what xarray reads of the store."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import netCDF4
import numpy as np
import pytest
import requests
import xarray as xr

from .conftest import Serve, Service
from .dap_stores import write_stores
from .readers import needed, run

with warnings.catch_warnings():
    # One of its libraries stands on a module that Python gives up.
    warnings.simplefilter("ignore")
    from pydap.client import open_url

KEY = "a-key-for-one-dataset"
ACCESS = {"plain": "public", "others": "public", "dated": "public"}
SLABS = 500

Slab: TypeAlias = tuple[slice, ...]
# A part of a variable, as a client reads it undecoded.
Read: TypeAlias = Callable[[str, Slab], Any]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with warnings.catch_warnings():
        # Zarr 2 has no rule for texts, and says so.
        warnings.simplefilter("ignore")
        return write_stores(tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    entries = {name: {"url": str(stores[name]), "access": ACCESS[name]} for name in ACCESS}
    entries["guarded"] = {"url": str(stores["plain"])}
    line = f"reader {sha256(KEY.encode()).hexdigest()} datasets=guarded"
    return serve(entries, SLUICE_KEYS=line)


def url(service: Service, name: str = "plain") -> str:
    host, port = service.address
    return f"http://{host}:{port}/dap/{name}"


def opened(path: Path, **options: Any) -> xr.Dataset:
    ds: xr.Dataset = xr.open_zarr(path, chunks=None, **options)
    with ds:
        return ds.load()


@pytest.fixture(scope="module")
def raw(stores: dict[str, Path]) -> xr.Dataset:
    return opened(stores["plain"], mask_and_scale=False, decode_times=False)


def slabs(ds: xr.Dataset, count: int) -> Iterator[tuple[str, Slab]]:
    """Variables and parts of them, of one position or many, every one or some."""
    rng = np.random.default_rng(1)
    names = [str(name) for name, variable in ds.variables.items() if variable.ndim]
    for _ in range(count):
        name, parts = names[rng.integers(len(names))], list[slice]()
        for length in ds[name].shape:
            start, step = int(rng.integers(length)), int(rng.integers(1, 5))
            stop = start + 1 if rng.integers(3) == 0 else int(rng.integers(start + 1, length + 1))
            parts.append(slice(start, stop, step))
        yield name, tuple(parts)


def check_slabs(ds: xr.Dataset, count: int, read: Read) -> None:
    for name, slab in slabs(ds, count):
        wanted, found = ds[name].values[slab], np.asarray(read(name, slab))
        assert found.shape == wanted.shape, (name, slab)
        if wanted.dtype.kind == "u":
            # To netCDF-C all whole numbers of DAP2 are signed.
            found = found.astype(found.dtype.newbyteorder("=")).view(wanted.dtype)
        np.testing.assert_array_equal(found, wanted, err_msg=f"{name} {slab}")


def test_xarray_opens_the_store_itself(service: Service, stores: dict[str, Path]) -> None:
    """Without being told an engine: of types that DAP2 has, all is identical."""
    with xr.open_dataset(url(service)) as ds:
        xr.testing.assert_identical(ds.load(), opened(stores["plain"]))
        kinds = {name: variable.dtype for name, variable in ds.variables.items()}
    stored = opened(stores["plain"])
    assert kinds == {name: variable.dtype for name, variable in stored.variables.items()}


@pytest.mark.parametrize("name", ["others", "dated"])
def test_xarray_finds_equal_values_in_other_types(
    service: Service, stores: dict[str, Path], name: str
) -> None:
    """Wider numbers, and names of plain letters; complex numbers and empty variables are left out,
    and texts that are still in the store have 64 letters.
    """
    store = opened(stores[name], decode_timedelta=True)
    with xr.open_dataset(url(service, name), decode_timedelta=True) as ds:
        ds.load()
    if name == "others":
        # Of letters that parsers take for something else.
        assert dict(ds.attrs) == {
            "a__b_": 1,
            "a__b": 2,
            "___": "é",
            "String": "a word of the protocol",
        }
    missing = {str(n) for n in store.variables} - {str(n) for n in ds.variables}
    assert missing <= {"complex", "empty", "a b.c", "NC_GLOBAL"}
    if name == "others":
        assert ds["a_b_c"].attrs["origname"] == "a b.c"
        # Where the attributes of the dataset stand the C library takes no variable.
        assert ds["NC_GLOBAL_"].attrs == {"units": "m", "origname": "NC_GLOBAL"}
        assert ds["a_b_c"].equals(store["a b.c"].rename("a_b_c").assign_coords(ds.coords))
    for own in ds.variables.keys() & store.variables.keys():
        np.testing.assert_array_equal(ds[own].values, store[own].values, err_msg=str(own))


def test_random_slabs_of_netcdf4(service: Service, raw: xr.Dataset) -> None:
    """By the C library that most clients stand on."""
    with netCDF4.Dataset(url(service)) as ds:
        ds.set_auto_maskandscale(False)
        check_slabs(raw, SLABS, lambda name, slab: ds[name][slab])


@pytest.mark.parametrize(("protocol", "count"), [("dap2", SLABS), ("dap4", SLABS // 5)])
def test_random_slabs_of_pydap(
    service: Service, raw: xr.Dataset, protocol: str, count: int
) -> None:
    """By the library that has its own reader."""
    with requests.Session() as session:
        session.trust_env = False
        ds = open_url(url(service), session=session, protocol=protocol)
        check_slabs(raw, count, lambda name, slab: ds[name].data[slab])
        assert np.asarray(ds["lone_byte"].data[()]) == 200
        assert ds.attributes["number"] == 5


def test_dap4_has_all_types(service: Service, stores: dict[str, Path]) -> None:
    """The C library asks for whole variables, and finds integers of 64 bits and texts."""
    store = opened(stores["others"], decode_timedelta=True)
    with xr.open_dataset(f"{url(service, 'others')}#dap4", decode_timedelta=True) as ds:
        ds.load()
    assert ds["i8"].dtype == np.dtype("i8")
    assert ds["i1"].dtype == np.dtype("i1")
    for own in ds.variables.keys() & store.variables.keys():
        np.testing.assert_array_equal(ds[own].values, store[own].values, err_msg=str(own))
    asked = "?dap4.ce=/t[0:1:1][0:1:2][];/time[0:1:1]#dap4"
    with xr.open_dataset(url(service) + asked) as ds:
        whole = opened(stores["plain"])
        np.testing.assert_array_equal(ds["t"].values, whole["t"].values[:2, :3])
        np.testing.assert_array_equal(ds["time"].values, whole["time"].values[:2])


def test_ncdump_reads_both_protocols(service: Service) -> None:
    """The old version that Debian has, which expects checksums that nobody asked for."""
    needed("ncdump")
    head = run("ncdump", "-h", url(service))
    assert "short packed(time, lat, lon)" in head
    assert "packed:_FillValue = -999s" in head
    assert ':title = "A \\"toy\\""' in head
    for address in (url(service), f"{url(service)}#dap4"):
        shown = run("ncdump", "-v", "height,lone_short,u4,i2", address)
        assert "i2 = -4, -3, -2, -1, 0, 1, 2, 3, 4 ;" in shown
        assert "lone_short = -7 ;" in shown


def test_ncdump_has_its_key_from_a_file(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the password of any user, in a file of passwords."""
    needed("ncdump")
    monkeypatch.setenv("HOME", str(tmp_path))
    address = url(service, "guarded")
    refused = service.get("/dap/guarded.dds")
    assert refused.status_code == 401
    assert refused.text.startswith("Error {\n    code = 401;")
    assert refused.headers["www-authenticate"].startswith("Basic ")
    netrc = tmp_path / ".netrc"
    netrc.write_text(f"machine {service.address[0]} login anybody password {KEY}\n")
    netrc.chmod(0o600)
    (tmp_path / ".ncrc").write_text(f"HTTP.NETRC={netrc}\n")
    assert "i2 = -4" in run("ncdump", "-v", "i2", address)


def test_nco_cuts_slabs(service: Service, raw: xr.Dataset, tmp_path: Path) -> None:
    needed("ncks")
    file = tmp_path / "cut.nc"
    run("ncks", "-O", "-v", "t", "-d", "time,1,4,3", "-d", "lon,0,19,7", url(service), file)
    with netCDF4.Dataset(file) as ds:
        np.testing.assert_array_equal(ds["t"][:], raw["t"].values[1:5:3, :, ::7])


def test_cdo_finds_the_grid(service: Service, raw: xr.Dataset) -> None:
    """Coordinates, times, and values at a step of one."""
    needed("cdo")
    words = ("-outputtab,date,time,lon,lat,value", "-seltimestep,2", "-selname,t", url(service))
    rows = [line.split() for line in run("cdo", "-s", *words).splitlines() if "2024" in line]
    assert len(rows) == 180
    assert rows[0][:2] == ["2024-01-01", "06:00:00"]
    found = np.array([float(row[4]) for row in rows])
    np.testing.assert_allclose(found, raw["t"].values[1].ravel(), rtol=1e-3)


def test_r_reads_slabs(service: Service, stores: dict[str, Path]) -> None:
    needed("Rscript", "ncdf4")
    script = f"""library(ncdf4); n <- nc_open('{url(service)}')
        cat(format(ncvar_get(n, 'packed', start=c(5, 4, 3), count=c(3, 2, 1)), digits=10))
        cat('\\n'); cat(format(ncvar_get(n, 't', start=c(2, 3, 1), count=c(3, 1, 2)), digits=10))"""
    packed, t = run(shutil.which("Rscript") or "", "-e", script).splitlines()
    store = opened(stores["plain"])
    assert packed.split()[:3] == ["NA", "NA", "NA"]
    wanted = store["t"].values[:2, 2, 1:4].ravel()
    np.testing.assert_allclose([float(word) for word in t.split()], wanted, rtol=1e-6)


def test_octave_reads_slabs(service: Service, raw: xr.Dataset) -> None:
    needed("octave")
    read = f"ncread('{url(service)}', 't', [2 3 1], [3 2 2])"
    shown = run("octave", "-q", "--eval", f"pkg load netcdf; printf('%.6f ', {read});")
    wanted = raw["t"].values[:2, 2:4, 1:4].ravel()
    np.testing.assert_allclose([float(word) for word in shown.split()], wanted, rtol=1e-6)
