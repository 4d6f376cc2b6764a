"""What clients write of places: well-known text, boxes, distances, and coordinate systems.

Places are longitudes and latitudes in degrees. Well-known text (OGC 06-103r4, chapter 7) is read by
GEOS, which is imported when the first comes; it gets none that is long, nested or anything but the
kinds of geometry that a query takes.
"""

from __future__ import annotations

import asyncio
import math
import re
import sys
from importlib import import_module
from itertools import accumulate
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import record
from sluice.axes.globe import EARTH_KM
from sluice.encoders.coverage_parts import CRS84, EPSG4326, TURN
from sluice.errors import QueryError, excerpt

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
# A geometry of shapely, whose types it does not tell.
Geometry: TypeAlias = Any

LONGEST_TEXT: Final = 512 * 2**10
MOST_VERTICES: Final = 20_000
_KINDS: Final = re.compile(
    r"\s*(POINT|MULTIPOINT|POLYGON|MULTIPOLYGON|LINESTRING|MULTILINESTRING)\s*(ZM|Z|M)?\s*(?=\()",
    re.IGNORECASE,
)
_COORDINATES: Final = re.compile(r"[0-9eE+\-.,()\s]+")
_NUMBER: Final = r"([+-]?[0-9]+(?:\.[0-9]*)?)"
_POINT: Final = re.compile(rf"\s*POINT\s*\(\s*{_NUMBER}\s+{_NUMBER}\s*\)\s*", re.IGNORECASE)
_SHORT: Final = 100
# Parentheses inside each other: a polygon of several parts has three.
_DEEPEST: Final = 3
# The systems that coordinates may be in, by the names that clients have for them, and whether the
# latitude comes first (OGC 18-005r4, and EPSG's own order of axes).
_SYSTEMS: Final = {
    CRS84.lower(): CRS84,
    "https://www.opengis.net/def/crs/ogc/1.3/crs84": CRS84,
    "http://www.opengis.net/def/crs/ogc/0/crs84": CRS84,
    "https://www.opengis.net/def/crs/ogc/0/crs84": CRS84,
    "urn:ogc:def:crs:ogc:1.3:crs84": CRS84,
    "urn:ogc:def:crs:ogc::crs84": CRS84,
    "crs84": CRS84,
    "crs:84": CRS84,
    "ogc:crs84": CRS84,
    "wgs84": CRS84,
    EPSG4326.lower(): EPSG4326,
    "https://www.opengis.net/def/crs/epsg/0/4326": EPSG4326,
    "urn:ogc:def:crs:epsg::4326": EPSG4326,
    "epsg:4326": EPSG4326,
}
_KM: Final = {
    **dict.fromkeys(("km", "kilometer", "kilometers", "kilometre", "kilometres"), 1.0),
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 0.001),
    **dict.fromkeys(("mi", "mile", "miles"), 1.609344),
    **dict.fromkeys(("nmi", "nautical miles"), 1.852),
    **dict.fromkeys(("ft", "feet"), 0.0003048),
}
DISTANCE_UNITS: Final = ("km", "m", "mi", "nmi", "ft")
_FARTHEST_KM: Final = math.pi * EARTH_KM


@record
class Box:
    """West, south, east and north; `west` may be more than `east`, across the antimeridian."""

    west: float
    south: float
    east: float
    north: float
    levels: tuple[float, float] | None = None


@record
class Line:
    """The vertices of lines, each with its longitude, latitude, and level and time if it has them.

    Times are seconds since 1970. `starts` are the numbers of the vertices that begin a line.
    """

    lon: Floats
    lat: Floats
    level: Floats | None
    seconds: Floats | None
    starts: tuple[int, ...]


async def have_geometry() -> None:
    """Import GEOS, if nobody has: a tenth of a second in which the loop goes on."""
    if "shapely" not in sys.modules:
        await asyncio.to_thread(import_module, "shapely")


def system_of(crs: str | None) -> str:
    """The URI of the system that `crs` names: CRS84 where it names none.

    Raises `QueryError` for one that is not known.
    """
    if crs is None or not crs.strip():
        return CRS84
    found = _SYSTEMS.get(crs.strip().strip("[]<>").lower())
    if found is None:
        raise QueryError(
            f"crs={excerpt(crs)} is not known here; it takes CRS84 and EPSG:4326",
            parameter="crs",
            known=[CRS84, EPSG4326],
        )
    return found


