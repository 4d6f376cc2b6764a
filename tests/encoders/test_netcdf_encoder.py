"""NetCDF-4 that xarray opens as the selection."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cftime
import numpy as np
import orjson
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.encoders.netcdf_encoder import NetcdfFile, encode_netcdf
from sluice.encoders.netcdf_names import FileNames
from sluice.encoders.netcdf_packing import file_form, store_values
from sluice.errors import NotAcceptable
from tests.encoders.readers import by_both_engines, in_c
from tests.encoders.samples import attributes, datasets


def reopened(dataset: xr.Dataset, **options: Any) -> xr.Dataset:
    """The dataset as a client has it after a download."""
    with xr.open_dataset(io.BytesIO(encode_netcdf(dataset)), engine="h5netcdf", **options) as found:
        return found.load()


def by_netcdf_c(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """The same through the C library, which reads files alone."""
    path.write_bytes(encode_netcdf(dataset))
    with xr.open_dataset(path, engine="netcdf4") as found:
        return found.load()


def packed(values: Any, kind: Any = "f8", **encoding: Any) -> xr.Dataset:
    """One variable with the encoding that an opened store leaves."""
    encoding |= {"chunks": (2,), "preferred_chunks": {"x": 2}, "compressors": None, "shards": None}
    array = np.asarray(values, dtype=kind)
    return xr.Dataset({"v": xr.Variable(["x"][: array.ndim], array, {"units": "K"}, encoding)})


@pytest.fixture
def cube() -> xr.Dataset:
    """A selection with packed data, times, text, and coordinates of every rank."""
    time = xr.Variable(
        "time",
        np.array(["2020-01-01T00", "2020-01-01T06"], "M8[ns]"),
        {"long_name": "time"},
        {"units": "hours since 1900-01-01", "calendar": "standard", "dtype": np.dtype("i4")},
    )
    dataset = xr.Dataset(
        {
            "t2m": xr.Variable(
                ("time", "lat"),
                np.array([[280.5, np.nan], [281.0, 282.5]]),
                {"units": "K", "cell_methods": "time: mean"},
                {
                    "dtype": np.dtype("i2"),
                    "scale_factor": 0.5,
                    "add_offset": 273.0,
                    "_FillValue": -32768,
                    "coordinates": "gone",
                },
            ),
            "flag": ("lat", np.array([True, False])),
        },
        coords={
            "time": time,
            "lat": ("lat", np.array([10.0, 20.0], "f4"), {"units": "degrees_north"}),
            "station": ("lat", np.array(["oslo", "ålesund"], dtype=object)),
            "lon": 13.5,
        },
        attrs={"title": "A cube", "version": 3, "bounds": [1.5, 2.5]},
    )
    return dataset.set_index({})


def test_equal_when_opened(cube: xr.Dataset, tmp_path: Path) -> None:
    """Both engines of xarray open what was selected: values, dtypes, attributes, coordinates."""
    for found in (reopened(cube), by_netcdf_c(cube, tmp_path / "cube.nc")):
        xr.testing.assert_equal(found, cube)
        assert set(found.coords) == set(cube.coords)
        for name in cube.variables:
            assert found[name].attrs == cube[name].attrs
            if name != "station":
                assert found[name].dtype == cube[name].dtype
        assert found.attrs["title"] == "A cube"
        assert list(found.attrs["bounds"]) == [1.5, 2.5]


def test_packed_as_the_store_packs(cube: xr.Dataset) -> None:
    """The file holds the store's integers, scale, offset, fill value and time units."""
    raw = reopened(cube, decode_cf=False)
    assert raw.t2m.dtype == np.dtype("i2")
    assert raw.t2m.values.tolist() == [[15, -32768], [16, 19]]
    assert (raw.t2m.attrs["scale_factor"], raw.t2m.attrs["add_offset"]) == (0.5, 273.0)
    assert raw.time.dtype == np.dtype("i4")
    assert raw.time.attrs["units"] == "hours since 1900-01-01"
    assert raw.time.values.tolist() == [1051896, 1051902]


def test_the_dataset_is_not_changed(cube: xr.Dataset) -> None:
    """Encoding leaves values, attributes and encodings as they were."""
    before = cube.copy(deep=True)
    encodings = {name: dict(variable.encoding) for name, variable in cube.variables.items()}
    encode_netcdf(cube)
    xr.testing.assert_identical(cube, before)
    assert encodings == {name: variable.encoding for name, variable in cube.variables.items()}


