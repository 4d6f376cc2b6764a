"""What a request would answer and cost, without reading it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr

from app.settings import Settings
from tests.api.conftest import CATALOG, serving

BOX = "time=2020-01-01&level=850&latitude=20/-20&longitude=-10/10"


def explained(
    client: httpx.Client, query: str, path: str = "sel", **options: Any
) -> dict[str, Any]:
    answer = client.get(f"/datasets/v2/{path}?explain=true&{query}", **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def test_it_names_dimensions_costs_and_coordinates(client: httpx.Client) -> None:
    """Dimensions and labels are those that the answer will have; costs those of touched chunks."""
    body = explained(client, f"{BOX}&variables=u")
    real = client.get(f"/datasets/v2/sel?{BOX}&variables=u").json()
    assert body["dims"] == real["dims"] == {"time": 24, "latitude": 5, "longitude": 3}
    for name in ("time", "level", "latitude", "longitude"):
        assert body["coords"][name]["data"] == real["coords"][name]["data"]
        assert body["coords"][name]["dtype"] == real["coords"][name]["dtype"]
    assert body["coords"]["longitude"]["data"] == [-10, 0, 10]
    # One of two chunks along time, two of two along latitude and longitude, float32; and `name`,
    # which lies along level, is read with them.
    chunk = 24 * 1 * 10 * 18 * 4
    assert body["chunks"] == 4 + 1
    assert 4 * chunk < body["chunk_bytes"] < 4 * chunk + 200
    assert body["result_bytes"] > 24 * 5 * 3 * 4
    assert body["within_limits"] is True


def test_coordinates_in_the_store_stay_there(client: httpx.Client) -> None:
    """A coordinate that is not in memory is announced without its values."""
    assert explained(client, "level=0", "isel")["coords"]["name"].keys() == {"dims", "dtype"}


def test_it_is_json_whatever_else_is_asked_for(client: httpx.Client) -> None:
    """Neither `f` nor Accept changes the form; a wrong `f` is still wrong."""
    explained(client, f"{BOX}&f=netcdf", headers={"Accept": "application/netcdf"})
    explained(client, BOX, headers={"Accept": "image/png"})
    assert client.get("/datasets/v2/sel?explain=true&f=xml").status_code == 400


def test_points_are_explained(client: httpx.Client) -> None:
    """Stations have their new dimension and their coordinates along it."""
    query = "latitude=0,10&longitude=-10,20&pointwise=latitude,longitude&time=2020-01-01T00:00Z"
    body = explained(client, query)
    assert body["dims"] == {"level": 3, "points": 2}
    assert body["coords"]["longitude"]["data"] == [350, 20]


@pytest.mark.parametrize(("query", "status"), [("latitude=1", 422), ("time=never", 400)])
def test_what_cannot_be_selected_cannot_be_explained(
    client: httpx.Client, query: str, status: int
) -> None:
    """The errors of the selection itself stay what they are."""
    assert client.get(f"/datasets/v2/sel?explain=true&{query}").status_code == status


def test_over_a_limit_it_still_answers(write_catalog: Callable[[str], Path]) -> None:
    """What would be refused with 413 is explained, and said to be too much."""
    settings = Settings(catalog=write_catalog(CATALOG), request_chunk_bytes=1000)
    with serving(settings) as client:
        assert client.get(f"/datasets/v2/sel?{BOX}").status_code == 413
        assert explained(client, BOX)["within_limits"] is False


def test_it_reads_nothing(tmp_path: Path) -> None:
    """An explanation works where the chunks cannot be read any more."""
    ds = xr.Dataset({"v": ("x", np.arange(10.0))}, {"x": np.arange(10)})
    ds.to_zarr(tmp_path / "s.zarr", zarr_format=2, encoding={"v": {"chunks": (5,)}})
    (tmp_path / "catalog.yaml").write_text(f'datasets:\n  v2: {{url: "{tmp_path}/s.zarr"}}\n')
    with serving(Settings(catalog=tmp_path / "catalog.yaml")) as client:
        (tmp_path / "s.zarr" / "v" / "0").write_bytes(b"broken")
        assert client.get("/datasets/v2/sel?x=0/3").status_code == 502
        body = explained(client, "x=0/3")
    assert (body["chunks"], body["chunk_bytes"], body["coords"]["x"]["data"]) == (
        1,
        40,
        [0, 1, 2, 3],
    )


def test_an_explanation_counts_as_its_format_does(write_catalog: Callable[[str], Path]) -> None:
    """What lists by column count for is told, and that is what the limit is held against."""
    query = "/datasets/v2/isel?time=0:24&variables=t"
    with serving(Settings(catalog=write_catalog(CATALOG), request_result_bytes=10**6)) as client:
        plain = client.get(f"{query}&explain=true").json()
        columns = client.get(f"{query}&f=columns&explain=true").json()
        refused = client.get(f"{query}&f=columns")
    assert plain["result_bytes"] < 10**6 < columns["result_bytes"]
    assert (plain["within_limits"], columns["within_limits"]) == (True, False)
    assert refused.json()["estimate"] == columns["result_bytes"]
