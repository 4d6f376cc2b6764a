"""What the axes of a dataset stand for: X, Y, Z or T (CF conventions 1.11, chapter 4).

Which axes are longitudes, and which of those are periodic.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from sluice.aliases import Document
from sluice.axes.scales import Clock

if TYPE_CHECKING:
    from sluice.axes.axis import Axis

TURN: Final = 360
# CF conventions, section 4.2: the recommended spelling and the accepted ones.
EAST = frozenset({"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"})
DEGREES = frozenset({"degrees", "degree"})
_LONGITUDE_NAMES = frozenset({"lon", "longitude"})
# Beyond two turns either way, labels that claim to be longitudes are something else.
_FARTHEST = 2 * TURN
Role: TypeAlias = Literal["X", "Y", "Z", "T"]
# The recommended units and the accepted ones; standard names; what people call such axes.
NORTH: Final = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"}
PRESSURE: Final = {"pa", "hpa", "bar", "mbar", "millibar", "millibars", "decibar", "dbar", "atm"}
_STANDARD_NAMES: Final[Mapping[str, Role]] = {
    "longitude": "X",
    "projection_x_coordinate": "X",
    "grid_longitude": "X",
    "latitude": "Y",
    "projection_y_coordinate": "Y",
    "grid_latitude": "Y",
    "time": "T",
    "air_pressure": "Z",
    "altitude": "Z",
    "depth": "Z",
    "height": "Z",
}
_NAMES: Final[Mapping[str, Role]] = {
    "lon": "X",
    "longitude": "X",
    "x": "X",
    "lat": "Y",
    "latitude": "Y",
    "y": "Y",
    "time": "T",
    "lev": "Z",
    "level": "Z",
    "plev": "Z",
    "depth": "Z",
    "height": "Z",
    "altitude": "Z",
    "isobaricinhpa": "Z",
}

# Standard names and names of what is counted upwards.
_ABOVE: Final = frozenset(("altitude", "height"))


def is_longitude(name: str, attrs: Document, low: float, high: float) -> bool:
    """Whether labels from `low` to `high` are degrees of longitude, by CF attributes or by name.

    Units that are not degrees (radians, metres) have the last word.
    """
    if not (-_FARTHEST <= low <= high <= _FARTHEST):
        return False
    units = attrs.get("units")
    unit = units.strip().lower() if isinstance(units, str) else ""
    if unit in EAST:
        return True
    if unit and unit not in DEGREES:
        return False
    if attrs.get("standard_name") == "longitude" or name.lower() in _LONGITUDE_NAMES:
        return True
    return unit in DEGREES and attrs.get("axis") == "X"


def is_periodic(low: float, high: float, step: float, spacing: float) -> bool:
    """Whether one more step after the label `high` reaches ``low + 360``.

    Within a thousandth of a step and four times the labels' own precision (`spacing`): decimals
    that were cut before they were stored do not open the circle.
    """
    return bool(high + step * 1.001 + 4 * spacing >= low + TURN)


def role_of(axis: Axis) -> Role | None:
    """What an axis stands for: by its attributes first, and by its name where these are silent."""
    told = {key: _text(axis.attrs, key) for key in ("axis", "standard_name", "units", "positive")}
    match told["axis"].upper():
        case "X" | "Y" | "Z" | "T" as letter:
            return letter
    units = told["units"].lower()
    if isinstance(axis.scale, Clock):
        return "T"
    if role := _STANDARD_NAMES.get(told["standard_name"]):
        return role
    if units in NORTH:
        return "Y"
    if len(axis.keys) and is_longitude(axis.name, axis.attrs, *_ends(axis)):
        return "X"
    if told["positive"].lower() in ("up", "down") or units in PRESSURE:
        return "Z"
    return _NAMES.get(axis.name.lower())


def roles_of(axes: Mapping[str, Axis]) -> dict[str, Role]:
    """The role of each axis that has one; of several with one role, that of the first."""
    found: dict[str, Role] = {}
    for name, axis in axes.items():
        role = role_of(axis)
        if role is not None and role not in found.values():
            found[name] = role
    return found


def directions_of(
    axes: Mapping[str, Axis], roles: Mapping[str, Role]
) -> dict[Hashable, tuple[str, bool]]:
    """The role of each axis that has one, and whether what has larger labels lies above.

    Of heights that do not say so (CF conventions, section 4.3), pressures, depths and numbers of
    levels go down.
    """
    return {name: (role, role != "Z" or _grows_up(axes[name])) for name, role in roles.items()}


def _grows_up(axis: Axis) -> bool:
    told = _text(axis.attrs, "positive").lower()
    if told in ("up", "down"):
        return told == "up"
    return _text(axis.attrs, "standard_name") in _ABOVE or axis.name.lower() in _ABOVE


def calendar_of_axis(axis: Axis) -> str | None:
    """The calendar of an axis of times, as CF names it; None for another axis."""
    if not isinstance(axis.scale, Clock):
        return None
    if axis.values.dtype.kind == "M":
        return "proleptic_gregorian"
    dated = (value for value in axis.values if value is not None)
    return str(getattr(next(dated, None), "calendar", "")) or None


def _ends(axis: Axis) -> tuple[float, float]:
    try:
        return float(axis.keys[0]), float(axis.keys[-1])
    except (TypeError, ValueError):
        return float("inf"), float("inf")


def _text(attrs: Document, name: str) -> str:
    value = attrs.get(name)
    return value.strip() if isinstance(value, str) else ""