@pytest.mark.parametrize(
    ("dataset", "stored"),
    [
        (packed([1.0, np.nan], kind="f4", _FillValue=np.float32(-9)), "f4"),
        (packed([1.0, np.nan], kind="f4", _FillValue=-9, missing_value=-9, dtype="i2"), "i2"),
        (packed([1.0, np.nan], kind="f4", missing_value=-9.0, dtype="i2"), "i2"),
        (packed([0.25, 0.5], scale_factor=0.25, dtype="u1"), "u1"),
        (packed([0.1 * 3, 0.1 * 7], scale_factor=0.1, dtype="i2"), "i2"),
        # Packing that would lose something is not used.
        (packed([1.0, np.nan], _FillValue=-9, missing_value=-8, dtype="i2"), "f8"),
        (packed([1.0, np.nan], _FillValue=-9, dtype="i2"), "f8"),
        (packed([1.0, -9.0], _FillValue=-9, dtype="i2"), "f8"),
        (packed([1.0, np.nan], scale_factor=1.0, dtype="i2"), "f8"),
        (packed([1.0, 1e9], scale_factor=1.0, dtype="i2"), "f8"),
        (packed([1.0, 1.3], scale_factor=1.0, dtype="i2"), "f8"),
        (packed([1.0, np.inf], scale_factor=1.0, dtype="i2"), "f8"),
        (packed([1.0, 2.0], scale_factor=0.0, dtype="i2"), "f8"),
        (packed([1.0, 2.0], scale_factor="x", dtype="i2"), "f8"),
        (packed([1.0, 2.0], _FillValue=0.5, dtype="i2"), "f8"),
        (packed([1.0, 2.0], dtype="i2"), "f8"),
        (packed([1, 2], kind="i4", _FillValue=2), "i4"),
        (packed([0.5, np.nan], kind="f2"), "f4"),
        (packed([0.5, np.nan], kind="f4", dtype="f2"), "f4"),
        (packed([0.5, np.nan], kind=">f4"), "f4"),
        (packed([0.5, np.nan], kind=np.longdouble), "f8"),
        (packed(np.nan, kind="f4", _FillValue=-9, dtype="i2"), "i2"),
    ],
)
def test_packing(dataset: xr.Dataset, stored: str) -> None:
    """Packing is kept exactly when it gives the values back; otherwise they are decoded."""
    assert reopened(dataset, decode_cf=False).v.dtype == np.dtype(stored)
    found = reopened(dataset)
    xr.testing.assert_equal(found, dataset)
    assert found.v.attrs == {"units": "K"}
    if dataset.v.dtype.itemsize in (4, 8):
        assert found.v.dtype == dataset.v.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    "encoding",
    [
        {},
        {"units": "hours since 2020-01-01", "dtype": "i8"},
        {"units": "hours since 2020-01-01"},
        {"units": "days since 2020-01-01", "dtype": "i8"},
        {"units": "days since 2020-01-01", "dtype": "f8"},
        {"units": "days since 2020-01-01", "dtype": "f4"},
        {"units": "seconds since 1970-01-01", "dtype": "i1"},
        {"units": "seconds since 1970-01-01", "dtype": "i4", "_FillValue": -1},
        {"units": "seconds since 1970-01-01", "dtype": "i4", "_FillValue": 1577836800},
        {"units": "nonsense", "dtype": "i4"},
        {"units": "days since the flood", "dtype": "i4"},
        {"units": "hours since 2020-01-01", "calendar": "noleap", "dtype": "i4"},
        {"units": "hours since 2020-01-01", "calendar": "lunar", "dtype": "i4"},
        {"dtype": "M8[ns]"},
        {"units": "hours since 2020-01-01", "scale_factor": 0.1, "dtype": "i4"},
    ],
)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("nanosecond", [0, 1])
@pytest.mark.parametrize("attrs", [{}, {"units": "mine", "calendar": "mine"}])
def test_times(
    encoding: dict[str, Any], missing: bool, nanosecond: int, attrs: dict[str, str]
) -> None:
    """Instants come back to the nanosecond whatever the store's units can hold."""
    texts = ["2020-01-01T00:00:00", "NaT" if missing else "2020-01-05T13:00:00"]
    values = np.array(texts, "M8[ns]") + np.timedelta64(nanosecond, "ns")
    dataset = xr.Dataset({"v": xr.Variable("x", values, attrs, encoding)})
    xr.testing.assert_equal(reopened(dataset), dataset)


