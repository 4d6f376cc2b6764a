"""What is written once changes no byte of an answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings

from sluice.encoders.to_json import encode_json
from sluice.encoders.written import Written
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
    """The first answer of a form, which is written whole, and the second, which is filled in."""
    written = Written(drawn)
    expected = encode_json(drawn)
    assert [encode_json(drawn, written, "a form") for _ in range(2)] == [expected] * 2


def test_answers_of_one_form_differ_in_values(dataset: xr.Dataset) -> None:
    """What is alike is written once; labels and values are each answer's own."""
    written = Written(dataset)
    parts = [dataset.isel(time=[n]) * 1 for n in range(3)]
    for part in (*parts, *parts):
        assert encode_json(part, written, "a form") == encode_json(part)


def test_answers_of_other_forms_are_written_anew(dataset: xr.Dataset) -> None:
    """Whole axes, parts of them, scalars, variables that were left out, forms that nobody knows."""
    written = Written(dataset)
    parts = [
        dataset,
        dataset.isel(time=0),
        dataset.isel(x=[1]),
        dataset.isel(time=[0, 1]),
        dataset[["time"]],
        dataset.copy(),
    ]
    moved = dataset.assign_coords(x=dataset.x + 360).assign_attrs(title="U")
    moved["t"].attrs["units"] = "degC"
    for _ in range(2):
        for form, part in enumerate(parts):
            assert encode_json(part, written, form) == encode_json(part)
        assert encode_json(moved, written) == encode_json(moved)
    document = json.loads(encode_json(moved, written))
    assert document["attrs"]["title"] == "U"
    assert document["data_vars"]["t"]["attrs"]["units"] == "degC"


def test_frames_and_whole_axes_are_written_once(dataset: xr.Dataset) -> None:
    """The same text is handed out again: for an equal form, and for the same labels."""
    written = Written(dataset)
    assert written.frame(dataset, 1) is written.frame(dataset, 1)
    first = written.data("time", dataset.variables["time"])
    assert written.data("time", dataset.variables["time"].copy(deep=False)) is first
    again = written.data("time", dataset.copy(deep=True).variables["time"])
    assert again == first
    assert again is not first


def test_forms_without_number_take_bounded_memory(dataset: xr.Dataset) -> None:
    """Whoever asks for ever new forms is answered, and the kept ones are forgotten."""
    written = Written(dataset)
    for form in range(1000):
        assert written.frame(dataset, form).end
    assert 0 < written._frames.held_bytes <= 4 * 2**20
