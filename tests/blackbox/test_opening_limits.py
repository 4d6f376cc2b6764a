"""Opening has limits: a few bytes of metadata that ask for gigabytes cost their own variable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service, check

LIMITS = {
    "SLUICE_STORE_METADATA_BYTES": "150000",
    "SLUICE_STORE_ATTRIBUTE_BYTES": "40000",
    "SLUICE_STORE_VARIABLES": "50",
    "SLUICE_STORE_COORDINATE_BYTES": "1000000",
    "SLUICE_STORE_COORDINATE_CHUNKS": "100",
}


def array(dims: list[str], shape: list[int], chunks: list[int], **more: Any) -> dict[str, Any]:
    """The document of a v3 array without a chunk."""
    return {
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": "int64",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0, "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "dimension_names": dims, "attributes": {}, **more,
    }  # fmt: skip


def write(folder: Path, arrays: dict[str, dict[str, Any]], *, together: bool = True) -> Path:
    """A v3 store of these documents, gathered in one or each on its own."""
    group: dict[str, Any] = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    if together:
        held = {"kind": "inline", "must_understand": False, "metadata": arrays}
        group["consolidated_metadata"] = held
    folder.mkdir(parents=True)
    (folder / "zarr.json").write_text(json.dumps(group))
    for name, document in arrays.items():
        (folder / name).mkdir()
        (folder / name / "zarr.json").write_text(json.dumps(document))
    return folder


SMALL = {"y": array(["y"], [3], [3]), "v": array(["y"], [3], [3])}
TIMES = {"units": "days since 2000-01-01"}
# One variable each that asks for too much, and the setting that its reason names.
LARGE = {
    "long": (array(["large"], [2**40], [2**20]), "COORDINATE_BYTES"),
    "chunked": (array(["large"], [3_000], [1]), "COORDINATE_CHUNKS"),
    "wide-chunk": (array(["large"], [2], [2**34]), "COORDINATE_BYTES"),
    "times": (array(["t", "u"], [9, 9], [2**17, 2**17], attributes=TIMES), "COORDINATE_BYTES"),
}
STORES = {
    "variables": {f"v{i}": array(["y"], [3], [3]) for i in range(60)},
    "attributes": {"v": array(["y"], [3], [3], attributes={"a": {"b": ["long " * 9000]}})},
    "metadata": {"v": array(["y"], [3], [3], attributes={"a": "x" * 160_000})},
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("large")
    found = {
        name: write(folder / name, {**SMALL, "large": one}) for name, (one, _) in LARGE.items()
    }
    for name, arrays in STORES.items():
        found[name] = write(folder / name, arrays)
        found[f"{name}-listed"] = write(folder / f"{name}-listed", arrays, together=False)
    texts = np.array(["t" * 20_000] * 60, dtype=object)
    ds = xr.Dataset({"v": ("large", np.arange(60))}, {"large": texts, "y": np.arange(3)})
    ds.to_zarr(folder / "texts", zarr_format=2, consolidated=True)
    return {**found, "texts": folder / "texts"}


@pytest.fixture(scope="module")
def service(serve: Serve, entries: dict[str, Path]) -> Service:
    return serve(entries, **LIMITS)


@pytest.mark.parametrize(
    ("store", "setting"),
    [*((name, setting) for name, (_, setting) in LARGE.items()), ("texts", "COORDINATE_BYTES")],
)
def test_what_asks_for_too_much_is_left_out_alone(
    service: Service, store: str, setting: str
) -> None:
    described = service.get(f"/datasets/{store}")
    assert described.status_code == 200, described.text
    reason = described.json()["unusable"]["large"]
    assert f"SLUICE_STORE_{setting} allows {LIMITS[f'SLUICE_STORE_{setting}']}" in reason
    assert f"SLUICE_STORE_{setting}" in service.log.read_text()
    answer = service.get(f"/datasets/{store}/isel?y=0&variables=y")
    assert answer.json()["coords"]["y"]["data"] == 0
    assert service.get(f"/datasets/{store}/isel?variables=large").status_code == 422


def test_the_dimension_of_a_coordinate_left_out_is_selected_by_position(service: Service) -> None:
    answer = service.get("/datasets/texts/sel?isel[large]=7&variables=v")
    assert answer.status_code == 200, answer.text
    assert answer.json()["data_vars"]["v"]["data"] == 7


@pytest.mark.parametrize("store", [*STORES, *(f"{name}-listed" for name in STORES)])
def test_a_store_that_is_too_large_says_so(
    service: Service, entries: dict[str, Path], store: str
) -> None:
    answer = service.get(f"/datasets/{store}")
    assert answer.status_code == 502
    assert answer.json()["type"] == "urn:sluice:problem:store-too-large"
    kind = store.removesuffix("-listed").removesuffix("s" * (not store.startswith("variables")))
    setting = {"variables": "VARIABLES", "attribute": "ATTRIBUTE_BYTES"}.get(kind, "METADATA_BYTES")
    assert f"SLUICE_STORE_{setting}" in service.log.read_text()


def test_dropped_variables_count_for_no_limit(serve: Serve, tmp_path: Path) -> None:
    """Of attributes and of variables: an entry that drops them is served what is left."""
    attributes = {"a": "x" * 30_000}
    heavy = {f"v{i}": array(["y"], [3], [3], attributes=attributes) for i in range(3)}
    entries: dict[str, Any] = {}
    for kind, large in (("heavy", heavy), ("many", STORES["variables"])):
        for together in (True, False):
            store = write(tmp_path / f"{kind}-{together}", {**large, **SMALL}, together=together)
            entries[store.name] = {"url": str(store)}
            entries[f"{store.name}-dropping"] = {"url": str(store), "drop_variables": list(large)}
    service = serve(entries, **LIMITS)
    for name in entries:
        if name.endswith("-dropping"):
            answer = service.get(f"/datasets/{name}/isel")
            assert answer.status_code == 200, answer.text
            assert list(answer.json()["data_vars"]) == ["v"]
        else:
            assert service.get(f"/datasets/{name}").status_code == 502


def test_check_names_the_setting(tmp_path: Path) -> None:
    large = write(tmp_path / "large", {**SMALL, "large": LARGE["long"][0]})
    many = write(tmp_path / "many", {f"v{i}": array(["y"], [3], [3]) for i in range(10_001)})
    found = check(tmp_path, {"large": large, "many": many})
    told = {one["dataset"]: str(one) for one in found if one["severity"] == "error"}
    warned = {one["dataset"]: str(one) for one in found if "SLUICE_STORE" in str(one)}
    assert "SLUICE_STORE_COORDINATE_BYTES" in warned["large"]
    assert "SLUICE_STORE_VARIABLES" in told["many"]
    assert "10001" in told["many"]


def test_a_million_hours_and_thousands_of_variables_pass(
    serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("real")
    hours = np.arange(1_000_000)
    ds = xr.Dataset(
        {"v": ("time", hours % 7)}, {"time": ("time", hours, {"units": "hours since 1940-01-01"})}
    )
    ds.to_zarr(folder / "hourly.zarr", zarr_format=2, consolidated=True)
    many = write(folder / "many", {f"v{i}": array(["y"], [3], [3]) for i in range(3000)})
    service = serve({"hourly": folder / "hourly.zarr", "many": many})
    answer = service.get("/datasets/hourly/sel?time=2020-01-01T00:00Z")
    assert answer.json()["data_vars"]["v"]["data"] == 701_280 % 7
    assert len(service.get("/datasets/many").json()["data_vars"]) == 3000