@pytest.mark.parametrize("units", ["hours", "days", "seconds", "furlongs", None])
@pytest.mark.parametrize("dtype", ["i4", "f8", "m8[ns]"])
@pytest.mark.parametrize("missing", [False, True])
def test_durations(units: str | None, dtype: str, missing: bool) -> None:
    """Timedeltas come back as timedeltas."""
    values = np.array(["NaT" if missing else 6, 36], "m8[h]").astype("m8[ns]")
    encoding = {"units": units, "dtype": np.dtype(dtype)}
    dataset = xr.Dataset({"v": xr.Variable("x", values, {}, encoding)})
    found = reopened(dataset)
    xr.testing.assert_equal(found, dataset)
    assert found.v.dtype == np.dtype("m8[ns]")


@pytest.mark.parametrize("encoding", [{}, {"units": "days since 2000-01-01", "dtype": "i4"}])
def test_calendar_dates(encoding: dict[str, Any]) -> None:
    """cftime dates keep their calendar."""
    dates = np.array([cftime.Datetime360Day(2020, 2, 30), cftime.Datetime360Day(2020, 3, 1)])
    encoding |= {"calendar": "360_day"} if encoding else {}
    dataset = xr.Dataset({"v": xr.Variable("x", dates, {}, encoding)})
    assert reopened(dataset).v.values.tolist() == dates.tolist()


def test_text_bytes_and_objects() -> None:
    """Strings and bytes come back; missing strings are empty; other objects are JSON."""
    objects = np.empty(4, dtype=object)
    objects[:] = ["å", None, {"k": [1, np.nan]}, "nul\0\ud800"]
    dataset = xr.Dataset(
        {
            "text": ("x", np.array(["a", "", "åø", "d"])),
            "raw": ("x", np.array([b"a", b"bc", b"\xff", b""])),
            "objects": ("x", objects),
            "scalar": ((), "s"),
            "scalar_bytes": ((), np.bytes_(b"sb")),
            "letters": ("x", np.array([b"a", b"", b"c", b"d"])),
        }
    )
    found = reopened(dataset)
    assert found.text.values.tolist() == ["a", "", "åø", "d"]
    assert found.raw.values.tolist() == [b"a", b"bc", b"\xff", b""]
    assert found.objects.values.tolist() == ["å", "", '{"k":[1,null]}', "base64url:bnVsAO2ggA=="]
    assert found.letters.values.tolist() == [b"a", b"", b"c", b"d"]
    assert (found.scalar.item(), found.scalar_bytes.item()) == ("s", b"sb")


def test_complex_is_not_acceptable() -> None:
    """Complex variables are refused, naming a format that can hold them."""
    with pytest.raises(NotAcceptable) as caught:
        encode_netcdf(xr.Dataset({"z": ("x", [1j])}))
    known = ["json", "csv", "ndjson", "columns", "bin", "npy"]
    assert caught.value.facts == {"variable": "z", "known": known}


def test_attributes_that_netcdf_lacks_are_json() -> None:
    """Dicts, None, booleans, nested and mixed lists are written as JSON text."""
    attrs = {
        "d": {"a": [1, None]},
        "n": None,
        "b": True,
        "nested": [[1], [2]],
        "mixed": [1, "a"],
        "big": 2**70,
        "array": np.ones((1, 2)),
        "none": [],
    }
    dataset = xr.Dataset({"v": ("x", [1.0], attrs)}, attrs=attrs)
    found = reopened(dataset)
    for written in (found.attrs, found.v.attrs):
        assert written == {
            "d": '{"a":[1,null]}',
            "n": "null",
            "b": "true",
            "nested": "[[1],[2]]",
            "mixed": '[1,"a"]',
            "big": "1180591620717411303424",
            "array": "[[1.0,1.0]]",
            "none": "[]",
        }


