"""/catalog/status: whether datasets can be read, and which cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from app.settings import Settings
from tests.api.conftest import CATALOG, serving


def test_one_reachable_dataset_is_enough(client: httpx.Client) -> None:
    """Each dataset is listed; what fails is named by its kind, and no address appears."""
    answer = client.get("/catalog/status")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "status": "ready",
        "datasets": {
            "v2": "ready",
            "v3": "ready",
            "gone": "store-missing",
            "strange": "misconfigured",
        },
    }


def test_strictly_every_dataset_is_wanted(write_catalog: Callable[[str], Path]) -> None:
    """By the setting, one that cannot be reached makes the service unready."""
    path = write_catalog(CATALOG)
    with serving(Settings(catalog=path, status_strictly=True)) as client:
        answer = client.get("/catalog/status")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unready"


def test_no_reachable_dataset_is_unready(write_catalog: Callable[[str], Path]) -> None:
    """The process lives, and nothing can be read."""
    path = write_catalog('datasets: {gone: {url: "{stores}/none.zarr"}}')
    with serving(Settings(catalog=path)) as client:
        assert client.get("/catalog/status").status_code == 503
        assert client.get("/healthz").status_code == 200
