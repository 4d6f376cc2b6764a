"""Tensors and npy files: other readers find the values, whatever their types; packing is exact."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from sluice.encoders.answer_schema import UnreadAnswer
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.jsonable import array_to_jsonable, json_text
from sluice.encoders.netcdf_names import FileNames
from sluice.errors import NotAcceptable, QueryError, SelectionError
from tests.encoders.samples import DTYPES, cells, datasets
from tests.encoders.test_csv_encoder import Plan

BIN, NPY = ENCODERS["bin"], ENCODERS["npy"]
UNITS = {"seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "F16": 2, "U32": 4, "I32": 4, "F32": 4}
NUMBERS = ["u1", "i2", ">i2", "u8", "i8", "f2", "f4", ">f4", "f8"]


def header_of(content: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("<Q", content[:8])
    found: dict[str, Any] = json.loads(content[8 : 8 + length])
    assert (8 + length) % 8 == 0
    return found


def told_of(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(header_of(content)["__metadata__"]["dataset"])
    return found


def packed(pack: str, ends: tuple[float, float] | None = None) -> Encoder:
    options: list[tuple[str, object]] = [("pack", pack)]
    return adapted(BIN, tuple(options + ([("range", ends)] if ends else [])))


def decoded(values: np.ndarray[Any, Any], told: dict[str, Any]) -> np.ndarray[Any, Any]:
    """What a page makes of an array by what is told of it."""
    if "parts" in told:
        return np.asarray(values[..., 0] + 1j * values[..., 1])
    if "units" in told:
        word, _, since = told["units"].partition(" since ")
        return values.view(f"{'M' if since else 'm'}8[{UNITS[word]}]")
    return values


@given(dataset=datasets())
@settings(deadline=None, max_examples=100)
def test_other_readers_find_every_value(dataset: xr.Dataset) -> None:
    """Any dtype, shape and attributes: values, dimensions and coordinates are those of xarray."""
    content = BIN.encode(dataset)
    arrays, told = load(content), told_of(content)
    assert told["coords"] == [str(name) for name in dataset.variables if name in dataset.coords]
    assert list(told["variables"]) == [str(name) for name in dataset.variables]
    for name, variable in dataset.variables.items():
        one = told["variables"][str(name)]
        assert one["dims"] == list(variable.dims)
        if "data" in one:
            assert one["data"] == json.loads(json_text(array_to_jsonable(variable.values)))
        else:
            np.testing.assert_array_equal(decoded(arrays[str(name)], one), variable.values)
        assert ("data" in one) == (variable.dtype.kind in "OUSV")


@given(dataset=datasets())
@settings(deadline=None, max_examples=50)
def test_every_array_is_aligned(dataset: xr.Dataset) -> None:
    """Each begins at a multiple of its own type's size, as JavaScript wants it; no byte is lost."""
    content = BIN.encode(dataset)
    header = header_of(content)
    first = 8 + struct.unpack("<Q", content[:8])[0]
    places = []
    for name, one in header.items():
        if name != "__metadata__":
            start, stop = one["data_offsets"]
            assert (first + start) % SIZES.get(one["dtype"], 8) == 0
            places.append((start, stop))
    ends = [0]
    for start, stop in sorted(places):
        assert start == ends[-1]
        ends.append(stop)
    assert first + ends[-1] == len(content)
    assert b"".join(bytes(piece) for piece in BIN.pieces(dataset)) == content


def test_names_are_distinct_and_none_is_the_layouts_own() -> None:
    dataset = xr.Dataset({"__metadata__": 1.0, "\ud800": 2.0, "?": 3.0, 5: 4.0})
    content = BIN.encode(dataset)
    found = {name: float(values) for name, values in load(content).items()}
    assert sorted(found.values()) == [1.0, 2.0, 3.0, 4.0]
    assert set(told_of(content)["variables"]) == set(found)


@pytest.mark.parametrize("pack", ["u1", "i2"])
@pytest.mark.parametrize("ends", [None, (-20.0, 30.0)])
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_packed_numbers_are_within_half_a_step(
    pack: str, ends: tuple[float, float] | None, data: st.DataObject
) -> None:
    """What is in the range is found again, what is outside becomes an end, missing is missing."""
    dtype = data.draw(st.sampled_from(NUMBERS))
    values = data.draw(cells(dtype, (3, 4)))
    numbers = values.astype("f8")
    assume(not (np.abs(numbers[np.isfinite(numbers)]) > 1e300).any())
    content = packed(pack, ends).encode(xr.Dataset({"v": (("a", "b"), values)}, {"a": [1.5, 2, 3]}))
    told, stored = told_of(content)["variables"]["v"], load(content)["v"]
    assert stored.dtype == pack
    missing = np.isnan(numbers)
    np.testing.assert_array_equal(stored == told["missing"], missing)
    assert told["missing"] == {"u1": 255, "i2": -32768}[pack]
    low, high = ends or (0.0, 1.0)
    if ends is None and np.isfinite(numbers).any():
        finite = numbers[np.isfinite(numbers)]
        low, high = finite.min(), finite.max()
    with np.errstate(over="ignore", invalid="ignore"):
        read = told["offset"] + told["scale"] * stored[~missing].astype("f8")
        error = np.abs(read - np.clip(numbers[~missing], low, high))
    tiny = 1e-9 * max(abs(low), abs(high), 1e-300)
    assert (error <= told["scale"] * 0.5 + tiny).all()
    np.testing.assert_array_equal(load(content)["a"], [1.5, 2, 3])


