"""JSON in the shape of to_dict, always valid; what is written once changes no byte of an answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sluice.encoders.json_encoder import FragmentCache, encode_json
from tests.encoders.samples import DTYPES, cells, datasets


def strict(text: bytes) -> Any:
    """The document, read by a parser that accepts nothing beyond JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text.decode(), parse_constant=refuse)


def data(values: Any, dtype: Any = None) -> Any:
    """What a variable of these values is written as."""
    array = np.asarray(values, dtype=dtype)
    variable = xr.Variable([f"d{n}" for n in range(array.ndim)], array)
    return strict(encode_json(xr.Dataset({"v": variable})))["data_vars"]["v"]["data"]


def test_shape_is_that_of_to_dict() -> None:
    """Names, dims, attributes and data are where to_dict puts them."""
    dataset = xr.Dataset(
        {"t": (("y", "x"), [[1.5, 2.0]], {"units": "K"})},
        coords={"x": ("x", [10, 20]), "station": ("x", ["a", "b"]), "height": 2.0},
        attrs={"title": "T"},
    )
    document = strict(encode_json(dataset))
    expected = dataset.to_dict()
    for group in ("coords", "data_vars"):
        for name, variable in expected[group].items():
            variable["dims"] = list(variable["dims"])
            variable["dtype"] = str(dataset[name].dtype)
    assert document == expected


def test_strings_of_any_width_have_a_dtype_that_reads_back() -> None:
    """NumPy's variable-width strings are called what NumPy itself understands."""
    values = np.array(["a", "long"], dtype=np.dtypes.StringDType())
    written = strict(encode_json(xr.Dataset({"v": ("x", values)})))["data_vars"]["v"]
    assert (written["dtype"], written["data"]) == ("str", ["a", "long"])
    assert np.array(written["data"], written["dtype"]).tolist() == ["a", "long"]


@pytest.mark.parametrize(
    ("values", "dtype", "written"),
    [
        ([0.1, np.nan, np.inf, -np.inf], "f8", [0.1, None, None, None]),
        ([0.1, np.nan], "f4", [0.1, None]),
        ([0.1, np.nan, np.inf, 6e4], "f2", [0.1, None, None, 60000.0]),
        (0.1, "f2", 0.1),
        (0.1, "f4", 0.1),
        (np.nan, "f8", None),
        ([0.1], ">f4", [0.1]),
        ([1], ">i2", [1]),
        ([2**64 - 1], "u8", [2**64 - 1]),
        (-(2**63), "i8", -(2**63)),
        ([True, False], "?", [True, False]),
        (True, "?", True),
        ([1 + 2j, complex(np.nan, np.inf)], "c16", [[1.0, 2.0], [None, None]]),
        (0.1j, "c8", [0.0, 0.1]),
        ([b"ab", b"\xff\xfe"], "S2", ["ab", "base64url:__4="]),
        (["é", "☃"], "U1", ["é", "☃"]),
        ("a", "U1", "a"),
        (["a", None, 3, {"k": np.float32(0.1)}], "O", ["a", None, 3, {"k": 0.1}]),
        ([[], []], "f8", [[], []]),
        ([], "M8[ns]", []),
        (["2020-01-01", "NaT"], "M8[ns]", ["2020-01-01T00:00:00Z", None]),
        ("2020-01-01T00:00:00.5", "M8[ns]", "2020-01-01T00:00:00.500Z"),
        (["1960-01-01T00:00:01", "2020-01-01"], "M8[s]", None),
        ("NaT", "M8[s]", None),
        ("12020-01-01", "M8[s]", "12020-01-01T00:00:00Z"),
        (["12020-01-01"], "M8[s]", ["12020-01-01T00:00:00Z"]),
        (["2020-01-01"], "M8[D]", ["2020-01-01T00:00:00Z"]),
        ([6, -36, 0], "m8[h]", ["PT6H", "-P1DT12H", "PT0S"]),
        ("NaT", "m8[ns]", None),
        ([90_500_000_001], "m8[ns]", ["PT1M30.500000001S"]),
    ],
)
def test_values(values: Any, dtype: str, written: Any) -> None:
    """Each dtype is written as the contract says."""
    if written is None and isinstance(values, list):
        written = [
            f"{text:T<11}00:00:00Z"[:20] if "T" not in text else text + "Z" for text in values
        ]
    assert data(values, dtype) == written


