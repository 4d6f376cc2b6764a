"""Which axes are X, Y, Z or T (CF conventions 1.11, chapter 4), and whether Z points up."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from sluice.aliases import Document
from sluice.axes.axis import Axis, is_longitude
from sluice.axes.scales import Clock

Role: TypeAlias = Literal["X", "Y", "Z", "T"]
# The recommended units and the accepted ones.
NORTH: Final = {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"}
PRESSURE: Final = {"pa", "hpa", "bar", "mbar", "millibar", "millibars", "decibar", "dbar", "atm"}
# Standard names of vertical coordinates, and whether larger labels lie above where no attribute
# says so: all parametric ones and what is computed from them (CF conventions, appendix D, whose
# formulas show the direction), and what else cf-xarray takes for vertical (its `criteria`).
_LEVELS: Final[Mapping[str, bool]] = MappingProxyType(
    {
        "air_pressure": False,
        "depth": False,
        "model_level_number": False,
        "altitude": True,
        "height": True,
        "geopotential_height": True,
        "height_above_geopotential_datum": True,
        "height_above_mean_sea_level": True,
        "height_above_reference_ellipsoid": True,
        # Of pressure: one at the ground. The logarithm is that of its inverse, zero at the ground.
        "atmosphere_sigma_coordinate": False,
        "atmosphere_hybrid_sigma_pressure_coordinate": False,
        "atmosphere_ln_pressure_coordinate": True,
        # Of height.
        "atmosphere_hybrid_height_coordinate": True,
        "atmosphere_sleve_coordinate": True,
        # Zero at the surface and -1 at the bottom; but of the last one, 1 at a depth below it.
        "ocean_sigma_coordinate": True,
        "ocean_s_coordinate": True,
        "ocean_s_coordinate_g1": True,
        "ocean_s_coordinate_g2": True,
        "ocean_sigma_z_coordinate": True,
        "ocean_double_sigma_coordinate": False,
    }
)
_STANDARD_NAMES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        "longitude": "X",
        "projection_x_coordinate": "X",
        "grid_longitude": "X",
        "latitude": "Y",
        "projection_y_coordinate": "Y",
        "grid_latitude": "Y",
        "time": "T",
    }
)
# Usual names of such coordinates.
_NAMES: Final[Mapping[str, Role]] = MappingProxyType(
    {
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
)
_NAMES_ABOVE: Final = ("altitude", "height")


def role_of(axis: Axis) -> Role | None:
    """The role of an axis by its attributes, or else by its name; None if neither tells."""
    told = {key: _text(axis.attrs, key) for key in ("axis", "standard_name", "units", "positive")}
    match told["axis"].upper():
        case "X" | "Y" | "Z" | "T" as letter:
            return letter
    units = told["units"].lower()
    if isinstance(axis.scale, Clock):
        return "T"
    if told["standard_name"] in _LEVELS:
        return "Z"
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
    """The roles of axes by name; of several axes with one role only the first has it here."""
    found: dict[str, Role] = {}
    for name, axis in axes.items():
        role = role_of(axis)
        if role is not None and role not in found.values():
            found[name] = role
    return found


def directions_of(axes: Mapping[str, Axis]) -> dict[Hashable, tuple[Role, bool]]:
    """For each axis with a role: the role, and whether larger labels lie above (True but for Z).

    Staggered grids have several axes of one role. Levels without the attribute `positive` (CF
    conventions, section 4.3) go up if they are altitudes or heights, and down otherwise.
    """
    roles = {name: role for name, axis in axes.items() if (role := role_of(axis)) is not None}
    return {name: (role, role != "Z" or _grows_up(axes[name])) for name, role in roles.items()}


def _grows_up(axis: Axis) -> bool:
    told = _text(axis.attrs, "positive").lower()
    if told in ("up", "down"):
        return told == "up"
    named = _LEVELS.get(_text(axis.attrs, "standard_name"), False)
    return named or axis.name.lower() in _NAMES_ABOVE


def _ends(axis: Axis) -> tuple[float, float]:
    try:
        return float(axis.keys[0]), float(axis.keys[-1])
    except (TypeError, ValueError):
        return float("inf"), float("inf")


def _text(attrs: Document, name: str) -> str:
    value = attrs.get(name)
    return value.strip() if isinstance(value, str) else ""
