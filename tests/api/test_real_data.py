"""A real Sentinel-3 cube over HTTP: ten fixed selections, each equal to xarray's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import xarray as xr

from app.settings import Settings
from tests.api.conftest import decoded, serving

CUBE = Path(__file__).parents[3] / "shared" / "data" / "cube-5-100-200.zarr"

pytestmark = pytest.mark.skipif(
    not CUBE.exists(), reason=f"the real cube is not there: {CUBE.name}"
)

NEAR = {"method": "nearest"}
SELECTIONS = [
    ("isel?time=0&lat=500&lon=1000", {"time": 0, "lat": 500, "lon": 1000}),
    (
        "isel?time=-1&lat=0,999&lon=0:2000:500",
        {"time": -1, "lat": [0, 999], "lon": slice(0, 2000, 500)},
    ),
    ("isel?lat=::-250&lon=7&variables=conc_chl", {"lat": slice(None, None, -250), "lon": 7}),
    (
        "isel?time=2&lat=95:105&lon=195:205",
        {"time": 2, "lat": slice(95, 105), "lon": slice(195, 205)},
    ),
    (
        "sel?time=nearest::2017-01-16&lat=nearest::51.3&lon=nearest::2.7",
        {"time": "2017-01-16", "lat": 51.3, "lon": 2.7, **NEAR},
    ),
    ("sel?lat=nearest::51.3&lon=nearest::2.7", {"lat": 51.3, "lon": 2.7, **NEAR}),
    ("sel?lat=51.20/51.25&lon=2.9/2.95", {"lat": slice(51.25, 51.20), "lon": slice(2.9, 2.95)}),
    (
        "sel?time=2017-01-25/..&lat=51.25/51.20&lon=2.90/2.91",
        {"time": slice("2017-01-25", None), "lat": slice(51.25, 51.20), "lon": slice(2.90, 2.91)},
    ),
    (
        "sel?method=nearest&time=2017-01-16&lat=51,51.5,52&lon=1,4",
        {"time": "2017-01-16", "lat": [51, 51.5, 52], "lon": [1, 4], **NEAR},
    ),
    (
        "sel?time=2017-01-30&lat=nearest::51.302&lon=1.0/1.1/10",
        {"time": slice("2017-01-30", "2017-01-30"), "lat": 51.30125, "lon": slice(1.0, 1.1, 10)},
    ),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a server over the cube alone."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    path.write_text(f"datasets: {{cube: {{url: '{CUBE}'}}}}")
    with serving(Settings(catalog=path)) as client:
        yield client


@pytest.fixture(scope="module")
def cube() -> Iterator[xr.Dataset]:
    """xarray's own view of the cube."""
    with xr.open_zarr(CUBE, chunks=None) as ds:
        yield ds


@pytest.mark.parametrize(("query", "indexers"), SELECTIONS)
def test_a_selection_equals_xarrays_in_both_formats(
    client: httpx.Client, cube: xr.Dataset, query: str, indexers: dict[str, Any]
) -> None:
    """The answer as JSON and as NetCDF is what xarray selects."""
    path, _, rest = query.partition("?")
    want = (cube.sel(**indexers) if path == "sel" else cube.isel(**indexers)).load()
    if "variables" in rest:
        want = want[["conc_chl"]]
    answer = client.get(f"/datasets/cube/{query}")
    assert answer.status_code == 200, answer.text
    xr.testing.assert_equal(decoded(answer), want)
    answer = client.get(f"/datasets/cube/{query}&f=netcdf")
    assert answer.status_code == 200, answer.text
    with xr.open_dataset(io.BytesIO(answer.content)) as got:
        xr.testing.assert_equal(got, want)
