"""What is found about axes, on datasets in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from app.catalog.checking.findings import Finding, Severity, axis_findings, dimension_findings
from sluice.datasets import AsyncDataset
from sluice.engine import prepare
from tests.catalog.stores import GRID


def found(ds: xr.Dataset) -> list[Finding]:
    axes = prepare(AsyncDataset(ds.data_vars, ds.coords, ds.attrs)).axes
    return [*axis_findings(ds, axes), *dimension_findings(ds)]


def axis(name: str, values: Any, **attrs: str) -> xr.Dataset:
    return xr.Dataset(coords={name: (name, values, attrs)})


def test_a_good_grid_has_no_findings() -> None:
    """CF attributes, sorted labels, the whole circle: nothing to say."""
    assert found(GRID) == []


@pytest.mark.parametrize(
    ("ds", "says"),
    [
        (axis("lat", [1.0, 2.0]), "latitude, but it has no units"),
        (axis("Latitude", [1.0, 2.0], units="degrees"), "its units are 'degrees'"),
        (axis("y", [1.0, 2.0], standard_name="latitude"), "set units='degrees_north'"),
        (axis("lon", np.arange(360.0)), "set units='degrees_east', standard_name='longitude'"),
        (axis("longitude", np.arange(360.0), units="m"), "its units are 'm'"),
        (axis("time", [0, 1, 2]), "its labels are plain numbers"),
        (axis("valid_time", ["2020-01-01"]), "its labels are text"),
        (axis("t", [0, 1], axis="T"), "hours since 1970-01-01"),
        (axis("level", [1, 2]), "a vertical axis, but it has no units"),
        (axis("k", [1, 2], axis="Z"), "a vertical axis, but it has no units"),
        (axis("depth", [1, 2], units="m"), "does not say where up is"),
    ],
)
def test_an_axis_that_does_not_say_what_it_is(ds: xr.Dataset, says: str) -> None:
    """What looks like time, a place or a height lacks the attribute that would say so."""
    (finding,) = found(ds)
    assert (finding.severity, finding.where) == (Severity.WARNING, next(iter(ds.coords)))
    assert says in finding.text


@pytest.mark.parametrize(
    "ds",
    [
        axis("lat", [1.0, 2.0], units="degrees_north"),
        axis("lat", [1.0, 2.0], units="degrees", standard_name="latitude"),
        axis("y", [1.0, 2.0], units="degreeN"),
        axis("lon", np.arange(360.0), units="degree_east"),
        axis("time", np.array(["2020-01-01"], "M8[ns]")),
        axis("depth", [1, 2], units="m", positive="down"),
        axis("level", [850, 500], units="hPa"),
        axis("station", ["b", "a"]),
        axis("x", [1.0, 2.0]),
        axis("lon", [0.0], units="degrees_east"),
    ],
)
def test_an_axis_that_says_enough(ds: xr.Dataset) -> None:
    """One sufficient attribute is enough, and nothing is asked of other axes."""
    assert found(ds) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([1.0, 3.0, 2.0], ["neither rise nor fall"]),
        ([1.0, 2.0, 2.0], ["1 label repeats"]),
        ([2.0, 2.0, 2.0], ["2 labels repeat"]),
        ([3.0, np.nan, 1.0], ["1 of 3 labels are missing"]),
        (np.array(["2020", "NaT", "2019"], "M8[ns]"), ["1 of 3 labels are missing"]),
        ([3.0, np.nan, 3.0, 7.0, 1.0], ["are missing", "repeats", "neither rise nor fall"]),
        ([3.0, 2.0, 1.0], []),
        (["b", "a", "c"], []),
        (["b", "a", "b"], ["1 label repeats"]),
        ([], []),
    ],
)
def test_labels_that_cannot_be_searched(
    values: list[float] | list[str] | np.ndarray[Any, Any], says: list[str]
) -> None:
    """Missing, repeated and unsorted labels are warnings; texts need no order."""
    findings = found(axis("x", values))
    assert {finding.severity for finding in findings} <= {Severity.WARNING}
    assert len(findings) == len(says)
    for finding, words in zip(findings, says, strict=True):
        assert words in finding.text


@pytest.mark.parametrize("calendar", ["360_day", "noleap", "julian"])
def test_an_odd_calendar_shows_how_its_times_are_written(calendar: str) -> None:
    """The note names the calendar and shows its first and last label as answers write them."""
    times = xr.date_range("2001-02-27", periods=3, calendar=calendar, use_cftime=True)
    (finding,) = found(axis("time", times))
    assert finding.severity is Severity.NOTE
    assert f"calendar is {calendar}" in finding.text
    last = "2001-02-29" if calendar == "360_day" else "2001-03-01"
    assert f"from 2001-02-27T00:00:00 to {last}T00:00:00" in finding.text


@pytest.mark.parametrize(
    ("values", "severity", "says"),
    [
        (np.arange(0.0, 357.0), Severity.NOTE, "covers 0 to 356"),
        (np.arange(5.0, 15.0), Severity.NOTE, "covers 5 to 14"),
        (np.arange(0.0, 358.0), Severity.WARNING, "from 357 on to 0 it is 3 degrees"),
        (np.arange(-180, 179), Severity.WARNING, "columns are missing there"),
    ],
)
def test_longitudes_that_do_not_go_round(
    values: np.ndarray[Any, Any], severity: Severity, says: str
) -> None:
    """A part of the circle is a note, a seam that nearly closes a warning."""
    (finding,) = found(axis("lon", values, units="degrees_east"))
    assert finding.severity is severity
    assert says in finding.text


def test_places_on_two_dimensions_and_dimensions_without_labels() -> None:
    """Curvilinear coordinates say what selects instead; plain dimensions are noted; bounds not."""
    grid = ("y", "x")
    ds = xr.Dataset(
        {"v": (("n", *grid), np.zeros((2, 3, 4)))},
        {
            "lat": (grid, np.zeros((3, 4)), {"units": "degrees_north", "bounds": "lat_bnds"}),
            "nav_lon": (grid, np.zeros((3, 4)), {"standard_name": "longitude"}),
            "lat_bnds": ((*grid, "vertex"), np.zeros((3, 4, 4))),
            "area": (grid, np.zeros((3, 4))),
        },
    )
    findings = found(ds)
    assert {finding.severity for finding in findings} == {Severity.NOTE}
    assert [finding.where for finding in findings] == ["lat", "nav_lon", "n"]
    assert "use isel along y, x" in findings[0].text
    assert "selected by position" in findings[2].text
