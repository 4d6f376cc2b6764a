"""What axes stand for."""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import pytest

from sluice.axes.axis import Axis
from sluice.axes.roles import directions_of, role_of, roles_of
from sluice.engine.prepared import calendar_of_axis

DAYS = np.array(["2000-01-01", "2000-01-02"], "M8[ns]")


@pytest.mark.parametrize(
    ("name", "values", "attrs", "role"),
    [
        ("lon", [0.0, 1.0], {}, "X"),
        ("i", [0.0, 1.0], {"units": "degrees_east"}, "X"),
        ("i", [0.0, 1.0], {"units": "degreesE"}, "X"),
        ("rlon", [0.0, 1.0], {"standard_name": "grid_longitude"}, "X"),
        ("easting", [5e5, 6e5], {"standard_name": "projection_x_coordinate"}, "X"),
        ("latitude", [90.0, 0.0], {}, "Y"),
        ("j", [0.0, 1.0], {"units": "degree_north"}, "Y"),
        ("anything", DAYS, {}, "T"),
        ("step", [0, 6], {"axis": "T"}, "T"),
        ("isobaricInhPa", [1000, 850], {"units": "hPa"}, "Z"),
        ("sigma", [0.1, 0.9], {"positive": "down"}, "Z"),
        ("lev", [1, 2], {"axis": "z"}, "Z"),
        ("n", [1, 2], {"standard_name": "model_level_number"}, "Z"),
        ("gh", [0.0, 5.0], {"standard_name": "geopotential_height", "units": "m"}, "Z"),
        ("hybrid", [1, 2], {"standard_name": "atmosphere_hybrid_sigma_pressure_coordinate"}, "Z"),
        ("s_rho", [-1.0, 0.0], {"standard_name": " ocean_s_coordinate_g2", "units": "1"}, "Z"),
        ("lon", [0.0, 1.0], {"axis": "Y"}, "Y"),
        ("station", [1, 2], {}, None),
        ("name", np.array(["a", "b"]), {"units": 3}, None),
    ],
)
def test_roles(name: str, values: Any, attrs: dict[str, Any], role: str | None) -> None:
    """Attributes come first, the name where these are silent."""
    assert role_of(Axis.of(name, np.asarray(values), attrs)) == role


def test_each_role_is_one_axis() -> None:
    """Of two longitudes the first is X."""
    axes = {name: Axis.of(name, np.arange(2.0), {"axis": "X"}) for name in ("a", "b")}
    assert roles_of(axes) == {"a": "X"}


def test_each_axis_has_its_direction() -> None:
    """Of one role, too; of levels by `positive`, else by what they are."""
    axes = {
        name: Axis.of(name, np.arange(2.0), attrs)
        for name, attrs in {
            "lat": {},
            "slat": {"units": "degrees_north"},
            "height": {"positive": " DOWN "},
            "k": {"standard_name": "model_level_number"},
            "m": {"standard_name": "model_level_number", "positive": "up"},
            "gh": {"standard_name": "geopotential_height "},
            "sigma": {"standard_name": "atmosphere_sigma_coordinate"},
            "ln": {"standard_name": "atmosphere_ln_pressure_coordinate"},
            "s": {"standard_name": "ocean_s_coordinate"},
            "station": {},
        }.items()
    }
    assert directions_of(axes) == {
        "lat": ("Y", True),
        "slat": ("Y", True),
        "height": ("Z", False),
        "k": ("Z", False),
        "m": ("Z", True),
        "gh": ("Z", True),
        "sigma": ("Z", False),
        "ln": ("Z", True),
        "s": ("Z", True),
    }
    assert roles_of(axes) == {"lat": "Y", "height": "Z"}


def test_calendars() -> None:
    """That of datetime64 is proleptic, cftime's say theirs; what is no time has none."""
    noleap = np.array([cftime.DatetimeNoLeap(2000, 1, 1), cftime.DatetimeNoLeap(2000, 1, 2)])
    assert calendar_of_axis(Axis.of("t", noleap, {})) == "noleap"
    assert calendar_of_axis(Axis.of("t", DAYS, {})) == "proleptic_gregorian"
    assert calendar_of_axis(Axis.of("t", np.arange(3), {})) is None
