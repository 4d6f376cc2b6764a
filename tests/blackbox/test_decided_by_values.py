"""NetCDF of what is no number: of a fixed size it streams, by its values it has a limit."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import xarray as xr
import zarr

from tests.blackbox.conftest import Serve, Service

SHAPE = (50, 300, 320)
# Files of less than 16 MiB are compressed where that is accepted.
PLAIN = {"Accept-Encoding": "identity"}
FIXED: dict[str, tuple[str, Any]] = {
    "bool": ("bool", False),
    "bytes": ("S3", b""),
    "instant": ("M8[s]", None),
    "duration": ("m8[ms]", None),
    "half": ("f2", 0),
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Stores of 4.8 million values of one type, a row of chunks in each tenth of which are there,
    and one of three texts.
    """
    folder = tmp_path_factory.mktemp("stores")
    numbers = np.arange(SHAPE[1] * SHAPE[2]).reshape(SHAPE[1:]) % 97
    for name, (dtype, fill) in {**FIXED, "text": ("<U4", "")}.items():
        group = zarr.open_group(folder / name, mode="w", zarr_format=2)
        array = group.create_array(
            "v", shape=SHAPE, chunks=(5, *SHAPE[1:]), dtype=dtype, fill_value=fill
        )
        array.attrs["_ARRAY_DIMENSIONS"] = ["time", "y", "x"]
        for row in range(0, SHAPE[0], 10):
            array[row] = numbers.astype("i8").astype(dtype)
        zarr.consolidate_metadata(group.store)
    texts = xr.Dataset({"s": ("x", np.array(["abc", "abcde", "abcd"]))})
    texts.to_zarr(folder / "three", mode="w", zarr_format=2)
    return {name: folder / name for name in (*FIXED, "text", "three")}


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, Path]) -> Service:
    """One server over all of them."""
    return serve(stores)


@pytest.mark.parametrize("name", FIXED)
def test_what_has_a_fixed_size_streams_with_a_length(
    service: Service, stores: dict[str, Path], name: str
) -> None:
    """Its length is told, a part can be had alone, and the file is what xarray reads."""
    path = f"/datasets/{name}/isel?f=netcdf"
    told = int(service.client.head(path, headers=PLAIN).headers["content-length"])
    content = service.get(path, headers=PLAIN).content
    assert len(content) == told
    part = service.get(path, headers={**PLAIN, "Range": f"bytes={told - 500}-"})
    assert part.status_code == 206
    assert part.content == content[-500:]
    with xr.open_zarr(stores[name]) as store, xr.open_dataset(io.BytesIO(content)) as file:
        found, wanted = file["v"].values[:12], store["v"].values[:12]
    if name == "bytes":
        wanted = np.where(wanted.astype(str) == "nan", b"", wanted).astype("S3")
    np.testing.assert_array_equal(found, wanted.astype(found.dtype))


@pytest.mark.parametrize("form", ["netcdf", "netcdf3"])
def test_what_values_decide_is_limited_before_it_is_read(service: Service, form: str) -> None:
    """The refusal names the variable, and a smaller part is answered."""
    refused = service.get(f"/datasets/text/isel?f={form}")
    assert refused.status_code == 413
    problem = refused.json()
    assert (problem["variable"], problem["limited"]) == ("v", "cells")
    assert problem["estimate"] == np.prod(SHAPE)
    assert "f=csv" in problem["detail"]
    assert service.client.head(f"/datasets/text/isel?f={form}").status_code == 413
    assert service.get(f"/datasets/text/isel?f={form}&time=0&y=0").status_code == 200


@pytest.mark.parametrize(("place", "text"), [(0, "abc"), (1, "abcde"), (2, "abcd")])
def test_a_lone_text_is_whole_in_netcdf3(service: Service, place: int, text: str) -> None:
    """Whatever its length is."""
    got = service.get(f"/datasets/three/isel?f=netcdf3&x={place}")
    assert got.status_code == 200, got.text
    with netCDF4.Dataset("answer", memory=got.content) as file:
        found = xr.open_dataset(xr.backends.NetCDF4DataStore(file)).load()
    assert found["s"].values.item() in (text, text.encode())
