"""Pictures: another reader finds the colour of each value, the right way up."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from sluice.axes.roles import directions_of
from sluice.encoders.colormaps import COLORMAPS, palette
from sluice.encoders.formats import ENCODERS, adapted
from sluice.encoders.json_encoder import FragmentCache
from sluice.engine.prepared import prepare_axes
from sluice.errors import LimitError, NotAcceptable, SelectionError
from tests.encoders.test_csv_encoder import Plan

PNG = ENCODERS["png"]


def picture(dataset: xr.Dataset, **options: object) -> Image.Image:
    """The picture of a dataset whose dimensions are known for what their coordinates say."""
    axes = prepare_axes(dataset)
    fragments = FragmentCache(dataset, "", directions_of(axes))
    PNG.check(Plan(dataset))
    content = adapted(PNG, tuple(options.items())).encode(dataset, fragments)
    found = Image.open(io.BytesIO(content))
    found.load()
    return found


def colours(found: Image.Image) -> np.ndarray[Any, Any]:
    return np.asarray(found.convert("RGBA"))


def of(values: Any, **coords: Any) -> xr.Dataset:
    return xr.Dataset({"v": (tuple(coords), np.asarray(values))}, coords)


def hottest(dataset: xr.Dataset) -> tuple[int, int]:
    """Row and column of the pixel of the largest value."""
    pixels = np.asarray(picture(dataset, range=(0.0, 1.0)))
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    return int(row), int(column)


@given(
    values=npst.arrays(
        st.sampled_from(["f4", "f8", ">f4", "i2", "u1", "?"]),
        npst.array_shapes(min_dims=2, max_dims=2, max_side=20),
    ),
    ends=st.tuples(st.floats(-1e6, 1e6), st.floats(0.001, 1e6)),
    name=st.sampled_from(COLORMAPS),
)
@settings(deadline=None, max_examples=60)
def test_each_pixel_has_the_colour_of_its_value(
    values: np.ndarray[Any, Any], ends: tuple[float, float], name: str
) -> None:
    """Even steps of the range, the ends for what is outside, nothing for what is missing."""
    low, high = ends[0], ends[0] + ends[1]
    found = picture(xr.Dataset({"v": (("a", "b"), values)}), range=(low, high), cmap=name)
    assert found.size == values.shape[::-1]
    numbers = values.astype("f8")
    missing = np.isnan(numbers)
    share = np.clip(np.where(missing, low, (numbers - low) / (high - low)), 0, 1) * 254
    seen = colours(found)
    np.testing.assert_array_equal(seen[..., 3], np.where(missing, 0, 255))
    table = palette(name, 255)
    near = (np.abs(share - np.rint(share)) < 0.49) & ~missing
    np.testing.assert_array_equal(seen[near][:, :3], table[np.rint(share[near]).astype(int)])


def test_maps_of_colours_begin_and_end_as_published() -> None:
    ends = {name: palette(name, 255)[[0, -1]].tolist() for name in COLORMAPS}
    assert ends["viridis"] == [[68, 1, 84], [253, 231, 37]]
    assert ends["gray"] == [[0, 0, 0], [255, 255, 255]]
    for name in COLORMAPS:
        if name.endswith("_r"):
            np.testing.assert_array_equal(palette(name, 256)[::-1], palette(name[:-2], 256))


@pytest.mark.parametrize("lat", [[-60.0, 0, 60], [60.0, 0, -60]])
@pytest.mark.parametrize("turned", [False, True])
def test_north_is_up(lat: list[float], turned: bool) -> None:
    """However latitudes are stored, and whichever dimension comes first."""
    values = np.zeros((3, 4))
    values[lat.index(60.0), 1] = 1
    dataset = of(values, lat=lat, lon=[0.0, 90, 180, 270])
    assert hottest(dataset.transpose("lon", "lat") if turned else dataset) == (0, 1)
    backwards = dataset.isel(lon=slice(None, None, -1))
    assert hottest(backwards) == (0, 1)


@pytest.mark.parametrize(
    ("attrs", "row"),
    [
        ({"units": "hPa"}, 2),
        ({"units": "m", "positive": "down"}, 2),
        ({"units": "m", "positive": "up"}, 0),
        ({"standard_name": "height", "units": "m"}, 0),
        ({"standard_name": "depth", "units": "m"}, 2),
    ],
)
def test_depth_is_down_and_height_up(attrs: dict[str, str], row: int) -> None:
    """Levels stand upright beside latitudes, longitudes and times."""
    values = np.zeros((3, 2))
    values[2, 1] = 1  # at the largest level
    for across in ("lat", "lon", "time"):
        labels: Any = [10.0, 20.0]
        if across == "time":
            labels = np.array(["2020-01-01", "2020-01-02"], "M8[ns]")
        dataset = of(values, z=[1.0, 2, 3], **{across: labels})
        dataset.z.attrs = attrs
        assert hottest(dataset) == (row, 1)
        assert hottest(dataset.isel(z=slice(None, None, -1)).transpose(across, "z")) == (row, 1)


SECOND: dict[str, tuple[dict[str, str], bool]] = {
    "slat": ({"units": "degrees_north"}, True),
    "slon": ({"units": "degrees_east"}, True),
    "zz": ({"positive": "up", "units": "m"}, True),
    "zd": ({"positive": "down", "units": "m"}, False),
    "k": ({"standard_name": "model_level_number"}, False),
}
PAIRS = [("slat", "slon"), ("slat", "lon"), ("lat", "slon"), ("lat", "slat"), ("slat", "lat")]
PAIRS += [("lon", "slon"), ("zz", "slat"), ("zd", "slon"), ("zz", "zd"), ("k", "lat"), ("k", "zz")]


@pytest.mark.parametrize(("up", "across"), PAIRS)
@pytest.mark.parametrize("falls", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("turned", [False, True])
def test_second_axes_stand_as_first_ones(
    up: str, across: str, falls: tuple[bool, bool], turned: bool
) -> None:
    """Of staggered grids: each in every order, in datasets that have first ones as well."""
    labels = {name: np.array([10.0, 20, 30]) for name in ("lat", "lon", "lev", *SECOND)}
    for name, fall in zip((up, across), falls, strict=True):
        labels[name] = labels[name][::-1] if fall else labels[name]
    values = (labels[up][:, None] == 30) & (labels[across] == 20)
    dataset = xr.Dataset({"v": ((up, across), values.astype("f8"))}, labels)
    for name, (attrs, _) in SECOND.items():
        dataset[name].attrs = attrs
    both_alike = {up, across} in ({"lat", "slat"}, {"lon", "slon"}, {"zz", "zd"}, {"k", "zz"})
    if turned and not both_alike:
        dataset = dataset.transpose(across, up, ...)
    assert hottest(dataset) == (0 if SECOND.get(up, ({}, True))[1] else 2, 1)


@pytest.mark.parametrize("first", ["lon", "slon"])
def test_a_descending_second_longitude_runs_from_west_to_east(first: str) -> None:
    labels = {"lon": [0.0, 90, 180], "slon": [170.0, 80, -10], "lat": [10.0, 20]}
    for lon in ("lon", "slon"):
        values = np.zeros((2, 3))
        values[1, int(np.argmin(labels[lon]))] = 1
        order = dict.fromkeys((first, "lon", "slon", "lat"))
        dataset = xr.Dataset({"v": (("lat", lon), values)}, {name: labels[name] for name in order})
        dataset.slon.attrs = {"units": "degrees_east"}
        assert hottest(dataset) == (0, 0)


def test_colours_of_the_largest_numbers() -> None:
    """Whose distance is no number."""
    most = float(np.finfo("f8").max)
    values = np.array([[-most, -most / 2, 0], [most / 2, most, np.nan]])
    dataset = xr.Dataset({"v": (("a", "b"), values)})
    found = np.asarray(picture(dataset, range=(-most, most))).astype(int)
    np.testing.assert_allclose(found, [[1, 64.5, 128], [191.5, 255, 0]], atol=0.5)
    told = json.loads(str(picture(dataset).info["Sluice"]))
    np.testing.assert_allclose(np.array(told["range"]) / most, [-0.96, 0.96])


def test_times_go_across_beside_latitudes_and_down_beside_longitudes() -> None:
    time = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[ns]")
    values = np.zeros((3, 2))
    values[2, 0] = 1
    assert hottest(of(values, time=time, lat=[10.0, 20])) == (1, 2)
    assert hottest(of(values, time=time, lon=[10.0, 20])) == (2, 0)


def test_dimensions_without_a_meaning_stay_as_they_are() -> None:
    values = np.zeros((3, 2))
    values[2, 0] = 1
    assert hottest(of(values, a=[3.0, 2, 1], b=[9.0, 8])) == (2, 0)


@pytest.mark.filterwarnings("ignore:Duplicate dimension")
def test_a_dimension_can_go_both_ways() -> None:
    assert hottest(xr.Dataset({"v": (("a", "a"), np.diag([0.0, 0, 1]))})) == (2, 2)


def test_without_a_range_two_in_a_hundred_are_outside_on_either_side() -> None:
    values = np.arange(10_000.0).reshape(100, 100)
    found = picture(xr.Dataset({"v": (("a", "b"), values, {"units": "K"})}))
    told = json.loads(str(found.info["Sluice"]))
    np.testing.assert_allclose(told["range"], np.percentile(values, (2, 98)))
    assert (told["variable"], told["units"], told["cmap"]) == ("v", "K", "viridis")
    assert np.asarray(found).min() == 1
    for constant in (np.full((2, 2), 7.0), np.full((2, 2), np.nan), np.full((2, 2), np.inf)):
        seen = colours(picture(xr.Dataset({"v": (("a", "b"), constant)})))
        assert (seen[..., 3] == np.where(np.isnan(constant), 0, 255)).all()


def test_dimensions_of_one_position_are_left_out() -> None:
    values = np.zeros((1, 3, 1, 2))
    assert picture(xr.Dataset({"v": (("t", "a", "z", "b"), values)})).size == (2, 3)
    assert picture(xr.Dataset({"v": (("t", "a", "z"), values[..., 0])})).size == (1, 3)
    assert picture(xr.Dataset({"v": (("a", "b"), np.ones((1, 1)))})).size == (1, 1)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (xr.Dataset({"v": (("a", "b", "c"), np.zeros((2, 2, 2)))}), r"isel\[a\]=0"),
        (xr.Dataset({"v": ("a", np.zeros(3))}), "leave two of its dimensions whole"),
        (xr.Dataset({"v": 1.0}), "leave two of its dimensions whole"),
        (xr.Dataset({"v": (("a", "b"), np.zeros((2, 0)))}), "empty"),
        (xr.Dataset({"t": 1.0, "v": (("a", "b"), np.zeros((2, 2)))}), "variables=t"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_cure(dataset: xr.Dataset, words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        PNG.check(Plan(dataset))
    with pytest.raises(SelectionError, match=words):
        PNG.encode(dataset)


def test_what_has_no_colour_is_refused() -> None:
    for values in (np.array([["a"]]), np.ones((2, 2), "M8[s]"), np.ones((2, 2), "c8")):
        with pytest.raises(NotAcceptable, match="json"):
            PNG.check(Plan(xr.Dataset({"v": (("a", "b"), values)})))


def test_a_side_that_is_too_long_names_a_step() -> None:
    dataset = xr.Dataset({"v": (("a", "b"), np.zeros((3, 8193), "i1"))})
    with pytest.raises(LimitError, match=r"isel\[b\]=::3") as caught:
        PNG.check(Plan(dataset))
    facts = caught.value.facts
    assert (facts["step"], facts["limit"], facts["dimension"]) == (3, 4096, "b")
    assert picture(dataset.isel(b=slice(None, None, 3))).size == (2731, 3)
