"""Arrays of any dtype and any stored encoding, in every reader of NetCDF."""

from __future__ import annotations

import asyncio
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sluice.concurrency import CancelToken
from sluice.encoders.formats import ENCODERS
from sluice.encoders.netcdf_encoder import encode_netcdf
from sluice.errors import NotAcceptable
from sluice.labels import format_text
from tests.encoders.readers import by_both_engines, in_c

NUMBERS = ["f2", "f4", "f8", ">f4", "g", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", "?"]
CALENDARS = ["standard", "proleptic_gregorian", "noleap", "360_day", "julian", "all_leap"]
SPANS = {"W": 10**4, "D": 10**5, "h": 10**6, "m": 10**8, "s": 9 * 10**9}
SPANS |= {"ms": 9 * 10**12, "us": 9 * 10**15, "ns": 2**62}
numbers = st.one_of(
    st.integers(-300, 300),
    st.sampled_from(
        [
            0,
            1,
            255,
            -128,
            -32768,
            65535,
            -(2**63),
            2**64 - 1,
            0.5,
            0.1,
            np.nan,
            np.inf,
            1e30,
            1e-300,
        ]
    ),
    st.sampled_from([np.float32(0.01), np.int16(-9), np.array([3]), np.array(2.5), "x", None]),
)
UNITS = ["days since 2000-01-01", "hours since 1900-01-01 06:00", "seconds since 1970-01-01"]
UNITS += ["months since 2000-01-01", "weeks since 1900-1-1", "common_years since 2000-01-01"]
UNITS += ["days since 2000-01-01 00:00:00 +01:00", "days", "hours", "K"]
encodings = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(
            [np.dtype(d) for d in ("i1", ">i2", "i8", "u1", "u4", "f4", "f2", "S1", "O", "M8[ns]")]
        ),
        "scale_factor": numbers,
        "add_offset": numbers,
        "_FillValue": numbers,
        "missing_value": numbers,
        "_Unsigned": st.sampled_from(["true", "false", True, "x"]),
        "units": st.one_of(st.sampled_from(UNITS), st.just(3)),
        "calendar": st.one_of(st.sampled_from([*CALENDARS, "none", "x"]), st.just(3)),
        "coordinates": st.just("a b"),
        "char_dim_name": st.just("c"),
        "_Encoding": st.just("utf-8"),
    },
)
modestly = settings(
    deadline=None, max_examples=50, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)


def variable(values: np.ndarray[Any, Any], encoding: dict[str, Any]) -> xr.Dataset:
    """One variable as it comes out of a store."""
    return xr.Dataset({"v": xr.Variable("x", values, {}, encoding)})


def read_by_all(dataset: xr.Dataset, **options: Any) -> list[np.ndarray[Any, Any]]:
    """The values in both engines of xarray, after the C library's own reader had them."""
    content = encode_netcdf(dataset)
    with in_c(content) as file:
        assert file["v"].shape[:1] == dataset.v.shape
    return [found.v.values for found in by_both_engines(content, **options)]


@given(st.sampled_from(NUMBERS), encodings, st.data())
@modestly
def test_numbers(dtype: str, encoding: dict[str, Any], data: st.DataObject) -> None:
    """Any numbers come back to the bit in their dtype, whatever packing the store claims."""
    elements = st.floats().map(np.longdouble) if dtype == "g" else None
    values = data.draw(npst.arrays(dtype, st.integers(0, 4), elements=elements))
    expected = values.astype({"f2": "f4", "g": "f8"}.get(dtype, values.dtype.newbyteorder("=")))
    for found in read_by_all(variable(values, encoding)):
        np.testing.assert_array_equal(found, expected, strict=True)


@pytest.mark.parametrize("extra", [{"scale_factor": np.float32(0.5)}, {"add_offset": 3.0}, {}])
@pytest.mark.parametrize("fill", [{"_FillValue": -1}, {"missing_value": 3}, {}])
@pytest.mark.parametrize(("kind", "unsigned"), [("i1", "true"), ("i2", "true"), ("u1", "false")])
def test_packed_under_the_other_sign(
    kind: str, unsigned: str, fill: dict[str, int], extra: dict[str, Any]
) -> None:
    """Where `_Unsigned` gives a store's integers the other sign, it does so in the file."""
    stored = np.array([1, 2, 3, -1]).astype(kind)
    fills = {name: np.array(number).astype(kind)[()] for name, number in fill.items()}
    attrs = {"_Unsigned": unsigned, **fills, **extra}
    decoded = xr.decode_cf(xr.Dataset({"v": ("x", stored, attrs)})).load()
    content = encode_netcdf(decoded)
    for found in by_both_engines(content, decode_cf=False):
        np.testing.assert_array_equal(found.v.values, stored, strict=True)
        assert found.v.attrs == attrs
    for found in by_both_engines(content):
        np.testing.assert_array_equal(found.v.values, decoded.v.values, strict=True)