@pytest.mark.parametrize(
    ("fraction", "digits"),
    [("", ""), (".5", ".500"), (".000001", ".000001"), (".000000001", ".000000001")],
)
def test_fraction_digits(fraction: str, digits: str) -> None:
    """Fractions have 0, 3, 6 or 9 digits; an array has as many everywhere as one value needs."""
    texts = [f"2020-01-01T00:00:00{fraction}", "2020-01-01T00:00:00"]
    assert data(texts[0], "M8[ns]") == f"2020-01-01T00:00:00{digits}Z"
    padding = "." + "0" * (len(digits) - 1) if digits else ""
    assert data(texts, "M8[ns]") == [
        f"2020-01-01T00:00:00{digits}Z",
        f"2020-01-01T00:00:00{padding}Z",
    ]


def test_calendar_dates() -> None:
    """cftime dates are ISO 8601 without a zone."""
    dates = np.array([cftime.Datetime360Day(2020, 2, 30), cftime.Datetime360Day(2020, 3, 1, 6)])
    assert data(dates) == ["2020-02-30T00:00:00", "2020-03-01T06:00:00"]


def test_any_memory_layout() -> None:
    """Strided, Fortran-ordered and read-only arrays are written like any other."""
    values = np.arange(24.0).reshape(4, 6)
    for view in (values[::2, ::-3], values.T, np.broadcast_to(np.float32(1), (2, 2))):
        assert data(view) == view.tolist()


def test_floats_are_shortest() -> None:
    """A float32 is not written with the digits of a float64, and reads back as itself."""
    values = np.random.default_rng(0).random(1000, dtype="f4")
    text = encode_json(xr.Dataset({"v": ("x", values)}))
    assert max(len(number) for number in text.split(b"[")[-1].split(b",")) <= 18
    assert (np.array(strict(text)["data_vars"]["v"]["data"], "f4") == values).all()


def test_lone_surrogates_and_huge_integers() -> None:
    """What UTF-8 or 64 bits cannot hold is written all the same."""
    dataset = xr.Dataset(
        {"v": ("x", np.array(["\ud800", "ok"], dtype=object))},
        attrs={"big": 2**70, "bad\udfff": "\ud83d\ude00", "deep": [[2**64]]},
    )
    document = strict(encode_json(dataset))
    assert document["data_vars"]["v"]["data"] == ["base64url:7aCA", "ok"]
    assert document["attrs"] == {"big": 2**70, "bad\ufffd": "😀", "deep": [[2**64]]}


def test_cyclic_and_deep_attributes_end() -> None:
    """Nesting beyond any document's is cut, not followed."""
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    assert b"..." in encode_json(xr.Dataset(attrs={"a": cyclic}))


@given(datasets())
@settings(deadline=None)
def test_any_dataset_is_valid_json(dataset: xr.Dataset) -> None:
    """Whatever the dtypes, values and attributes, the document is valid and complete."""
    before = dataset.copy(deep=True)
    document = strict(encode_json(dataset))
    assert set(document["coords"]) == set(dataset.coords)
    assert set(document["data_vars"]) == set(dataset.data_vars)
    assert document["dims"] == dict(dataset.sizes)
    for name, variable in dataset.variables.items():
        written = (document["coords"] | document["data_vars"])[name]
        assert np.shape(np.array(written["data"], dtype=object)) == variable.shape
    assert list(dataset.attrs) == list(before.attrs)


def decoded(written: Any, dtype: np.dtype[Any]) -> Any:
    """One JSON value as a client turns it into a value of the dtype, missing ones as NaN or NaT."""
    match dtype.kind:
        case "f":
            return np.nan if written is None else written
        case "M":
            return np.datetime64("NaT" if written is None else written.rstrip("Z"), "ns")
        case "S":
            coded = written.removeprefix("base64url:")
            return written.encode() if coded == written else base64.urlsafe_b64decode(coded)
        case _ if isinstance(written, str) and written.startswith("base64url:"):
            coded = base64.urlsafe_b64decode(written.removeprefix("base64url:"))
            return coded.decode(errors="surrogatepass")
        case _:
            return written


