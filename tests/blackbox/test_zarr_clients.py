"""What reads Zarr over the web opens our stores unchanged, and reads what the source holds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.blackbox.conftest import Serve, Service, command
from tests.clients.programs import node_package

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = ("packed", "plain", "sharded", "references", "fewer", "land")
FORMATS = (2, 3)
SHAPE = (20, 6, 10)
DIMS = ("time", "lat", "lon")


def weather() -> xr.Dataset:
    """Times, packed and plain numbers with holes, text, flags, a scalar, further coordinates."""
    random = np.random.default_rng(5)
    t = random.integers(-3000, 3000, SHAPE) * 0.03125 + 280
    t[random.random(SHAPE) < 0.05] = np.nan
    coords = {
        "time": np.datetime64("2024-01-01", "ns") + np.arange(SHAPE[0]) * np.timedelta64(6, "h"),
        "lat": np.linspace(55, -55, SHAPE[1]),
        "lon": np.linspace(0, 324, SHAPE[2]).astype("f4"),
        "height": ((), 2.0, {"units": "m"}),
        "area": (DIMS[1:], random.random(SHAPE[1:])),
    }
    data = {
        "t": (DIMS, t, {"units": "K", "long_name": "Temperature"}),
        "u": (DIMS, random.normal(size=SHAPE).astype("f4")),
        "name": ("lat", np.array([f"row {n}" for n in range(SHAPE[1])], dtype=object)),
        "flag": ("lon", np.arange(SHAPE[2]) % 3 == 0),
        "count": ("time", np.arange(SHAPE[0]) ** 4),
    }
    return xr.Dataset(data, coords, {"title": "Weather", "level": [1, 2]})


PACKED = {"dtype": "i2", "scale_factor": 0.03125, "add_offset": 280.0, "_FillValue": -32768}
CHUNKS = (8, 5, 10)
ENCODING: dict[str, Any] = {"t": {**PACKED, "chunks": CHUNKS}, "u": {"chunks": CHUNKS}}


def references(store: Path, document: Path) -> None:
    """A document of references to the chunks of a store of format 2, as kerchunk writes it."""
    found: dict[str, Any] = {}
    for path in sorted(file for file in store.rglob("*") if file.is_file()):
        key = path.relative_to(store).as_posix()
        own = path.name.startswith(".z")
        found[key] = path.read_text() if own else [str(path), 0, path.stat().st_size]
    del found[".zmetadata"]
    document.write_text(json.dumps({"version": 1, "refs": found}))


def write(folder: Path) -> dict[str, Mapping[str, Any]]:
    """The stores, and the entries of a catalog that name them."""
    whole = weather()
    whole.to_zarr(folder / "packed.zarr", zarr_format=2, encoding=ENCODING)
    whole.to_zarr(folder / "plain.zarr", zarr_format=3, encoding=ENCODING)
    sharded = {**ENCODING, "t": {**PACKED, "chunks": (4, 5, 5), "shards": (8, 10, 10)}}
    whole.to_zarr(folder / "sharded.zarr", zarr_format=3, encoding=sharded)
    whole.to_zarr(folder / "tree.zarr", group="sea/land", zarr_format=3, encoding=ENCODING)
    below = whole[["u"]].drop_vars(["time", "lat", "lon", "area"])
    below.to_zarr(folder / "tree.zarr", group="sea/land/below", zarr_format=3, mode="a")
    zarr.consolidate_metadata(folder / "tree.zarr")
    references(folder / "packed.zarr", folder / "references.json")
    of_references = {"fo": str(folder / "references.json"), "remote_protocol": "file"}
    return {
        **{name: {"url": str(folder / f"{name}.zarr")} for name in ("packed", "plain", "sharded")},
        "fewer": {"url": str(folder / "plain.zarr"), "drop_variables": ["height", "count"]},
        "references": {
            "url": "reference://",
            "storage_options": of_references,
            "reference_roots": [str(folder)],
        },
        "land": {"url": str(folder / "tree.zarr"), "group": "sea/land"},
        "tree": {"url": str(folder / "tree.zarr"), "group": "*"},
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("zarr")


@pytest.fixture(scope="module")
def key() -> tuple[str, str]:
    """A key, and the line that makes it valid."""
    made = command("key", "reader")
    return made.stderr.strip(), made.stdout.strip()


@pytest.fixture(scope="module")
def service(serve: Serve, folder: Path, key: tuple[str, str]) -> Service:
    entries = {name: {**entry, "access": "public"} for name, entry in write(folder).items()}
    entries["secret"] = {"url": str(folder / "sharded.zarr"), "access": ["reader"]}
    return serve(entries, SLUICE_KEYS=key[1])


def source(folder: Path, name: str) -> xr.Dataset:
    """The store itself, opened by xarray."""
    store, options = name, dict[str, Any]()
    if name == "fewer":
        store, options = "plain", {"drop_variables": ["height", "count"]}
    elif name == "references":
        store = "packed"
    elif name == "land":
        store, options = "tree", {"group": "sea/land"}
    elif name == "secret":
        store = "sharded"
    opened: xr.Dataset = xr.open_zarr(folder / f"{store}.zarr", chunks=None, **options)
    return opened.load()


def root(service: Service, name: str, zarr_format: int, who: str = "") -> str:
    host, port = service.address
    return f"http://{who}{host}:{port}/zarr/v{zarr_format}/{name}"


@pytest.mark.parametrize("zarr_format", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_xarray_opens_the_same_dataset(
    service: Service, folder: Path, name: str, zarr_format: int
) -> None:
    """Not told the format, it finds the one that is there."""
    opened = xr.open_zarr(root(service, name, zarr_format), chunks=None)
    xr.testing.assert_identical(opened.load(), source(folder, name))


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_a_group_has_what_it_inherits(service: Service, folder: Path, zarr_format: int) -> None:
    """Coordinates of the groups that it lies in, as xarray's DataTree has them."""
    with xr.open_datatree(folder / "tree.zarr", engine="zarr") as tree:
        below: Any = tree["sea/land/below"]
        expected = below.to_dataset(inherit=True).load()
    opened = xr.open_zarr(root(service, "tree~sea~land~below", zarr_format), chunks=None)
    assert set(opened.coords) == {*DIMS, "height"}
    xr.testing.assert_identical(opened.load(), expected)


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_xarray_opens_it_by_any_of_its_ways(
    service: Service, folder: Path, zarr_format: int
) -> None:
    """With dask, told the format, by either function."""
    pytest.importorskip("dask")
    expected, url = source(folder, "sharded"), root(service, "sharded", zarr_format)
    told = xr.open_zarr(url, zarr_format=zarr_format, consolidated=True)
    xr.testing.assert_identical(told.load(scheduler="threads"), expected)
    engine = xr.open_dataset(url, engine="zarr", chunks={"time": 10})
    xr.testing.assert_identical(engine.load(), expected)
    plain = xr.open_dataset(url, engine="zarr")
    part = {"time": slice(3, None, 4), "lat": 2}
    xr.testing.assert_identical(plain.isel(part).load(), expected.isel(part))


