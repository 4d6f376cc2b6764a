"""What is wrong with a dataset, or worth knowing: what axes and attributes show; reads nothing."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import xarray as xr

from sluice.aliases import Document
from sluice.axes.axis import DEGREES, EAST, TURN, Axis
from sluice.axes.roles import NORTH, PRESSURE
from sluice.axes.scales import Clock, Texts


class Severity(StrEnum):
    """How much a finding matters: an error keeps something from being read at all."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` names a variable or dimension (empty: the dataset); `text` says how to fix it."""

    severity: Severity
    where: str
    text: str


_TIMES: Final = frozenset({"time", "valid_time", "date", "datetime"})
_VERTICALS: Final = frozenset(
    {"level", "lev", "plev", "pressure", "isobaricinhpa", "height", "depth", "altitude", "alt"}
)
# A seam no wider than so many steps was probably meant to close.
_NARROW_SEAM: Final = 3


def axis_findings(dataset: xr.Dataset, axes: Mapping[str, Axis]) -> Iterator[Finding]:
    """What is wrong with each of the `axes`, which are those of `dataset`."""
    for name, axis in axes.items():
        yield from _labels(name, axis, dataset)
        yield from _description(name, axis)
        yield from _calendar(name, axis)
        yield from _longitudes(name, axis)


def dimension_findings(dataset: xr.Dataset) -> Iterator[Finding]:
    """Dimensions without labels, and coordinates that no label can select by."""
    bounds = _bounds(dataset)
    covered: set[Hashable] = set()
    for name, coord in dataset.coords.items():
        if name in bounds:
            continue
        words = _attribute(coord.attrs, "standard_name"), _attribute(coord.attrs, "units").lower()
        if coord.ndim > 1 and _place_of(str(name).lower(), *words):
            covered |= set(coord.dims)
            dims = ", ".join(map(str, coord.dims))
            yield Finding(
                Severity.NOTE,
                str(name),
                f"it varies along {dims}, so it is no axis to select by: use isel along {dims},"
                " or at=lon,lat for the nearest cell.",
            )
    for dim in dataset.sizes:
        of_data = any(dim in v.dims for n, v in dataset.variables.items() if n not in bounds)
        if of_data and dim not in dataset.xindexes and dim not in covered:
            yield Finding(
                Severity.NOTE,
                str(dim) or "''",
                "this dimension has no coordinate: it is selected by position.",
            )


def _labels(name: str, axis: Axis, dataset: xr.Dataset) -> Iterator[Finding]:
    methods = "nearest, pad and backfill are refused"
    if missing := int(dataset.variables[name].isnull().sum()):
        yield Finding(
            Severity.WARNING,
            name,
            f"{missing} of {axis.size} labels are missing (NaN or NaT): isel alone reaches these "
            f"positions{f', and {methods}' if axis.scale.metric else ''}. Label or remove them.",
        )
    if repeated := len(axis.keys) - len(set(axis.keys)):
        count = "1 label repeats" if repeated == 1 else f"{repeated} labels repeat"
        yield Finding(
            Severity.WARNING,
            name,
            f"{count} an earlier one: such a label answers with all its positions, and {methods}. "
            "Keep one of each.",
        )
    if axis.scale.metric and not axis.is_sorted:
        yield Finding(
            Severity.WARNING,
            name,
            f"its labels neither rise nor fall: {methods}, and intervals read scattered "
            f"positions. Sort the store along {name}.",
        )


def _description(name: str, axis: Axis) -> Iterator[Finding]:
    text = _missing_attributes(name.lower(), axis)
    if text is not None:
        yield Finding(Severity.WARNING, name, text)


def _missing_attributes(name: str, axis: Axis) -> str | None:
    """What an axis lacks to be known for what its name or another attribute says it is."""
    attrs = {
        key: _attribute(axis.attrs, key) for key in ("units", "standard_name", "axis", "positive")
    }
    units, standard_name = attrs["units"].lower(), attrs["standard_name"]
    match _kind(name, attrs):
        case "time" if not isinstance(axis.scale, Clock):
            labels = "text" if isinstance(axis.scale, Texts) else "plain numbers"
            return (
                f"it looks like time, but its labels are {labels}: store numbers with units such "
                "as 'hours since 1970-01-01' (and a calendar)."
            )
        case "latitude" if not _known_degrees(units, NORTH, standard_name == "latitude"):
            return _told("latitude", units, "units='degrees_north', standard_name='latitude'")
        case "longitude" if not _known_degrees(units, EAST, standard_name == "longitude"):
            return _told("longitude", units, "units='degrees_east', standard_name='longitude'")
        case "height" if not units:
            return _told("a vertical axis", units, "units, and positive='up' or 'down'")
        case "height" if units not in PRESSURE and attrs["positive"] not in ("up", "down"):
            return "it looks like a vertical axis, and does not say where up is: set positive."
        case _:
            return None


