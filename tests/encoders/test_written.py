"""What is written once changes no byte of an answer."""

from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

from app.encoders.to_json import encode_json
from app.encoders.written import Written
from tests.encoders.samples import datasets


@pytest.fixture
def dataset() -> xr.Dataset:
    """A grid of numbers and times whose attributes are of every kind that a store can hold."""
    attrs = {"units": "K", "range": [0, 1.5], "nested": {"a": None}, "big": 2**70, "odd": "\ud800"}
    return xr.Dataset(
        {"t": (("time", "x"), np.arange(6.0).reshape(3, 2), attrs)},
        coords={
            "time": ("time", xr.date_range("2020", periods=3), {"axis": "T"}),
            "x": ("x", np.array([0.1, 0.2], "f4"), {"units": "m"}),
            "area": (("time", "x"), np.ones((3, 2))),
        },
        attrs={"title": "T", "history": float("nan")},
    )


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(datasets())
def test_any_answer_is_the_same_with_it(drawn: xr.Dataset) -> None:
    """The first answer, which writes the labels, and the second, which finds them written."""
    written = Written(drawn)
    expected = encode_json(drawn)
    assert [encode_json(drawn, written) for _ in range(2)] == [expected] * 2


def test_parts_of_a_dataset_are_the_same_with_it(dataset: xr.Dataset) -> None:
    """Whole axes, parts of them, scalars, and variables that were left out."""
    written = Written(dataset)
    parts = [dataset, dataset.isel(time=0), dataset.isel(x=[1]), dataset[["time"]], dataset.copy()]
    for part in [*parts, *parts]:
        assert encode_json(part, written) == encode_json(part)


def test_changed_labels_and_attributes_are_written_anew(dataset: xr.Dataset) -> None:
    """Another attribute, another label under the same name: nothing old is answered."""
    written = Written(dataset)
    encode_json(dataset, written)
    moved = dataset.assign_coords(x=dataset.x + 360).assign_attrs(title="U")
    moved["t"].attrs["units"] = "degC"
    del moved["time"].attrs["axis"]
    assert encode_json(moved, written) == encode_json(moved)
    document = json.loads(encode_json(moved, written))
    assert document["attrs"]["title"] == "U"
    assert document["data_vars"]["t"]["attrs"]["units"] == "degC"


def test_whole_axes_and_attributes_are_written_once(dataset: xr.Dataset) -> None:
    """The same text is handed out again, for the same labels and for equal attributes."""
    written = Written(dataset)
    first = written.values("time", dataset.variables["time"])[1]
    assert isinstance(first, orjson.Fragment)
    assert written.values("time", dataset.variables["time"].copy(deep=False))[1] is first
    assert written.values("time", dataset.copy(deep=True).variables["time"])[1] is not first
    attrs = written.attributes("t", dict(dataset["t"].attrs))
    assert isinstance(attrs, orjson.Fragment)
    assert written.attributes("t", dict(dataset["t"].attrs)) is attrs
