"""A million labels: what is told of them stays short, whatever is asked."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from tests.blackbox.conftest import Serve, Service

LABELS = 1_000_000
LONGEST = 10_000


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    store: Path = tmp_path_factory.mktemp("long") / "hourly.zarr"
    hours = np.datetime64("1900-01-01", "ns") + np.arange(LABELS) * np.timedelta64(1, "h")
    coords = {"time": hours, "x": np.arange(LABELS, dtype="i4"), "y": np.arange(1001) ** 2}
    data = {"one": (("time",), np.zeros(LABELS, "i1")), "two": (("x",), np.zeros(LABELS, "i1"))}
    ds = xr.Dataset({**data, "three": (("y",), np.zeros(1001, "i1"))}, coords)
    ds.one.attrs["history"] = "h" * 2_000_000
    ds.to_zarr(store, zarr_format=3, consolidated=False)
    texts = tmp_path_factory.mktemp("texts") / "texts.zarr"
    named(texts)
    return serve({"hourly": store, "texts": texts})


def named(store: Path) -> None:
    """Few labels, which are long; and as many that are short."""
    long = np.array([f"{n:04}{'x' * 8000}" for n in range(1000)], dtype=np.dtypes.StringDType())
    wide = np.array([f"{n:04}" for n in range(999)] + ["y" * 8000])
    one = np.array(["z" * 100_000], dtype=np.dtypes.StringDType())
    coords = {"long": long, "wide": wide, "one": one}
    data = {f"of_{n}": ((n,), np.zeros(v.size, "i1")) for n, v in coords.items()}
    with warnings.catch_warnings():
        # zarr warns of texts of a fixed width, which the specification lacks.
        warnings.simplefilter("ignore")
        xr.Dataset(data, coords).to_zarr(store, zarr_format=3, consolidated=False)


def test_an_explanation_tells_a_long_axis_by_its_ends(service: Service) -> None:
    answer = service.get("/datasets/hourly/sel?variables=one&explain=true")
    assert len(answer.content) < LONGEST
    time = answer.json()["coords"]["time"]
    assert time == {
        "dims": ["time"], "dtype": "datetime64[ns]", "size": LABELS, "step": "PT1H",
        "first": "1900-01-01T00:00:00Z", "last": "2014-01-29T15:00:00Z",
    }  # fmt: skip
    assert answer.json()["dims"] == {"time": LABELS}


def test_the_bound_is_a_thousand_labels(service: Service) -> None:
    def told(of: str) -> dict[str, object]:
        found: dict[str, object] = service.get(f"/datasets/hourly/isel?{of}&explain=true").json()
        return found["coords"]  # type: ignore[return-value]

    assert len(told("variables=three&y=0:1000")["y"]["data"]) == 1000  # type: ignore[index]
    y = told("variables=three&y=::-1")["y"]
    assert y == {
        "dims": ["y"], "dtype": "int64", "size": 1001, "first": 1_000_000, "last": 0, "step": None,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "size"), [("long", 1000), ("one", 1)])
def test_long_labels_are_told_by_their_ends(service: Service, name: str, size: int) -> None:
    """However few they are, and themselves not in whole."""
    answer = service.get(f"/datasets/texts/isel?variables=of_{name}&explain=true")
    assert len(answer.content) < LONGEST
    told = answer.json()["coords"][name]
    assert told["size"] == size
    assert told["step"] is None
    data = service.get(f"/datasets/texts/isel?variables=of_{name}").json()["coords"][name]["data"]
    assert (told["first"], told["last"]) == (f"{data[0][:1000]}...", f"{data[-1][:1000]}...")


def test_short_labels_beside_a_long_one_are_all_told(service: Service) -> None:
    """A fixed width is not what they take in an answer."""
    answer = service.get("/datasets/texts/isel?variables=of_wide&explain=true").json()
    assert answer["coords"]["wide"]["data"][998:] == ["0998", "y" * 8000]


def test_points_by_the_thousand_are_short_too(service: Service) -> None:
    places = list(range(5000))
    body = {"time": places, "x": places, "pointwise": ["time", "x"], "explain": True}
    answer = service.client.post("/datasets/hourly/isel", json=body)
    assert answer.status_code == 200, answer.text[:300]
    assert len(answer.content) < LONGEST
    assert answer.json()["coords"]["x"]["size"] == 5000


def test_a_description_is_the_same_whoever_asks_and_when(service: Service) -> None:
    first, again = (service.get("/datasets/hourly") for _ in range(2))
    assert first.content == again.content
    assert len(first.content) < 2_000_000 + LONGEST
    assert first.json()["coords"]["time"]["max"] == "2014-01-29T15:00:00Z"
    assert first.json()["data_vars"]["one"]["attrs"]["history"] == "h" * 2_000_000
    assert first.headers["content-type"] == "application/json"
    assert service.client.head("/datasets/hourly").headers["content-length"] == str(
        len(first.content)
    )