def _attribute(attrs: Document, name: str) -> str:
    """The attribute `name` as stripped text; empty where it is absent or something else."""
    value = attrs.get(name)
    return value.strip() if isinstance(value, str) else ""


def _kind(name: str, attrs: Mapping[str, str]) -> str:
    """What an axis of this (lower-case) name and these attributes looks like; empty: unknown."""
    standard_name, units = attrs["standard_name"], attrs["units"].lower()
    if place := _place_of(name, standard_name, units):
        return place
    if name in _TIMES or standard_name == "time" or attrs["axis"] == "T":
        return "time"
    return "height" if name in _VERTICALS or attrs["axis"] == "Z" or attrs["positive"] else ""


def _place_of(name: str, standard_name: str, units: str) -> str:
    """``latitude`` or ``longitude`` where a name or attributes say so, else empty."""
    for place, known in (("latitude", NORTH), ("longitude", EAST)):
        if name in (place, place[:3]) or standard_name == place or units in known:
            return place
    return ""


def _known_degrees(units: str, known: Collection[str], named: bool) -> bool:
    return units in known or (units in DEGREES and named)


def _told(what: str, units: str, wanted: str) -> str:
    state = f"its units are {units!r}" if units else "it has no units"
    return f"it looks like {what}, but {state}, so programs cannot know: set {wanted}."


def _calendar(name: str, axis: Axis) -> Iterator[Finding]:
    dates = [value for value in axis.values[:100] if hasattr(value, "calendar")]
    if not isinstance(axis.scale, Clock) or not dates:
        return
    yield Finding(
        Severity.NOTE,
        name,
        f"its calendar is {dates[0].calendar}: times are written as dates of that calendar, from "
        f"{axis.range[0]} to {axis.range[1]}, and answers give them without a Z.",
    )


def _longitudes(name: str, axis: Axis) -> Iterator[Finding]:
    if not axis.longitude or axis.periodic:
        return
    if axis.first_step is None or axis.last_step is None:
        return
    low, high = axis.keys[0], axis.keys[-1]
    gap, step = low + TURN - high, max(axis.first_step, axis.last_step)
    if gap <= _NARROW_SEAM * step * 1.001:
        yield Finding(
            Severity.WARNING,
            name,
            f"from {high:g} on to {low:g} it is {gap:g} degrees, elsewhere at most {step:g}: "
            "columns are missing there, and nothing wraps. Store all of them.",
        )
    else:
        yield Finding(
            Severity.NOTE,
            name,
            f"it covers {low:g} to {high:g}, a part of the circle: intervals end there, and "
            "nearest reaches one step beyond.",
        )


def _bounds(dataset: xr.Dataset) -> set[Hashable]:
    """The variables that hold the ends or corners of others' cells (CF, section 7.1)."""
    return {
        named
        for variable in dataset.variables.values()
        for attrs in (variable.attrs, variable.encoding)
        if (named := attrs.get("bounds")) is not None
    }


_FILLS = ("_FillValue", "missing_value")


def mask_findings(dataset: xr.Dataset) -> Iterator[Finding]:
    """What fill values do to the booleans of a dataset; reads nothing."""
    for name, variable in dataset.variables.items():
        fills = {key: variable.encoding[key] for key in _FILLS if key in variable.encoding}
        text = _masked(variable, fills) if fills else None
        if text is not None:
            yield Finding(Severity.WARNING, str(name), text)


def _masked(variable: xr.Variable, fills: dict[str, object]) -> str | None:
    """The finding, if the variable holds booleans: stored as such, or as numbers (xarray's way)."""
    stored, fix = variable.encoding.get("dtype"), _fix(fills)
    if variable.dtype.kind == "O" and isinstance(stored, np.dtype) and stored.kind == "b":
        words = " and every ".join(sorted({str(bool(fill)).lower() for fill in fills.values()}))
        return (
            f"its booleans have a fill value, so every {words} is read as missing, as xarray reads "
            f"it: null in JSON, an empty field in CSV, -1 in NetCDF. If it is no gap, {fix}."
        )
    if variable.dtype.kind == "b":
        numbers = ", ".join(sorted({str(fill) for fill in fills.values()}))
        return (
            f"its booleans are stored as numbers with the fill value {numbers}, and what is "
            f"missing is read as true, as xarray reads it: {fix}."
        )
    return None


def _fix(fills: dict[str, object]) -> str:
    return f"set fill_value to null (Zarr v2), or remove the attribute {' and '.join(fills)}"