def read_point(text: str | None, crs: str) -> tuple[float, float] | None:
    """The longitude and latitude of a point as nearly everybody writes it; None for other texts.

    Raises `QueryError` for coordinates that no place has.
    """
    found = _POINT.fullmatch(text) if text is not None and len(text) < _SHORT else None
    if found is None:
        return None
    lon, lat = float(found[1]), float(found[2])
    if crs == EPSG4326:
        lon, lat = lat, lon
    if not (-180 <= lon <= 360 and -90 <= lat <= 90):
        check_places(np.array([lon]), np.array([lat]), "coords")
    return lon, lat


def read_geometry(text: str | None, kinds: tuple[str, ...], crs: str) -> Geometry:
    """The geometry of `coords`, one of these `kinds`, in this system.

    Raises `QueryError` for no text and any other, and for coordinates that no place has.
    """
    expected = f"coords takes well-known text of {' or '.join(kinds)}, such as {_EXAMPLES[kinds]}"
    if text is None or not text.strip():
        raise QueryError(f"{expected}; there is none", parameter="coords")
    if len(text) > LONGEST_TEXT:
        raise QueryError(
            f"coords has {len(text)} letters; it may have {LONGEST_TEXT}", parameter="coords"
        )
    found = _KINDS.match(text)
    kind, rest = (found[1].upper(), text[found.end() :]) if found else ("", "")
    if kind not in kinds or not _is_nested(rest) or _COORDINATES.fullmatch(rest) is None:
        raise QueryError(f"{expected}; it is {excerpt(text)}", parameter="coords")
    import shapely

    try:
        geometry = shapely.from_wkt(text)
    except (shapely.errors.GEOSException, ValueError):
        told = f"coords cannot be read: {_RULES[kind.removeprefix('MULTI')]}"
        raise QueryError(f"{told}; {expected}", parameter="coords") from None
    return _checked(geometry, crs)


_RULES: Final = {
    "POINT": "a place is two numbers with a blank between them",
    "POLYGON": "each ring has four places or more, and the last one is the first",
    "LINESTRING": "each line has two places or more",
}
_EXAMPLES: Final = {
    ("POINT", "MULTIPOINT"): "POINT(13.4 52.5)",
    ("POINT",): "POINT(13.4 52.5)",
    ("POLYGON", "MULTIPOLYGON"): "POLYGON((5 45,15 45,15 55,5 45))",
    ("LINESTRING", "MULTILINESTRING"): "LINESTRING(5 45,15 55)",
}


def _is_nested(text: str) -> bool:
    """Whether parentheses close, and none is too deep."""
    signs = (1 if sign == "(" else -1 for sign in re.findall("[()]", text))
    depths = list(accumulate(signs, initial=0))
    return depths[-1] == 0 and min(depths) == 0 and max(depths) <= _DEEPEST


def _checked(geometry: Geometry, crs: str) -> Geometry:
    import shapely

    count = int(shapely.get_num_coordinates(geometry))
    if geometry.is_empty or not count:
        raise QueryError("coords has no coordinates", parameter="coords")
    if count > MOST_VERTICES:
        raise QueryError(
            f"coords has {count} vertices; it may have {MOST_VERTICES}",
            parameter="coords",
            limit=MOST_VERTICES,
        )
    places = _coordinates(geometry, crs)
    check_places(places[:, 0], places[:, 1], "coords")
    return geometry


def _coordinates(geometry: Geometry, crs: str, z: bool = False, m: bool = False) -> Floats:
    """Rows of a longitude, a latitude, and a level and a time where these are wanted."""
    import shapely

    found: Floats = shapely.get_coordinates(geometry, include_z=z, include_m=m)
    if crs == EPSG4326:
        found[:, :2] = found[:, 1::-1].copy()
    return found


def check_places(lon: Floats, lat: Floats, parameter: str) -> None:
    """Raise `QueryError` for coordinates that no place has."""
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        raise QueryError(f"{parameter}: a coordinate is no finite number", parameter=parameter)
    for name, values, least, most in (("latitude", lat, -90, 90), ("longitude", lon, -180, 360)):
        wrong = values[(values < least) | (values > most)]
        if wrong.size:
            raise QueryError(
                f"{parameter}: no place has the {name} {wrong[0]:g}, which is from {least} to"
                f" {most}; in CRS84 the longitude comes first, in EPSG:4326 the latitude",
                parameter=parameter,
                range=[least, most],
            )


def places_of(geometry: Geometry, crs: str) -> tuple[Floats, Floats, Floats | None]:
    """The longitudes, latitudes and, if they have them, levels of points."""
    import shapely

    has_z = bool(shapely.has_z(geometry))
    found = _coordinates(geometry, crs, has_z)
    return found[:, 0], found[:, 1], found[:, 2] if has_z else None