@pytest.mark.parametrize("zarr_format", FORMATS)
def test_zarr_opens_each_array_by_itself(service: Service, folder: Path, zarr_format: int) -> None:
    """Documents are there for arrays, too, and a group without them is read."""
    url = root(service, "sharded", zarr_format)
    array = zarr.open_array(f"{url}/t", mode="r")
    expected = zarr.open_array(folder / "sharded.zarr" / "t", mode="r")
    np.testing.assert_array_equal(array[3:17, 2:, ::3], expected[3:17, 2:, ::3])
    group: Any = zarr.open_group(url, mode="r", use_consolidated=False)
    assert dict(group.attrs)["title"] == "Weather"
    np.testing.assert_array_equal(group["u"][5], source(folder, "sharded")["u"][5])


@pytest.mark.parametrize("name", ["packed", "plain", "sharded", "references"])
@pytest.mark.parametrize("zarr_format", FORMATS)
def test_tensorstore_reads_the_stored_values(
    service: Service, folder: Path, name: str, zarr_format: int
) -> None:
    """Chunks and parts of shards, whatever the source's own format is."""
    tensorstore = pytest.importorskip("tensorstore")
    stored = folder / f"{'packed' if name == 'references' else name}.zarr"
    driver = {2: "zarr", 3: "zarr3"}[zarr_format]
    for array in ("t", "u", "flag", "count", "time"):
        kvstore = {"driver": "http", "base_url": f"{root(service, name, zarr_format)}/{array}/"}
        opened = tensorstore.open({"driver": driver, "kvstore": kvstore}).result()
        expected = np.asarray(zarr.open_array(stored / array, mode="r")[...])
        np.testing.assert_array_equal(opened.read().result(), expected)
        np.testing.assert_array_equal(opened[3:7].read().result(), expected[3:7])