@given(st.sampled_from(list(SPANS)), encodings, st.data())
@modestly
def test_instants(unit: str, encoding: dict[str, Any], data: st.DataObject) -> None:
    """Instants of every unit come back, NaT too, to a reader that asks for their resolution."""
    span = SPANS[unit]
    ticks = st.one_of(
        st.integers(-span, span), st.integers(-5, 5).map(lambda n: n * (span // 1000))
    )
    elements = st.one_of(ticks, st.just(np.iinfo("i8").min))
    counts = data.draw(npst.arrays("i8", st.integers(0, 4), elements=elements))
    dataset = variable(counts.view(f"M8[{unit}]"), encoding)
    expected = dataset.v.values
    resolution: Any = np.datetime_data(expected.dtype)[0]
    coder = xr.coders.CFDatetimeCoder(time_unit=resolution)
    for found in read_by_all(dataset, decode_times=coder):
        assert found.dtype.kind == "M" or not expected.size
        np.testing.assert_array_equal(found.astype(expected.dtype), expected)


@given(st.sampled_from(list(SPANS)), encodings, st.data())
@modestly
def test_durations(unit: str, encoding: dict[str, Any], data: st.DataObject) -> None:
    """Durations of every unit come back in their dtype, NaT too."""
    elements = st.one_of(st.integers(-SPANS[unit], SPANS[unit]), st.just(np.iinfo("i8").min))
    counts = data.draw(npst.arrays("i8", st.integers(1, 4), elements=elements))
    dataset = variable(counts.view(f"m8[{unit}]"), encoding)
    for found in read_by_all(dataset):
        np.testing.assert_array_equal(found, dataset.v.values, strict=True)


@pytest.mark.parametrize(
    ("seconds", "encoding", "stored"),
    [
        ([60, 10**9, -1], {"missing_value": [1, 2]}, "i8"),
        ([60, 120], {"scale_factor": 60}, "i8"),
        ([3600, None], {"dtype": np.dtype("i2"), "add_offset": 1}, "i8"),
        ([10**9, 2 * 10**9], {"dtype": np.dtype("f8")}, "f8"),
        ([10**9, None], {"dtype": np.dtype("f4")}, "f4"),
        ([86_400, None], {"dtype": np.dtype("i4"), "_FillValue": 5}, "i4"),
        ([70_000], {"dtype": np.dtype("i2"), "_FillValue": 5}, "i8"),
    ],
)
@pytest.mark.parametrize(("unit", "ticks"), [("s", 1), ("ms", 10**3), ("ns", 10**9)])
def test_durations_keep_the_units_of_the_store(
    seconds: list[int | None], encoding: dict[str, Any], stored: str, unit: str, ticks: int
) -> None:
    """Long or short: what a store counts in seconds is in seconds in a file."""
    nat = np.iinfo("i8").min
    counts = [nat if number is None else number * ticks for number in seconds]
    dataset = variable(np.array(counts).view(f"m8[{unit}]"), {"units": "seconds", **encoding})
    for found in by_both_engines(encode_netcdf(dataset), decode_cf=False):
        assert (found.v.attrs["units"], found.v.dtype.str[1:]) == ("seconds", stored)
    for read in read_by_all(dataset):
        np.testing.assert_array_equal(read, dataset.v.values, strict=True)


def test_fractions_keep_the_units_of_the_store() -> None:
    """Halves of a second that a store packs are seconds in a file, and read back."""
    halves = np.array([500, 2500, np.iinfo("i8").min]).view("m8[ms]")
    packing = {"units": "seconds", "dtype": np.dtype("i2"), "scale_factor": 0.5}
    dataset = variable(halves, packing)
    for found in by_both_engines(encode_netcdf(dataset), decode_cf=False):
        assert found.v.attrs["units"] == "seconds"
        np.testing.assert_array_equal(found.v.values, [0.5, 2.5, np.nan])
    for read in read_by_all(dataset):
        np.testing.assert_array_equal(read, halves, strict=True)


@given(st.sampled_from(CALENDARS), encodings, st.data())
@modestly
def test_calendar_dates(calendar: str, encoding: dict[str, Any], data: st.DataObject) -> None:
    """Dates of every calendar come back to the microsecond, centuries apart too."""
    dates = st.builds(
        lambda *fields: cftime.datetime(*fields, calendar=calendar),
        *(st.integers(1, 9000), st.integers(1, 12), st.integers(1, 28), st.integers(0, 23)),
        *(st.sampled_from([0, 59]), st.just(0), st.sampled_from([0, 1, 500_000])),
    )
    values = np.array(data.draw(st.lists(dates, min_size=1, max_size=4)), dtype=object)
    coder = xr.coders.CFDatetimeCoder(use_cftime=True)
    for found in read_by_all(variable(values, encoding), decode_times=coder):
        assert found.tolist() == values.tolist()
        assert {date.calendar for date in found} == {calendar}


@given(st.sampled_from("UOTS"), encodings, st.data())
@modestly
def test_text(kind: str, encoding: dict[str, Any], data: st.DataObject) -> None:
    """Text and bytes come back; what is missing is empty, NUL U+FFFD, what is no UTF-8 marked."""
    letters = {"S": st.binary(max_size=3), "O": st.text("ab\0 é☃\ud800\n", max_size=3) | st.none()}
    words = letters.get(kind, st.text("ab é☃\n", max_size=3))
    items: list[Any] = data.draw(st.lists(words, max_size=4))
    dtype: Any = {"O": object, "T": np.dtypes.StringDType(), "U": "U3", "S": "S3"}[kind]
    values = np.array(items, dtype=dtype)
    texts = [format_text(item or "").replace("\0", "\ufffd") for item in items if kind != "S"]
    expected = values.tolist() if kind == "S" else texts
    if kind == "O" and items == [None] * len(items):
        # Nothing but the store's own type says what is missing here: no dates, which have units.
        encoding = {key: value for key, value in encoding.items() if key != "units"}
        if encoding.get("dtype") == "S1":
            expected = [b""] * len(items)
    for found in read_by_all(variable(values, encoding)):
        assert found.tolist() == expected


@pytest.mark.parametrize(
    ("items", "texts"),
    [
        ([1, 2**70, None], ["1", str(2**70), ""]),
        ([{"a": [1, np.nan]}, np.arange(2)], ['{"a":[1,null]}', "[0,1]"]),
        ([1j, True], ["[0.0,1.0]", "true"]),
        ([b"a", "b"], ["a", "b"]),
        ([cftime.DatetimeNoLeap(2000, 1, 1), "x"], ["2000-01-01T00:00:00", "x"]),
    ],
)
def test_objects_are_text(items: list[Any], texts: list[str]) -> None:
    """Objects that NetCDF has no type for are JSON text, never an error."""
    values = np.empty(len(items), dtype=object)
    values[:] = items
    for found in read_by_all(variable(values, {})):
        assert found.tolist() == texts


def test_structures_are_text() -> None:
    """Cells of several fields are JSON text."""
    for found in read_by_all(variable(np.array([(1, 2.5, b"a")], "i4,f8,S1"), {})):
        assert found.tolist() == ['[1,2.5,"a"]']


@given(st.sampled_from(["c8", "c16"]), encodings)
@modestly
def test_complex_numbers_are_refused(dtype: str, encoding: dict[str, Any]) -> None:
    """No encoding makes complex numbers anything but a refusal."""
    with pytest.raises(NotAcceptable):
        encode_netcdf(variable(np.zeros(2, dtype), encoding))


class CancelledAfter(CancelToken):
    """Work that is cancelled once its loops have looked so often."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def cancelled(self) -> bool:  # type: ignore[override]
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("name", ["netcdf", "netcdf3"])
@pytest.mark.parametrize(
    ("values", "loops"),
    [
        (["a", "bc", None] * 2000, 3),
        ([True, False, None] * 2000, 3),
        ([b"a", b"bc", None] * 2000, 3),
        ([1, 2.5, None, "a"] * 2000, 3),
    ],
)
def test_loops_over_values_that_decide_end_when_they_are_cancelled(
    name: str, values: list[object], loops: int
) -> None:
    """Each of the loops over all of them."""
    dataset = xr.Dataset({"v": ("x", np.array(values, dtype=object))})
    encoder, all_of_them = ENCODERS[name], CancelledAfter(10**6)
    expected = all_of_them.run(encoder.encode, dataset)
    looks = 10**6 - all_of_them.left
    # The first look is the token's own, before the work begins.
    assert looks - 1 > loops
    for after in range(looks):
        with pytest.raises(asyncio.CancelledError):
            CancelledAfter(after).run(encoder.encode, dataset)
    assert CancelledAfter(looks).run(encoder.encode, dataset) == expected
