"""A page of another origin that may not read answers: the operator is told where to say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    store: Path = tmp_path_factory.mktemp("origins") / "a.zarr"
    xr.Dataset({"v": ("x", np.arange(3.0))}).to_zarr(store, zarr_format=3, consolidated=False)
    return serve({"a": store}, SLUICE_CORS_ORIGINS="https://maps.example")


def told(service: Service, origin: str) -> int:
    """How many lines of the log name the setting and this origin."""
    lines = service.log.read_text().splitlines()
    return len([line for line in lines if f'"{origin}"' in line and "SLUICE_CORS_ORIGINS" in line])


def test_each_strange_origin_is_told_once(service: Service) -> None:
    for _ in range(3):
        for origin in ("https://other.example", "https://maps.example"):
            answer = service.get("/datasets/a/isel?x=0", headers={"Origin": origin})
            assert answer.status_code == 200
    assert told(service, "https://other.example") == 1
    assert told(service, "https://maps.example") == 0


def test_the_service_itself_is_no_stranger(service: Service) -> None:
    host, port = service.address
    own = f"http://{host}:{port}"
    answer = service.client.post("/datasets/a/isel", json={"x": 0}, headers={"Origin": own})
    assert answer.status_code == 200
    assert told(service, own) == 0


def test_what_anybody_makes_up_neither_fills_nor_forges_the_log(service: Service) -> None:
    for number in range(200):
        service.get("/healthz", headers={"Origin": f"https://{number}.example/" + "x" * 1000})
    service.get("/healthz", headers={"Origin": 'https://a" level=error'})
    text = service.log.read_text()
    assert 10 < text.count("SLUICE_CORS_ORIGINS") <= 64
    assert max(map(len, text.splitlines())) < 600
    assert 'a" level=error' not in text


def test_the_guide_and_a_preflight_without_the_setting_say_how(serve: Serve) -> None:
    closed = serve({"gone": "/nowhere.zarr"})
    assert "SLUICE_CORS_ORIGINS" in closed.get("/openapi.json").json()["info"]["description"]
    asked = {"Origin": "https://maps.example", "Access-Control-Request-Method": "POST"}
    assert closed.client.options("/datasets/a/sel", headers=asked).status_code == 405
    assert told(closed, "https://maps.example") == 1