def test_lists_of_numpy_scalars_are_lists() -> None:
    """Numbers keep their type, ranges their meaning; what is no number or text is JSON."""
    attrs = {
        "valid_range": [np.int16(0), np.int16(9)],
        "floats": (np.float32(1), np.float32(2.5)),
        "mixed": [1, np.int64(2)],
        "texts": [np.str_("a"), "b"],
        "truths": [np.True_, np.False_],
        "lengths": [np.timedelta64(1, "s")],
    }
    found = reopened(xr.Dataset({"v": ("x", np.array([1, 2], "i2"), attrs)})).v.attrs
    assert (found["valid_range"].dtype, found["valid_range"].tolist()) == (np.dtype("i2"), [0, 9])
    assert (found["floats"].dtype, found["floats"].tolist()) == (np.dtype("f4"), [1, 2.5])
    assert found["mixed"].tolist() == [1, 2]
    assert found["texts"] == ["a", "b"]
    assert (found["truths"], found["lengths"]) == ("[true,false]", '["PT1S"]')


def test_attributes_with_a_meaning_are_renamed() -> None:
    """An attribute that a reader would take for packing or structure gets another name."""
    reserved = {"coordinates": "q", "CLASS": "a", "_NCProperties": "b", "": "empty"}
    values = np.array(["2020-01-01"], "M8[ns]")
    dataset = xr.Dataset(
        {"v": xr.Variable("x", values, {"units": "u", **reserved})}, attrs=reserved
    )
    found = reopened(dataset)
    expected = {"coordinates_": "q", "CLASS_": "a", "_NCProperties_": "b", "_": "empty"}
    assert found.attrs == expected
    assert found.v.attrs == {"units_": "u", **expected}


def test_bounds_keep_their_attributes(tmp_path: Path) -> None:
    """A bounds variable keeps what it repeats of its parent, which xarray alone would drop."""
    attrs = {"long_name": "latitude", "units": "degrees_north"}
    dataset = xr.Dataset(
        {"lat_bnds": (("lat", "bnds"), [[0.0, 1.0]], attrs)},
        coords={"lat": ("lat", [0.5], {**attrs, "bounds": "lat_bnds"})},
    )
    xr.testing.assert_identical(reopened(dataset), dataset)
    xr.testing.assert_identical(by_netcdf_c(dataset, tmp_path / "bounds.nc"), dataset)


def test_names_that_netcdf_lacks(tmp_path: Path) -> None:
    """Slashes, spaces and what no name may hold are replaced, and names stay distinct."""
    dataset = xr.Dataset(
        {"a/b": ("x/y", [1.0]), "a_b": ("x/y", [2.0]), "": ((), 3), ".": ((), 4)},
        coords={"the station": ("x/y", [7])},
    )
    for found in (reopened(dataset), by_netcdf_c(dataset, tmp_path / "names.nc")):
        assert {name: found[name].values.tolist() for name in found.variables} == {
            "a_b_": [1.0],
            "a_b": [2.0],
            "_": 3,
            "_.": 4,
            "the_station": [7],
        }
        assert set(found.coords) == {"the_station"}


def test_names_are_found_by_the_c_library(tmp_path: Path) -> None:
    """Names are in the normal form that the C library looks up."""
    name = "\u0a32\u0a3c a\u0301"
    dataset = xr.Dataset({name: ((), 1.0, {name: 2})})
    found = by_netcdf_c(dataset, tmp_path / "normal.nc")
    assert [len(found.variables), *(v.attrs for v in found.variables.values())] == [
        1,
        {"\u0a32\u0a3c á": 2},
    ]


@pytest.mark.parametrize("dtype", ["f4", "S3", "O", "M8[ns]", "?"])
def test_empty_dimensions(dtype: str) -> None:
    """A dimension without positions is written, with and without its coordinate."""
    values = np.array([], dtype)
    dataset = xr.Dataset(
        {"a": ("x", np.array([], "f4")), "b": (("y", "x"), np.empty((2, 0))), "c": ("x", values)},
        coords=xr.Coordinates({"x": xr.Variable("x", values)}, indexes={}),
    )
    for asked in (dataset, dataset.drop_vars("x"), dataset[["a"]], dataset[["c"]]):
        found = reopened(asked)
        assert found.sizes == asked.sizes
        assert set(found.variables) == set(asked.variables)


