"""What CoverageJSON and EDR say of variables and axes, of their CF attributes.

Parameters, units, categories and reference systems (CoverageJSON 1.0, OGC 21-069r2, sections 3, 4
and 5; OGC API EDR 1.1, OGC 19-086r6, section 8.2.10; CF conventions 1.11, sections 3.3 to 3.5).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sluice.aliases import Array, Document, DocumentDict, DType, Named

_STANDARD_NAMES: Final = "http://vocab.nerc.ac.uk/standard_name/"
_UCUM: Final = "http://www.opengis.net/def/uom/UCUM/"
CRS84: Final = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
EPSG4326: Final = "http://www.opengis.net/def/crs/EPSG/0/4326"
# Names, sentences and units are cut where they are longer.
_LONGEST: Final = 1000
_MOST_CATEGORIES: Final = 1000
# Degrees of longitude all the way round.
TURN: Final = 360


def data_type(dtype: DType) -> str | None:
    """What CoverageJSON calls values of this type; None for what it has no values for."""
    match dtype.kind:
        case "f":
            return "float"
        case "i" | "u" | "b":
            return "integer"
        case "c" | "V":
            return None
        case _:
            return "string"


def parameter_of(name: str, attrs: Named, dtype: DType) -> DocumentDict:
    """A variable as a Parameter of CoverageJSON, whose labels are texts by language."""
    label, standard = label_of(name, attrs), _text(attrs, "standard_name")
    observed: DocumentDict = {"label": {"en": label}}
    if standard:
        observed = {"id": f"{_STANDARD_NAMES}{standard}/", **observed}
    described: DocumentDict = {
        "type": "Parameter",
        "id": name,
        "description": {"en": _text(attrs, "comment") or label},
    }
    if categories := _categories(attrs, dtype):
        # Categories have no unit (CoverageJSON 1.0, section 3.1).
        observed["categories"] = [{"id": word, "label": {"en": word}} for word in categories]
        encoding = dict(categories)
        return {**described, "observedProperty": observed, "categoryEncoding": encoding}
    if symbol := _text(attrs, "units"):
        unit = {"label": {"en": symbol}, "symbol": {"value": symbol, "type": _UCUM}}
        described["unit"] = unit
    return {**described, "observedProperty": observed}


def parameter_name_of(name: str, attrs: Named, dtype: DType) -> DocumentDict:
    """A variable as an entry of ``parameter_names`` of an EDR collection; labels are plain."""
    label, standard = label_of(name, attrs), _text(attrs, "standard_name")
    observed: DocumentDict = {"label": label}
    if standard:
        observed = {"id": f"{_STANDARD_NAMES}{standard}/", **observed}
    described: DocumentDict = {
        "type": "Parameter",
        "id": name,
        "description": _text(attrs, "comment") or label,
        "dataType": data_type(dtype),
        "observedProperty": observed,
    }
    if categories := _categories(attrs, dtype):
        observed["categories"] = [{"id": word, "label": word} for word in categories]
        described["categoryEncoding"] = dict(categories)
    elif symbol := _text(attrs, "units"):
        described["unit"] = {"label": symbol, "symbol": {"value": symbol, "type": _UCUM}}
    return described


def around_greenwich(values: Array) -> Array:
    """Longitudes from -180 to 180 degrees, in the type that they have (a wider one if need be)."""
    if not values.ndim and -180 <= values <= 180:
        return values
    if values.dtype.kind == "u" or (values.dtype.kind == "i" and values.dtype.itemsize < 4):
        values = values.astype("i8")
    east, west = values > 180, values < -180
    if not (east.any() or west.any()):
        return values
    turns = np.where(east, np.ceil((values - 180) / TURN), 0.0)
    turns = np.where(west, np.floor((values + 180) / TURN), turns)
    turned: Array = values.astype("f8") - turns * TURN
    return np.where(east | west, turned.astype(values.dtype), values)


def label_of(name: str, attrs: Named) -> str:
    """What people call a variable: its long name, its standard name in words, or its name."""
    standard = _text(attrs, "standard_name").replace("_", " ")
    return _text(attrs, "long_name") or standard or name


def reference_systems(
    crs: str, vertical: Document | None, calendar: str | None
) -> dict[str, DocumentDict]:
    """The reference system of places, levels and times, by the first letter of its axes.

    `crs` is `CRS84` or `EPSG4326`, whose order of coordinates is latitude, longitude.
    """
    order = ["y", "x"] if crs == EPSG4326 else ["x", "y"]
    found: dict[str, DocumentDict] = {
        "x": {"coordinates": order, "system": {"type": "GeographicCRS", "id": crs}}
    }
    if vertical is not None:
        found["z"] = {"coordinates": ["z"], "system": dict(vertical)}
    if calendar is not None:
        system = {"type": "TemporalRS", "calendar": calendar}
        found["t"] = {"coordinates": ["t"], "system": system}
    return found


def vertical_system(name: str, attrs: Named, up: bool) -> DocumentDict:
    """The reference system of levels along this coordinate."""
    axis: DocumentDict = {
        "name": {"en": label_of(name, attrs)},
        "direction": "up" if up else "down",
        "unit": {"symbol": _text(attrs, "units") or "1"},
    }
    return {"type": "VerticalCRS", "cs": {"csAxes": [axis]}}


def _categories(attrs: Named, dtype: DType) -> dict[str, list[int]]:
    """The words of flags and the values that mean them; none where they are no such flags."""
    if dtype.kind not in "iuf" or "flag_values" not in attrs:
        return {}
    words = _text(attrs, "flag_meanings").split()
    values = np.atleast_1d(np.asarray(attrs["flag_values"]))
    if values.dtype.kind not in "iuf" or values.ndim != 1 or len(words) != values.size:
        return {}
    if not words or len(words) > _MOST_CATEGORIES or not np.isfinite(values).all():
        return {}
    if (values != np.round(values)).any():
        return {}
    found: dict[str, list[int]] = {}
    for word, value in zip(words, values.tolist(), strict=True):
        found.setdefault(word, []).append(int(value))
    return found


def _text(attrs: Named, name: str) -> str:
    value = attrs.get(name)
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""
