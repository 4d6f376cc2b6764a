"""CoverageJSON and GeoJSON of values of every kind: always valid, nothing lost, nothing made up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import cftime
import numpy as np
import pytest
import xarray as xr
from covjson_pydantic.coverage import Coverage, CoverageCollection
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.encoders.coverage_json import coverage_encoder
from sluice.encoders.coverage_layout import CoverageLayout
from sluice.encoders.coverage_parts import (
    CRS84,
    around_greenwich,
    data_type,
    parameter_of,
    reference_systems,
)
from sluice.encoders.formats import ENCODERS
from sluice.encoders.geojson import cut_out, geojson_encoder
from sluice.encoders.jsonable import json_text
from sluice.errors import LimitError
from tests.encoders.samples import DTYPES, cells

AXES = {"x": "lon", "y": "lat", "z": "lev", "t": "time"}


def layout_of(ds: xr.Dataset, **options: Any) -> CoverageLayout:
    parameters = {
        str(name): json_text(parameter_of(str(name), v.attrs, v.dtype))
        for name, v in ds.data_vars.items()
    }
    systems = reference_systems(CRS84, {"type": "VerticalCRS"}, "Gregorian")
    references = {letter: json_text(system) for letter, system in systems.items()}
    axes = {letter: name for letter, name in AXES.items() if name in ds.variables}
    return CoverageLayout(axes, parameters, references, **options)


def told(ds: xr.Dataset, **options: Any) -> Any:
    """What the encoder writes, at once and in pieces."""
    encoder = coverage_encoder(layout_of(ds, **options))
    encoder.check(ds)
    text = encoder.encode(ds)
    assert b"".join(encoder.pieces(ds)) == text
    assert 6 * encoder.value_bytes(Sized(ds)) >= len(text) - 3000
    return json.loads(text, parse_constant=pytest.fail)


class Sized:
    """A dataset as the schema of an answer."""

    def __init__(self, ds: xr.Dataset) -> None:
        self.variables, self.coord_names, self.sizes = ds.variables, set(ds.coords), ds.sizes
        self.result_bytes = sum(v.dtype.itemsize * v.size for v in ds.variables.values())
        self.attribute_bytes = 0


def one_grid(values: Any) -> xr.Dataset:
    lat, lon = values.shape
    return xr.Dataset(
        {"v": (("lat", "lon"), values)},
        coords={"lat": np.linspace(50, 40, lat), "lon": np.linspace(0, 10, lon)},
    )


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_values_of_every_type(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([one for one in DTYPES if one not in ("S3", "O")]))
    values = data.draw(cells(dtype, (2, 3)))
    ds = one_grid(values)
    mask = np.array([[True, False, True], [True, True, False]])
    for masked in (False, True):
        found = told(ds, mask=mask if masked else None)["ranges"]["v"]
        kind = data_type(values.dtype)
        assert found["dataType"] == kind
        assert found["axisNames"] == ["y", "x"]
        for value, shown, stored in zip(
            found["values"], mask.ravel(), values.ravel().tolist(), strict=True
        ):
            if masked and not shown:
                assert value is None
            elif kind == "integer":
                assert value == int(stored)
            elif kind == "float":
                finite = np.isfinite(stored)
                assert value is None if not finite else values.dtype.type(value) == stored
            else:
                assert value is None or isinstance(value, str)


def test_dates_of_other_calendars_are_named() -> None:
    dates = [cftime.Datetime360Day(2000, 2, day) for day in (29, 30)]
    ds = one_grid(np.ones((2, 2))).expand_dims(time=dates)
    found = told(ds)
    assert found["domain"]["axes"]["t"]["values"] == ["2000-02-29T00:00:00", "2000-02-30T00:00:00"]


def test_axes_in_any_order_of_the_store() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)
    ds = xr.Dataset(
        {"v": (("lon", "lat", "time"), values)},
        coords={
            "lon": [0.0, 1],
            "lat": [3.0, 2, 1],
            "time": np.array(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04"], "M8[ns]"),
        },
    )
    found = told(ds)
    Coverage.model_validate_json(json.dumps(found))
    assert found["ranges"]["v"]["axisNames"] == ["t", "y", "x"]
    expected = values.transpose(2, 1, 0)
    assert found["ranges"]["v"]["shape"] == [4, 3, 2]
    assert found["ranges"]["v"]["values"] == expected.ravel().tolist()


def test_a_dimension_of_nobodys_is_counted() -> None:
    ds = one_grid(np.arange(6.0).reshape(2, 3)).expand_dims(layer=2).copy()
    found = told(ds)
    assert [one["dimensions"] for one in found["coverages"]] == [{"layer": 0}, {"layer": 1}]
    CoverageCollection.model_validate_json(json.dumps(found))


def test_nothing_at_all_is_an_empty_collection() -> None:
    ds = one_grid(np.ones((2, 2))).drop_vars("v")
    assert told(ds)["coverages"] == []


def test_too_many_coverages_are_refused() -> None:
    ds = xr.Dataset(
        {"v": ("points", np.zeros(10_001))},
        coords={"lon": ("points", np.zeros(10_001)), "lat": ("points", np.zeros(10_001))},
    )
    with pytest.raises(LimitError, match="10000"):
        coverage_encoder(layout_of(ds)).check(ds)


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i2", "i8", "u2"])
def test_longitudes_are_those_of_maps(dtype: str) -> None:
    found = around_greenwich(np.array([0, 90, 180, 181, 270, 359, 360], dtype))
    assert found.tolist() == [0, 90, 180, -179, -90, -1, 0]
    assert around_greenwich(np.array([-181.0, 540.5])).tolist() == [179, -179.5]


def test_rows_of_features() -> None:
    ds = one_grid(np.array([[1, 2, 3], [4, 5, 6]])).expand_dims(lev=[10.0, 20.0]).copy()
    mask = np.array([[True, False, False], [False, False, True]])
    encoder = geojson_encoder(layout_of(ds, mask=mask))
    found = json.loads(encoder.encode(ds))["features"]
    assert [one["geometry"]["coordinates"] for one in found] == [[0, 50], [10, 40]] * 2
    rows = [{"lev": 10.0, "v": 1}, {"lev": 10.0, "v": 6}, {"lev": 20.0, "v": 1}]
    assert [one["properties"] for one in found] == [*rows, {"lev": 20.0, "v": 6}]
    whole = json.loads(geojson_encoder(layout_of(ds)).encode(ds))
    assert len(whole["features"]) == 12
    empty = geojson_encoder(layout_of(ds, mask=np.zeros((2, 3), bool))).encode(ds)
    assert json.loads(empty) == {"type": "FeatureCollection", "features": []}


def test_a_dimension_has_the_letter_of_an_axis() -> None:
    """It is a property, and no place."""
    ds = one_grid(np.array([[1.0, 2.0]])).expand_dims(x=[7])
    (feature, _) = json.loads(geojson_encoder(layout_of(ds)).encode(ds))["features"]
    assert feature["geometry"]["coordinates"] == [0.0, 50.0]
    assert feature["properties"] == {"x": 7, "v": 1.0}


def test_features_tell_positions_of_dimensions_without_a_coordinate() -> None:
    """As CSV does: features of one place are told apart."""
    cells = xr.DataArray(np.arange(4.0).reshape(1, 1, 2, 2), dims=("lat", "lon", "x", "y"))
    ds = xr.Dataset({"v": cells}, coords={"lat": [10.0], "lon": [20.0]})
    found = json.loads(geojson_encoder(layout_of(ds)).encode(ds))["features"]
    head, *rows = ENCODERS["csv"].encode(ds).decode().split()
    assert head == "lat,lon,x,y,v"
    told = [[one["properties"][name] for name in ("x", "y", "v")] for one in found]
    assert told == [[float(cell) for cell in row.split(",")[2:]] for row in rows]
    assert found[0]["geometry"]["coordinates"] == [20.0, 10.0]


def test_places_of_two_dimensions_tell_their_positions() -> None:
    """Features have no numbers of rows and columns besides."""
    at = (("row", "column"), np.arange(4.0).reshape(2, 2))
    ds = xr.Dataset({"v": at}, coords={"lat": at, "lon": at})
    found = json.loads(geojson_encoder(layout_of(ds)).encode(ds))["features"]
    assert [one["properties"] for one in found] == [{"v": value} for value in range(4)]


@pytest.mark.parametrize("role", ["variable", "dimension"])
def test_something_else_is_called_datetime(role: str) -> None:
    """Times then have their own name, and both are there."""
    times = np.array(["2024-01-01"], "M8[s]")
    ds = one_grid(np.array([[1.0]])).expand_dims(time=times)
    ds = ds.rename(v="datetime") if role == "variable" else ds.expand_dims("datetime")
    (feature,) = json.loads(geojson_encoder(layout_of(ds)).encode(ds))["features"]
    value = {"datetime": 1.0} if role == "variable" else {"datetime": 0, "v": 1.0}
    assert feature["properties"] == {"time": "2024-01-01T00:00:00Z", **value}


def test_features_of_variables_without_the_time() -> None:
    """An axis that no variable of the answer has is told nowhere."""
    ds = one_grid(np.array([[1.0]]))
    layout = layout_of(ds)
    layout = replace(layout, axes={**layout.axes, "t": "time"})
    (feature,) = json.loads(geojson_encoder(layout).encode(ds))["features"]
    assert feature["properties"] == {"v": 1.0}


def test_times_that_are_called_datetime() -> None:
    times = np.array(["2024-01-01"], "M8[s]")
    ds = one_grid(np.array([[1.0]])).expand_dims(datetime=times)
    layout = layout_of(ds)
    layout = replace(layout, axes={**layout.axes, "t": "datetime"})
    (feature,) = json.loads(geojson_encoder(layout).encode(ds))["features"]
    assert feature["properties"] == {"datetime": "2024-01-01T00:00:00Z", "v": 1.0}


def test_what_is_outside_is_cut_out_of_tables() -> None:
    ds = one_grid(np.array([[1, 2, 3], [4, 5, 6]]))
    mask = np.array([[True, False, False], [False, False, True]])
    encoder = cut_out(ENCODERS["csv"], layout_of(ds, mask=mask))
    assert encoder.encode(ds).split() == [b"points,lat,lon,v", b"0,50.0,0.0,1", b"1,40.0,10.0,6"]


def test_a_variable_has_the_name_of_what_is_cut_out() -> None:
    """The rows go along a dimension of another name."""
    ds = one_grid(np.array([[1, 2, 3], [4, 5, 6]])).rename(v="points")
    mask = np.array([[True, False, False], [False, False, True]])
    encoder = cut_out(ENCODERS["csv"], layout_of(ds, mask=mask))
    head, *rows = encoder.encode(ds).split()
    assert head == b"points_,lat,lon,points"
    assert rows == [b"0,50.0,0.0,1", b"1,40.0,10.0,6"]


texts = st.one_of(st.text(), st.integers(), st.lists(st.floats()), st.sampled_from(["a b", "K"]))
flags = st.one_of(texts, st.just([0, 1]), st.just([0.5, 1.5]))


@given(
    st.dictionaries(st.sampled_from(["units", "long_name", "flag_values", "flag_meanings"]), flags)
)
@settings(max_examples=100, deadline=None)
def test_any_attributes_are_a_parameter(attrs: dict[str, Any]) -> None:
    found = parameter_of("v", attrs, np.dtype("i2"))
    json.loads(json_text(found))
    assert found["observedProperty"]["label"]["en"]
    assert not ("unit" in found and "categoryEncoding" in found)
