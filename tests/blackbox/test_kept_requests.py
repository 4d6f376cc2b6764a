"""What is kept of requests is bounded in bytes: long ones, refused or answered, leave nothing."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import psutil
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service

POSTS = 40
GETS = 100
GROWTH = 16 * 2**20


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    store: Path = tmp_path_factory.mktemp("kept") / "a.zarr"
    names = {f"v{i}": (("x",), np.zeros(20, "f4")) for i in range(300)}
    ds = xr.Dataset(names, {"x": np.arange(20)}, {"note": "n" * 100_000})
    ds.to_zarr(store, zarr_format=3, consolidated=False)
    return serve({"a": store}, SLUICE_URL_BYTES="100000", SLUICE_CHUNK_CACHE_BYTES="0")


def grown(service: Service, ask: str, make: object) -> int:
    """How many bytes the server holds more after many requests than after the first few."""
    process, counter = psutil.Process(service.pid), count()

    def send(times: int) -> int:
        for _ in range(times):
            number = next(counter)
            if ask == "post":
                service.client.post("/datasets/a/isel", json=make(number))  # type: ignore[operator]
            else:
                service.get(make(number))  # type: ignore[operator]
        return process.memory_info().rss

    before = send(6)
    return send(POSTS if ask == "post" else GETS) - before


def padded(number: int, size: int = 900_000) -> str:
    return f"{number:08}" * (size // 8)


@pytest.mark.parametrize(
    "make",
    [
        lambda n: {"x": 0, "variables": "v1" + ",v1" * 200_000 + ",v2" * n},
        lambda n: {"x": 99, "variables": "v1" + ",v1" * 200_000 + ",v2" * n},
        lambda n: {"x": 0, "variables": padded(n)},
        lambda n: {"x": 0, "tolerance": "x:" + padded(n)},
        lambda n: {"x": 0, "pointwise": "x" + ",x" * (400_000 + n)},
        lambda n: {"x": 0, "method": padded(n)},
        lambda n: {padded(n): 0},
        lambda n: {"x": padded(n)},
    ],
    ids=["answered", "refused", "names", "tolerance", "pointwise", "method", "parameter", "label"],
)
def test_long_bodies_leave_nothing(service: Service, make: object) -> None:
    assert grown(service, "post", make) < GROWTH


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "/datasets/" + padded(n, 60_000),
        lambda n: "/" + padded(n, 60_000),
        lambda n: f"/datasets/a/sel?x={padded(n, 60_000)}",
        lambda n: f"/datasets/a/isel?{padded(n, 60_000)}=1",
        lambda n: "/datasets/a/isel?x=0&variables=v1" + ",v1" * 20_000 + ",v2" * n,
        lambda n: f"/datasets/a/isel?x=0:{n % 19 + 1}&variables=" + ",".join(
            f"v{i}" for i in range(n % 50, 300)
        ),
    ],
    ids=["dataset", "path", "label", "parameter", "repeated", "forms"],
)  # fmt: skip
def test_long_urls_leave_nothing(service: Service, make: object) -> None:
    assert grown(service, "get", make) < GROWTH
