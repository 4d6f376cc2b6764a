"""The names under which answers are saved: one for each part of a dataset, the same every time."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service

LONG = "a" * 128
PARTS = [
    "isel?",
    "isel?x=0",
    "isel?x=1",
    "isel?x=0:1",
    "isel?x=0:2",
    "isel?x=0&y=0",
    "isel?y=0",
    "isel?variables=v",
    "isel?variables=w",
    "isel?x=0&variables=v",
    "isel?x=0,1&y=0,1&pointwise=x,y",
    "isel?x=0,1&y=0,1",
]


@pytest.fixture(scope="module")
def services(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> tuple[Service, Service]:
    """Two servers over the same store, under two ids in each."""
    store: Path = tmp_path_factory.mktemp("stores") / "a.zarr"
    grid = (("x", "y"), np.arange(6.0).reshape(2, 3))
    coords = {"x": [10.0, 20.0], "y": [1.0, 2.0, 3.0]}
    xr.Dataset({"v": grid, "w": grid}, coords).to_zarr(store, zarr_format=2, consolidated=True)
    return serve({"a": store, LONG: store}), serve({"a": store, LONG: store})


def named(service: Service, path: str, **headers: str) -> str:
    """The file name that an answer asks for."""
    answer = service.get(f"/datasets/{path}", headers=headers)
    assert answer.status_code == 200, answer.text
    found = re.fullmatch(r'attachment; filename="([^"]+)"', answer.headers["content-disposition"])
    assert found is not None
    return found[1]


def test_each_part_has_a_name_of_its_own(services: tuple[Service, Service]) -> None:
    """Different selections differ; ids and formats too; all are short, and safe in any shell."""
    names = [
        named(services[0], f"{dataset}/{part}&f={form}")
        for dataset in ("a", LONG)
        for part in PARTS
        for form in ("netcdf", "csv")
    ]
    assert len({*names}) == len(names)
    assert all(re.fullmatch(r"a+-[0-9a-f]{10}\.(nc|csv)", name) for name in names)
    assert max(map(len, names)) <= 80


@pytest.mark.parametrize("part", PARTS)
def test_a_part_has_one_name(services: tuple[Service, Service], part: str) -> None:
    """Asked again, of another server, by HEAD or compressed, it is the same."""
    path = f"a/{part}&f=netcdf"
    first = named(services[0], path)
    assert named(services[1], path) == first
    assert named(services[0], path, **{"Accept-Encoding": "gzip"}) == first
    head = services[0].client.head(f"/datasets/{path}")
    assert first in head.headers["content-disposition"]


def test_however_it_is_asked_for(services: tuple[Service, Service]) -> None:
    """By label, by position, by GET or POST: the same part has the same name."""
    wanted = named(services[0], "a/isel?x=1&f=netcdf")
    assert named(services[0], "a/sel?x=20&f=netcdf") == wanted
    assert named(services[0], "a/sel?x=nearest::19&f=netcdf") == wanted
    posted = services[0].client.post("/datasets/a/sel", json={"x": 20, "f": "netcdf"})
    assert wanted in posted.headers["content-disposition"]


def test_json_is_not_saved(services: tuple[Service, Service]) -> None:
    """JSON is shown, not saved."""
    assert "content-disposition" not in services[0].get("/datasets/a/isel?x=0").headers
