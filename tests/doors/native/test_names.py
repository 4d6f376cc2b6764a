"""What was probably meant, and how to write it."""

from __future__ import annotations

import numpy as np
import pytest

from app.doors.native.names import likely_name, with_cure
from app.doors.native.options import OPTIONS
from sluice.axes.axis import Axis
from sluice.axes.resolve import resolve
from sluice.axes.roles import Role
from sluice.errors import SelectionError
from sluice.selection import Label, Labels, Match, Selection

ROLES: dict[str, Role] = {"longitude": "X", "latitude": "Y", "plev": "Z", "valid_time": "T"}


@pytest.mark.parametrize(
    ("written", "known", "meant"),
    [
        ("tt", ["t", "u"], "t"),
        ("t2", ["t2m", "tp"], "t2m"),
        ("T2M", ["t2m", "tp"], "t2m"),
        ("u1", ["u10", "v10"], "u10"),
        ("tt", ["t2m", "precip"], None),
        ("foo", ["f", "o"], None),
    ],
)
def test_short_names_are_meant_by_those_of_a_letter_more(
    written: str, known: list[str], meant: str | None
) -> None:
    """Of variables and dimensions, whose names are often of one to three letters."""
    assert likely_name(written, known, {}) == meant


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("lat", "latitude"),
        ("LON", "longitude"),
        ("level", "plev"),
        ("time", "valid_time"),
        ("format", "f"),
        ("var", "variables"),
        ("start_date", "valid_time=a/b"),
        ("time_max", "valid_time=a/b"),
        ("end-time", "valid_time=a/b"),
        ("lat_min", "latitude=a/b"),
        ("latitud", "latitude"),
        ("Latitude", "latitude"),
        ("toleranse", "tolerance"),
        ("ff", "f"),
        ("xy", None),
        ("colour", None),
        ("", None),
        ("x" * 100_000, None),
    ],
)
def test_likely(written: str, meant: str | None) -> None:
    """Names of other services, of roles, and those that are nearly right."""
    others = {other: name for name, option in OPTIONS.items() for other in option.others}
    assert likely_name(written, [*OPTIONS, *ROLES], ROLES, others) == meant


def refused(axis: Axis, label: str, match: Match | None = None) -> SelectionError:
    with pytest.raises(SelectionError) as caught:
        resolve(Selection({axis.name: Label(label, match)}), {axis.name: axis}, {})
    return with_cure(caught.value, axis, axis.name)


def test_off_the_grid() -> None:
    """Between two labels the nearer one can be asked for; beyond the ends it cannot."""
    axis = Axis.of("lat", np.arange(50.0, 60.0, 2.5), {})
    error = refused(axis, "52.52")
    assert error.detail.endswith("for the nearer of them write lat=nearest::52.52")
    assert error.facts["cure"] == "lat=nearest::52.52"
    assert "cure" not in refused(axis, "10").facts
    assert "cure" not in refused(Axis.of("name", np.array(["a", "c"]), {}), "b").facts
    assert "cure" not in refused(Axis.of("odd", np.array([3, 1, 2]), {}), "1.5").facts


def test_the_cure_of_a_list_is_of_all_its_labels() -> None:
    """With one label of the list alone the dimension would go, and the other labels."""
    axis, asked = Axis.of("lat", np.arange(50.0, 60.0, 2.5), {}), Labels(("50", "52.52"))
    with pytest.raises(SelectionError) as caught:
        resolve(Selection({"lat": asked}), {"lat": axis}, {})
    assert with_cure(caught.value, axis, "lat", asked).facts["cure"] == "method=nearest"


def test_one_label_needs_a_tolerance() -> None:
    """It has no step that would say how far away a match may be."""
    axis = Axis.of("level", np.array([850.0]), {})
    error = refused(axis, "840", Match("nearest"))
    assert error.facts["cure"] == "tolerance=level:DISTANCE"
    resolve(Selection({"level": Label("840", Match("nearest", 10))}), {"level": axis}, {})
