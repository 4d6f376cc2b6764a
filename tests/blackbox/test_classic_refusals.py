"""What a classic NetCDF file cannot hold by its dimensions alone is refused before it is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from .conftest import Serve, Service

# A file's layout depends on the first two: on their lengths, and on how large they are.
LABELS = {
    "texts": np.array(list("abcd"), dtype=object),
    "wide": np.arange(4, dtype="u8"),
    "plain": np.arange(4, dtype="f4"),
}
LATE = "comes first, and lat is not the first of v"
TWO = "one unlimited dimension; here"
REFUSED = [
    ("unlimited=lat", LATE),
    ("unlimited=lat&variables=v&time=1:4", LATE),
    ("unlimited=time,lat", f"{TWO} time, lat would be"),
]
FORMS = ["", "&cdf5=true", "&history=true"]


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Stores with and without values, in both versions of Zarr."""
    folder, stores = tmp_path_factory.mktemp("stores"), dict[str, Path]()
    for name, labels in LABELS.items():
        for version in (2, 3):
            for kind, time, lat in (("", 5, 4), ("_late", 5, 0), ("_none", 0, 0), ("_new", 0, 4)):
                ds = xr.Dataset({"v": (("time", "lat"), np.zeros((time, lat), "f4"))})
                ds["v"].encoding = {"chunks": (2, 4)}
                ds = ds.assign_coords(label=("lat", labels[:lat]), other=("four", labels))
                key = f"{name}{version}{kind}"
                stores[key] = folder / f"{key}.zarr"
                ds.to_zarr(stores[key], zarr_format=version, consolidated=version == 2)
    return serve(stores)


def refused(service: Service, path: str, reason: str) -> None:
    """Alike by each method, and where it is only explained."""
    answer = service.get(path)
    assert answer.status_code == 406, answer.text
    assert reason in answer.json()["detail"]
    assert service.client.head(path).status_code == 406
    assert service.get(f"{path}&explain=true").status_code == 406


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize(("asked", "reason"), REFUSED)
def test_what_cannot_grow_is_refused(
    service: Service, name: str, version: int, asked: str, reason: str
) -> None:
    for form in FORMS:
        refused(service, f"/datasets/{name}{version}/isel.nc3?{asked}{form}", reason)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("name", LABELS)
def test_what_has_no_length_is_refused_where_it_cannot_grow(
    service: Service, name: str, version: int
) -> None:
    for form in FORMS:
        both = f"{TWO} time, lat would be"
        refused(service, f"/datasets/{name}{version}_late/isel.nc3?{form[1:]}", LATE)
        refused(service, f"/datasets/{name}{version}_late/isel.nc3?unlimited=time{form}", both)
        refused(service, f"/datasets/{name}{version}_none/isel.nc3?{form[1:]}", both)


@pytest.mark.parametrize("name", LABELS)
def test_what_can_grow_is_sent(service: Service, name: str) -> None:
    asked = (
        f"{name}2/isel.nc3?unlimited=time",
        f"{name}2/isel.nc3?unlimited=lat&time=0",
        f"{name}2/isel.nc3?unlimited=lat&variables=label",
        f"{name}2_new/isel.nc3?unlimited=time",
        f"{name}2_new/isel.nc3?cdf5=true",
        f"{name}3_late/isel.nc3?time=0",
    )
    for path in asked:
        for method in ("GET", "HEAD"):
            found = service.client.request(method, f"/datasets/{path}")
            assert found.status_code == 200, (method, path)
        assert service.get(f"/datasets/{path}&explain=true").status_code == 200


def test_a_dimension_that_is_not_there_is_told_first(service: Service) -> None:
    assert service.get("/datasets/texts2/isel.nc3?unlimited=lat,x").status_code == 400