def test_raw_packing_attributes_are_kept() -> None:
    """A store opened without masking keeps its packing attributes, which then decode as its own."""
    attrs = {"scale_factor": 0.5, "_FillValue": 3}
    dataset = xr.Dataset({"v": ("x", np.array([2, 3], "i2"), attrs)})
    assert reopened(dataset, mask_and_scale=False).v.values.tolist() == [2, 3]
    assert reopened(dataset).v.values.tolist()[0] == 1.0


def test_a_fill_value_of_another_kind_is_only_text() -> None:
    """A `_FillValue` attribute that the array's dtype cannot hold breaks nothing."""
    dataset = xr.Dataset({"v": ("x", np.array([2, 3], "i2"), {"_FillValue": "none"})})
    assert reopened(dataset).v.attrs == {"_FillValue_": "none"}


@given(datasets())
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_dataset_comes_back(dataset: xr.Dataset) -> None:
    """Whatever the dtypes, values and attributes, the file opens equal to the dataset."""
    found = reopened(dataset)
    assert set(found.coords) == set(dataset.coords)
    for name, variable in dataset.variables.items():
        expected = variable
        if variable.dtype == np.dtype("f2"):
            expected = variable.astype("f4")
        xr.testing.assert_equal(found[name].variable.to_base_variable(), expected)


@given(attributes)
@settings(deadline=None)
def test_any_attributes_open_in_both_engines(attrs: dict[str, Any]) -> None:
    """No attribute keeps a file from being written, nor the C library from reading it."""
    import netCDF4

    dataset = xr.Dataset({"v": ("x", [1.0], attrs)}, attrs=attrs)
    with netCDF4.Dataset("memory", memory=encode_netcdf(dataset)) as found:
        assert len(found.ncattrs()) == len(attrs)
        for name in found.ncattrs():
            found.getncattr(name)


@given(
    st.lists(st.integers(-32768, 32767), min_size=1, max_size=20),
    st.floats(1e-6, 1e6),
    st.floats(-1e6, 1e6),
    st.sampled_from(["i2", "i4", "f4"]),
    st.sampled_from([float, np.float32, np.float64]),
)
@settings(deadline=None)
def test_packed_values_come_back_to_the_bit(
    integers: list[int], scale: float, offset: float, dtype: str, kind: Any
) -> None:
    """What xarray decodes from a store, it decodes from the file, bit for bit."""
    stored = np.array(integers, dtype)
    fill = np.dtype(dtype).type(-32768)
    attrs = {"scale_factor": kind(scale), "add_offset": kind(offset), "_FillValue": fill}
    decoded = xr.decode_cf(xr.Dataset({"v": ("x", stored, attrs)})).load()
    found = reopened(decoded)
    xr.testing.assert_equal(found, decoded)
    assert found.v.dtype == decoded.v.dtype


@pytest.mark.parametrize(
    "units",
    [
        "hours since 1900-01-01",
        "hours since 1900-1-1 06:30 +01:00",
        "days since 2000-01-01 12:00",
        "minutes since 2020-01-01T00:00:00Z",
        "seconds since 1970-01-01",
        "milliseconds since 1858-11-17",
    ],
)
@pytest.mark.parametrize("calendar", ["standard", "proleptic_gregorian"])
@pytest.mark.parametrize("resolution", ["s", "ns"])
def test_times_are_counted_as_the_store_counts(units: str, calendar: str, resolution: str) -> None:
    """Instants get the numbers that xarray gives them in the store's units, which are kept."""
    values = np.array(["1950-03-01T06:30", "NaT", "2020-02-29T18:00:30"], f"M8[{resolution}]")
    encoding = {"units": units, "calendar": calendar, "dtype": np.dtype("f8")}
    found = reopened(xr.Dataset({"v": xr.Variable("x", values, {}, encoding)}), decode_cf=False)
    # From seconds xarray makes infinite milliseconds.
    nanoseconds = values.astype("M8[ns]")
    numbers, *_ = xr.coding.times.encode_cf_datetime(nanoseconds, units, calendar, np.dtype("f8"))
    np.testing.assert_array_equal(found.v.values, numbers)
    assert (found.v.attrs["units"], found.v.attrs["calendar"]) == (units, calendar)


def test_what_is_too_large_for_a_header_is_text() -> None:
    """Long lists become JSON text, lone texts of any length stay what they are."""
    attrs = {"numbers": list(range(17_000)), "texts": ["a"] * 5_000, "text": "long" * 20_000}
    found = reopened(xr.Dataset({"v": ("x", [1.0], attrs)})).v.attrs
    assert {name: orjson.loads(found[name]) for name in ("numbers", "texts")} == {
        "numbers": attrs["numbers"],
        "texts": attrs["texts"],
    }
    assert found["text"] == attrs["text"]