@given(
    st.sampled_from([dtype for dtype in DTYPES if dtype != "cftime" and dtype[0] != "m"]),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    st.data(),
)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_values_come_back(dtype: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    """Read in its own dtype, an array of any shape equals what was written, to the bit."""
    values = np.asarray(data.draw(cells(dtype, shape)))
    variable = xr.Variable([f"d{n}" for n in range(values.ndim)], values)
    written = strict(encode_json(xr.Dataset({"v": variable})))["data_vars"]["v"]
    items = np.array(written["data"], dtype=object).reshape(shape).ravel().tolist()
    wanted = variable.values.ravel()
    if wanted.dtype.kind == "f":
        wanted = np.where(np.isinf(wanted), np.nan, wanted).astype(wanted.dtype)
    found = [decoded(item, wanted.dtype) for item in items]
    np.testing.assert_array_equal(np.array(found, dtype=wanted.dtype), wanted)


@given(dtype=st.sampled_from(["c8", "c16"]), drawn=st.data())
@settings(deadline=None, max_examples=100, derandomize=True)
def test_complex_numbers_come_back(dtype: str, drawn: st.DataObject) -> None:
    """Pairs of parts are the numbers; a part that JSON lacks is null."""
    values = drawn.draw(npst.arrays(dtype, st.integers(0, 4)))
    pairs = data(values)
    parts = np.array(pairs, dtype="f8").reshape(-1, 2).T if pairs else np.zeros((2, 0))
    for found, wanted in zip(parts, (values.real, values.imag), strict=True):
        finite = np.where(np.isinf(wanted), np.nan, wanted)
        np.testing.assert_array_equal(found.astype(finite.dtype), finite)


@given(st.sampled_from(["m8[s]", "m8[ms]", "m8[us]", "m8[ns]", "m8[h]", "m8[D]"]), st.data())
@settings(deadline=None, max_examples=100, derandomize=True)
def test_durations_come_back(dtype: str, data: st.DataObject) -> None:
    """Durations are ISO 8601 that pandas reads as the same time."""
    size = {"h": 3600, "D": 86400}.get(dtype[3:-1], 1)
    counts = data.draw(npst.arrays("i8", 4, elements=st.integers(-(10**9), 10**9)))
    values = (counts // size).view(dtype)
    texts = strict(encode_json(xr.Dataset({"v": ("x", values)})))["data_vars"]["v"]["data"]
    found = [pd.Timedelta(text).to_timedelta64() for text in texts]
    np.testing.assert_array_equal(np.array(found, "m8[ns]"), values.astype("m8[ns]"))


def test_lists_of_numbers_in_attributes_keep_each_of_them() -> None:
    """Whole numbers of any size stay exact, what is not finite is null, truths stay truths."""
    numbers = [1, 2.5, True, None, 2**70, 10**400, float("inf"), float("nan")]
    found = json.loads(encode_json(xr.Dataset(attrs={"a": numbers, "b": [numbers]})))["attrs"]
    expected = [1, 2.5, True, None, 2**70, 10**400, None, None]
    assert found == {"a": expected, "b": [expected]}


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
    written = FragmentCache(drawn)
    expected = encode_json(drawn)
    assert [encode_json(drawn, written, "a form") for _ in range(2)] == [expected] * 2


def test_answers_of_one_form_differ_in_values(dataset: xr.Dataset) -> None:
    """What is alike is written once; labels and values are each answer's own."""
    written = FragmentCache(dataset)
    parts = [dataset.isel(time=[n]) * 1 for n in range(3)]
    for part in (*parts, *parts):
        assert encode_json(part, written, "a form") == encode_json(part)


def test_answers_of_other_forms_are_written_anew(dataset: xr.Dataset) -> None:
    """Whole axes, parts of them, scalars, variables that were left out, forms that nobody knows."""
    written = FragmentCache(dataset)
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
    written = FragmentCache(dataset)
    assert written.template(dataset, 1) is written.template(dataset, 1)
    first = written.data("time", dataset.variables["time"])
    assert written.data("time", dataset.variables["time"].copy(deep=False)) is first
    again = written.data("time", dataset.copy(deep=True).variables["time"])
    assert again == first
    assert again is not first


def test_forms_without_number_take_bounded_memory(dataset: xr.Dataset) -> None:
    """Whoever asks for ever new forms is answered, and the kept ones are forgotten."""
    written = FragmentCache(dataset)
    for form in range(1000):
        assert written.template(dataset, form).end
    assert 0 < written._templates.held_bytes <= 4 * 2**20