@pytest.mark.parametrize("name", ["packed", "sharded", "references"])
def test_gdal_reads_format_2(service: Service, folder: Path, name: str) -> None:
    """GDAL of rasterio's wheels knows neither v3's `bytes` nor shards."""
    rasterio = pytest.importorskip("rasterio")
    url = root(service, name, 2)
    with rasterio.open(f'ZARR:"/vsicurl/{url}":/t') as opened:
        found, nodata, scales = opened.read(), opened.nodata, opened.scales
    stored = folder / f"{'packed' if name == 'references' else name}.zarr" / "t"
    np.testing.assert_array_equal(found, zarr.open_array(stored, mode="r")[...])
    assert (nodata, scales[0]) == (-32768, 0.03125)


SCRIPT = """
import * as zarr from "zarrita";
const [url, who] = process.argv.slice(2);
const options = who ? {overrides: {headers: {Authorization: who}}} : {};
const plain = new zarr.FetchStore(url, options);
const consolidated = await zarr.withMaybeConsolidatedMetadata(plain);
for (const store of [plain, consolidated]) {
  const group = await zarr.open(store, {kind: "group"});
  const array = await zarr.open(group.resolve("t"), {kind: "array"});
  const part = await zarr.get(array, [zarr.slice(7, 19), 4, null]);
  console.log(JSON.stringify([group.attrs.title, part.shape, Array.from(part.data)]));
}
"""


def zarrita(folder: Path, *words: str) -> list[Any]:
    """What zarrita reads of a store with its metadata as they lie, and consolidated."""
    modules, script = node_package("zarrita"), folder / "read.mjs"
    script.write_text(SCRIPT)
    # Modules are looked for beside the script.
    beside = folder / "node_modules"
    if not beside.exists():
        beside.symlink_to(modules)
    ran = subprocess.run(
        ["node", script, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(("name", "zarr_format"), [("packed", 2), ("sharded", 3), ("packed", 3)])
def test_zarrita_reads_the_stored_values(
    service: Service, folder: Path, name: str, zarr_format: int
) -> None:
    """Shards by HEAD and ranges, chunks whole."""
    expected = zarr.open_array(folder / f"{name}.zarr" / "t", mode="r")[7:19, 4]
    for title, shape, data in zarrita(folder, root(service, name, zarr_format)):
        assert (title, shape) == ("Weather", [12, 10])
        np.testing.assert_array_equal(np.array(data).reshape(shape), expected)


def test_a_key_opens_what_it_may(service: Service, folder: Path, key: tuple[str, str]) -> None:
    """As a header, or as the password of Basic in the URL."""
    url, expected = root(service, "secret", 3), source(folder, "secret")
    headers = {"Authorization": f"Bearer {key[0]}"}
    options: dict[str, Any] = {"storage_options": {"client_kwargs": {"headers": headers}}}
    xr.testing.assert_identical(xr.open_zarr(url, chunks=None, **options).load(), expected)
    mine = root(service, "secret", 2, f"me:{key[0]}@")
    xr.testing.assert_identical(xr.open_zarr(mine, chunks=None).load(), expected)
    with pytest.raises(Exception, match="401"):
        xr.open_zarr(url, chunks=None)
    (found, *_) = zarrita(folder, url, f"Bearer {key[0]}")
    assert found[0] == "Weather"