def test_bytes_beside_a_dimension_of_their_name(tmp_path: Path) -> None:
    """The dimension that bytes need is theirs, whatever the dataset's own are called."""
    dataset = xr.Dataset({"a": ("x", [b"ab", b"c"]), "b": ("a_characters", [1, 2, 3])})
    for found in (reopened(dataset), by_netcdf_c(dataset, tmp_path / "bytes.nc")):
        xr.testing.assert_equal(found, dataset)


def test_a_name_that_readers_would_cut(tmp_path: Path) -> None:
    """What marks a variable that is no dimension is not taken from a name that has it."""
    dataset = xr.Dataset({"a_nc4_non_coord_x": ("x", [1, 2])}, coords={"x": [3, 4]})
    for found in (reopened(dataset), by_netcdf_c(dataset, tmp_path / "cut.nc")):
        assert {name: found[name].values.tolist() for name in found.variables} == {
            "a_nc4_noncoord_x": [1, 2],
            "x": [3, 4],
        }


def test_more_dimensions_than_hdf5_has() -> None:
    """A variable of 32 dimensions is refused before it is read, and when it is written."""
    dataset = xr.Dataset({"v": ([f"d{n}" for n in range(32)], np.zeros((1,) * 32))})
    with pytest.raises(NotAcceptable):
        encode_netcdf(dataset)
    assert reopened(dataset.isel(d0=0)).v.shape == (1,) * 31


@pytest.mark.parametrize("kind", [np.float16, np.longdouble])
def test_a_scale_of_a_float_that_netcdf_lacks(kind: Any) -> None:
    """It is written as the nearest float that there is."""
    dataset = packed([0.5, 1.0], kind="f4", scale_factor=kind(0.5), dtype="i2")
    xr.testing.assert_equal(reopened(dataset), dataset)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(datasets(), st.data())
def test_any_dataset_in_chunks(dataset: xr.Dataset, data: st.DataObject) -> None:
    """In chunks of any lengths, with dimensions that may grow, a file says the same."""
    known = {
        name: store_values(variable.values, variable.encoding)
        for name, variable in dataset.variables.items()
        if file_form(str(name), variable.dtype, variable.ndim, variable.encoding) is None
    }
    lengths = data.draw(st.lists(st.integers(1, 4), min_size=9, max_size=9))
    chunks = {n: tuple(lengths[: v.ndim]) for n, v in dataset.variables.items() if v.ndim}
    texts = [n for n, stored in known.items() if stored.values.dtype.kind == "O"]
    fixed = {dim for name in texts for dim in dataset.variables[name].dims}
    growing = [dim for dim in dataset.dims if dim not in fixed]
    names = FileNames.of(dataset)
    variables, coord_names = dataset.variables, set(dataset.coords)
    file = NetcdfFile(variables, coord_names, dataset.attrs, names, known, chunks, growing)
    content = file.layout.metadata
    for name, variable in dataset.variables.items():
        values = known[name].values if name in known else variable.values
        content += b"".join(file.put(name, values))
    file.finish()
    assert len(content) == file.layout.size
    for ours, whole in zip(
        by_both_engines(content), by_both_engines(encode_netcdf(dataset)), strict=True
    ):
        xr.testing.assert_identical(ours, whole)
    with in_c(content) as read:
        assert {dim.name for dim in read.dimensions.values() if dim.isunlimited()} >= {
            names.stored[dim] for dim in growing
        }


def test_values_of_another_kind_are_refused() -> None:
    """Decoded values do not become packed ones by being cut off."""
    packed = xr.Dataset({"v": ("x", np.arange(3, dtype="i2"))})
    file = NetcdfFile(packed.variables, (), {}, FileNames.of(packed), {})
    with pytest.raises(TypeError, match="cast"):
        [*file.put("v", np.array([0.5, 1.5, 2.5]))]
    times = xr.Dataset({"t": ("x", np.zeros(2, "M8[ns]"))})
    with pytest.raises(ValueError, match="depends on its values"):
        NetcdfFile(times.variables, (), {}, FileNames.of(times), {})