MOST = float(np.finfo("f8").max)


@pytest.mark.parametrize("pack", ["u1", "i2"])
@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1e-320, 2e-320),
        (0.0, 5e-324),
        (0.0, 1e-318),
        (-1e-310, 3e-308),
        (-MOST / 4, MOST / 4),
        (0.0, MOST / 2),
        (1e16, 1e16 + 20),
        (-1.0, -1.0),
    ],
)
@pytest.mark.parametrize("told_range", [True, False])
def test_packed_numbers_can_be_computed_at_the_ends_of_floats(
    pack: str, low: float, high: float, told_range: bool
) -> None:
    """By the formula of the docs, to half a step, and to the last digits of the numbers."""
    values = np.array([low, low / 2 + high / 2, high]).clip(low, high)
    ends = (low, high) if told_range and low < high else None
    content = packed(pack, ends).encode(xr.Dataset({"v": ("a", values)}))
    told, stored = told_of(content)["variables"]["v"], load(content)["v"].astype("f8")
    read = told["offset"] + told["scale"] * stored
    spacing = 2 * np.spacing(max(abs(low), abs(high)))
    assert (np.abs(read - values) <= told["scale"] / 2 + spacing).all()
    assert (told["scale"] > 0) == (low < high)


@pytest.mark.parametrize("pack", ["u1", "i2"])
def test_a_range_too_wide_to_be_computed_with_is_refused(pack: str) -> None:
    """Told before anything is read where it is asked for; else once the values are there."""
    with pytest.raises(SelectionError, match="smaller range"):
        packed(pack, (-MOST, MOST))
    dataset = xr.Dataset({"v": ("a", [-MOST, MOST])})
    with pytest.raises(SelectionError, match="smaller range"):
        packed(pack).encode(dataset)


def test_packing_as_floats_leaves_what_is_no_number() -> None:
    times = np.array(["2024-01-01", "NaT"], "M8[s]")
    dataset = xr.Dataset({"v": ("a", [1, 2]), "w": ("a", [True, False]), "t": ("a", times)})
    found = load(packed("f4").encode(dataset))
    assert {name: str(values.dtype) for name, values in found.items()} == {
        "v": "float32",
        "w": "bool",
        "t": "int64",
    }


@pytest.mark.parametrize("options", [{"range": (1.0, 2.0)}, {"pack": "f4", "range": (1.0, 2.0)}])
def test_a_range_without_steps_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(QueryError) as caught:
        adapted(BIN, tuple(options.items()))
    assert caught.value.facts["parameter"] == "range"


def test_too_much_text_is_refused_before_it_is_read() -> None:
    many = xr.Dataset({"names": ("a", np.zeros(2**20 + 1, "S1"))})
    wide = xr.Dataset({"names": ("a", np.zeros(2**10, "U10000"))})
    for dataset in (many, wide):
        with pytest.raises(SelectionError, match="variables="):
            BIN.check(Plan(dataset))
    long = np.array(["x" * 2**20] * 40, object)
    with pytest.raises(SelectionError, match="f=netcdf"):
        BIN.encode(xr.Dataset({"names": ("a", long)}))


@pytest.mark.parametrize("dtype", [kind for kind in DTYPES if kind not in ("O", "cftime")])
@given(data=st.data())
@settings(deadline=None, max_examples=10)
def test_numpy_loads_one_variable(dtype: str, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from([(), (0,), (3,), (2, 3), (1, 0, 2)]))
    values = data.draw(cells(dtype, shape))
    dims = tuple("abc"[: values.ndim])
    found = np.load(io.BytesIO(NPY.encode(xr.Dataset({"v": (dims, values)}, {"where": "here"}))))
    np.testing.assert_array_equal(found, values)
    assert found.dtype == values.dtype.newbyteorder("<")
    assert found.flags.c_contiguous


def test_npy_holds_one_variable_and_no_objects() -> None:
    two = xr.Dataset({"t": 1.0, "u": 2.0}, {"x": [1.0]})
    with pytest.raises(SelectionError, match="variables=t") as caught:
        NPY.check(Plan(two))
    assert caught.value.facts["known"] == ["t", "u"]
    # Without a data variable, the one coordinate.
    assert np.load(io.BytesIO(NPY.encode(two.drop_vars(["t", "u"])))).tolist() == [1.0]
    with pytest.raises(NotAcceptable, match="ask for json"):
        NPY.check(Plan(xr.Dataset({"t": ("a", np.array(["a"], object))})))
    with pytest.raises(SelectionError):
        NPY.check(Plan(xr.Dataset()))


@pytest.mark.parametrize("pack", ["u1", "i2"])
@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_the_length_of_packed_numbers_follows_from_none_of_them(
    pack: str, data: st.DataObject
) -> None:
    """So it can be told before they are read."""
    encoder = packed(pack)
    assert encoder.sized is not None
    lengths = set()
    for _ in range(2):
        values = data.draw(cells("f8", (3, 4)))
        assume(not (np.abs(values[np.isfinite(values)]) > 1e300).any())
        dataset = xr.Dataset({"v": (("a", "b"), values), "w": ("a", values[:, 0])})
        lengths.add(len(encoder.encode(dataset)))
    coords, names = set(dataset.coords), FileNames.of(dataset)
    unread = UnreadAnswer(dataset.variables, {}, coords, {}, names, lambda *_: None)
    assert lengths == {encoder.sized.content(unread).size}