def line_of(geometry: Geometry, crs: str) -> Line:
    """The vertices of one line, or several."""
    import shapely

    parts = [geometry] if geometry.geom_type == "LineString" else list(geometry.geoms)
    has_z, has_m = bool(shapely.has_z(geometry)), bool(shapely.has_m(geometry))
    found = [_coordinates(one, crs, has_z, has_m) for one in parts]
    ends = np.cumsum([len(one) for one in found])
    vertices = np.concatenate(found)
    level, seconds = (vertices[:, 2] if has_z else None), (vertices[:, -1] if has_m else None)
    for values in (level, seconds):
        if values is not None and not np.isfinite(values).all():
            raise QueryError("coords: each vertex has as many numbers", parameter="coords")
    starts = (0, *ends[:-1].tolist())
    return Line(vertices[:, 0], vertices[:, 1], level, seconds, starts)


def box_of(geometry: Geometry, crs: str) -> tuple[list[Geometry], Box]:
    """The polygons, and what they lie in.

    Parts on both sides of the antimeridian are put beside each other if that is narrower. Raises
    `QueryError` for rings that cross themselves: to mend them takes time without a bound.
    """
    import shapely

    geometry = shapely.force_2d(geometry)
    if crs == EPSG4326:
        geometry = shapely.transform(geometry, lambda places: places[:, ::-1])
    parts = shapely.get_parts(geometry)
    wrong = parts[~shapely.is_valid(parts)]
    if wrong.size:
        _, _, place = str(shapely.is_valid_reason(wrong[0])).partition("[")
        raise QueryError(
            f"coords: a ring crosses or touches itself or another one at {place.rstrip(']')}",
            parameter="coords",
        )
    bounds = shapely.bounds(parts)
    turned = np.where(bounds[:, 2] <= 0, TURN, 0)
    wests, easts = bounds[:, 0] + turned, bounds[:, 2] + turned
    found = list(parts)
    if easts.max() - wests.min() < bounds[:, 2].max() - bounds[:, 0].min():
        found = [
            shapely.transform(part, lambda places: np.add(places, (TURN, 0))) if turn else part
            for part, turn in zip(parts, turned, strict=True)
        ]
        bounds[:, 0], bounds[:, 2] = wests, easts
    shapely.prepare(found)
    west, south = bounds[:, 0].min(), bounds[:, 1].min()
    east, north = bounds[:, 2].max(), bounds[:, 3].max()
    return found, Box(float(west), float(south), float(east), float(north))


def read_distance(distance: str | None, units: str | None) -> float:
    """The kilometres of ``within`` and ``within-units``; raises `QueryError` for other texts."""
    if distance is None or units is None:
        raise QueryError(
            "radius takes within, a distance, and within-units, such as within=50&within-units=km",
            parameter="within" if distance is None else "within-units",
        )
    factor = _KM.get(units.strip().lower())
    if factor is None:
        raise QueryError(
            f"within-units={excerpt(units)} is not known; it takes {', '.join(DISTANCE_UNITS)}",
            parameter="within-units",
            known=list(DISTANCE_UNITS),
        )
    km = read_number(distance, "within") * factor
    if km <= 0:
        raise QueryError("within: a distance is more than 0", parameter="within")
    return min(km, _FARTHEST_KM)


def read_number(text: str, parameter: str) -> float:
    """A finite number; raises `QueryError` for other texts."""
    try:
        number = float(text) if len(text) <= 100 and "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise QueryError(
            f"{parameter}: {excerpt(text)} is no finite number", parameter=parameter
        ) from None
    return number


def read_box(text: str | None, crs: str) -> Box:
    """The box of `bbox`: four numbers, or six with levels; raises `QueryError` for other texts."""
    if text is None or not text.strip():
        raise QueryError("cube takes bbox=west,south,east,north", parameter="bbox")
    parts = text.split(",", 7)
    if len(parts) not in (4, 6):
        raise QueryError(
            f"bbox takes west,south,east,north, or 6 numbers with levels, and not {excerpt(text)}",
            parameter="bbox",
        )
    numbers = [read_number(part.strip(), "bbox") for part in parts]
    middle = len(numbers) // 2
    low, high = numbers[:middle], numbers[middle:]
    if crs == EPSG4326:
        low[:2], high[:2] = low[1::-1], high[1::-1]
    check_places(np.array([low[0], high[0]]), np.array([low[1], high[1]]), "bbox")
    if low[1] > high[1]:
        raise QueryError(
            "bbox: it lies with its south end north of its north end", parameter="bbox"
        )
    levels = (low[2], high[2]) if middle == 3 else None
    return Box(low[0], low[1], high[0], high[1], levels)
