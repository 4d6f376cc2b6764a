"""What a dataset is as a collection of EDR: its axes, its extent, its parameters.

(OGC API - Environmental Data Retrieval 1.1, OGC 19-086r6, chapter 8.) A collection has the data
variables of one grid: along axes of longitudes and latitudes, or along two dimensions that have
coordinates of both; of levels and of times it has the first axes. What else a variable lies along
is a dimension of the collection's own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

import numpy as np

from sluice.aliases import DocumentDict, record
from sluice.axes.axis import Axis
from sluice.axes.roles import directions_of
from sluice.axes.scales import Clock
from sluice.encoders.coverage_parts import (
    CRS84,
    EPSG4326,
    TURN,
    around_greenwich,
    data_type,
    parameter_name_of,
    parameter_of,
    reference_systems,
    vertical_system,
)
from sluice.encoders.jsonable import array_to_jsonable, json_text
from sluice.engine import PreparedDataset
from sluice.engine.nearest import GridCells, LonLat, grids_of
from sluice.engine.prepared import calendar_of_axis

from ...catalog.entry import DatasetEntry
from ...catalog.opened import Opened
from .formats import FORMATS

WKT84: Final = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]'
)

GREGORIAN: Final = "http://www.opengis.net/def/uom/ISO-8601/0/Gregorian"
# Clients choose among all labels of a collection; a list of collections tells few of each.
MOST_VALUES: Final = 100_000
FEW_VALUES: Final = 100


@record
class Collection:
    """One dataset, prepared for queries.

    `axes` are the names of its coordinates by letters: x and y, those of its `grid`, and z and t
    where it has them; `others` what else its parameters lie along. `parameters` are texts of
    CoverageJSON by name, `references` those of reference systems for each coordinate system and
    letter. The `cells` of a grid without axes are there once they were read.
    """

    prepared: PreparedDataset
    grid: LonLat
    axes: Mapping[str, str]
    others: tuple[str, ...]
    parameters: Mapping[str, bytes]
    names: Mapping[str, DocumentDict]
    references: Mapping[str, Mapping[str, bytes]]
    cells: GridCells | None = None

    def axis(self, letter: str) -> Axis | None:
        """The axis of this letter, if there is one."""
        name = self.axes.get(letter)
        return None if name is None else self.prepared.axes.get(name)

    @classmethod
    def of(cls, opened: Opened) -> Collection | None:
        """The collection that this dataset is; None where it has no grid of degrees."""
        prepared = opened.prepared
        variables, grid = prepared.dataset.variables, _grid_of(prepared)
        if grid is None:
            return None
        found = {
            str(name): variables[name]
            for name in _lying_on(prepared, grid)
            if len(set(variables[name].dims)) == len(variables[name].dims)
            and data_type(variables[name].dtype) is not None
        }
        used = {str(dim) for variable in found.values() for dim in variable.dims} - set(grid.dims)
        axes = {"x": grid.lon, "y": grid.lat, **_along(prepared, used)}
        others = tuple(dim for dim in prepared.sizes if dim in used and dim not in axes.values())
        parameters = {
            name: json_text(parameter_of(name, one.attrs, one.dtype)) for name, one in found.items()
        }
        names = {name: parameter_name_of(name, v.attrs, v.dtype) for name, v in found.items()}
        return cls(prepared, grid, axes, others, parameters, names, _references(prepared, axes))


def _grid_of(prepared: PreparedDataset) -> LonLat | None:
    """The grid that is served: the first along axes, else the one that most variables lie on."""
    grids = [grid for grid in grids_of(prepared) if _lying_on(prepared, grid)]
    for grid in grids:
        if grid.axes and all(len(prepared.axes[name].keys) for name in grid.dims):
            return grid
    curved = [grid for grid in grids if len(grid.dims) == 2 and not grid.axes]
    return max(curved, key=lambda grid: len(_lying_on(prepared, grid)), default=None)


def _lying_on(prepared: PreparedDataset, grid: LonLat) -> list[Hashable]:
    """The data variables on a grid."""
    variables = prepared.dataset.variables
    dims = {*grid.dims, *((grid.over,) if grid.over is not None else ())}
    names = [name for name in prepared.dataset.data_vars if name not in (grid.lon, grid.lat)]
    return [name for name in names if dims <= set(variables[name].dims)]


def _along(prepared: PreparedDataset, dims: set[str]) -> dict[str, str]:
    """The axes of levels and times among these dimensions, by their letters."""
    found: dict[str, str] = {}
    for name, (role, _) in directions_of(prepared.axes).items():
        axis, letter = prepared.axes[str(name)], role.lower()
        if name not in dims or letter not in "zt" or letter in found or not len(axis.keys):
            continue
        numbers = axis.values.dtype.kind in "iuf"
        if isinstance(axis.scale, Clock) if letter == "t" else numbers:
            found[letter] = str(name)
    return found


def _references(
    prepared: PreparedDataset, axes: Mapping[str, str]
) -> dict[str, Mapping[str, bytes]]:
    vertical = calendar = None
    if "z" in axes:
        axis = prepared.axes[axes["z"]]
        up = directions_of({axis.name: axis})[axis.name][1]
        vertical = vertical_system(axis.name, axis.attrs, up)
    if "t" in axes:
        calendar = _other_calendar(prepared.axes[axes["t"]]) or "Gregorian"
    return {
        crs: {
            letter: json_text(system)
            for letter, system in reference_systems(crs, vertical, calendar).items()
        }
        for crs in (CRS84, EPSG4326)
    }


def _other_calendar(axis: Axis) -> str | None:
    """The calendar of an axis of times, as CF names it, where it is another than everybody's."""
    told = calendar_of_axis(axis)
    return None if told in ("proleptic_gregorian", "standard") else told


def extent_of(collection: Collection, most_values: int) -> DocumentDict:
    """Where the data lies; axes of more than `most_values` labels are told by their ends."""
    extent: DocumentDict = {"spatial": {"bbox": [bbox_of(collection)], "crs": "CRS84"}}
    for letter, name in (("t", "temporal"), ("z", "vertical")):
        axis = collection.axis(letter)
        if axis is None:
            continue
        low, high = axis.range
        values = _values(axis, most_values)
        if letter == "z":
            low, high = _spelled(low), _spelled(high)
            values = None if values is None else [_spelled(value) for value in values]
            system = {"vrs": f"{axis.attrs.get('long_name') or axis.name}{_units(axis)}"}
        else:
            other = _other_calendar(axis)
            system = {"trs": GREGORIAN if other is None else f"{other} (a calendar of CF)"}
            if axis.values.dtype.kind == "O":
                # Dates of calendars have no zone, and clients want one.
                low, high = _zoned(low), _zoned(high)
                values = None if values is None else [_zoned(value) for value in values]
        # An interval stands for labels that are too many (OGC 19-086r6, section 8.2.7).
        told = [f"{low}/{high}"] if values is None else values
        extent[name] = {"interval": [[low, high]], "values": told, **system}
    customs = [
        _custom(collection, name, most_values)
        for name in collection.others
        if name in collection.prepared.axes
    ]
    if customs:
        extent["custom"] = customs
    return extent


def _zoned(date: object) -> str | None:
    return None if date is None else f"{str(date).removesuffix('Z')}Z"


def _custom(collection: Collection, name: str, most_values: int) -> DocumentDict:
    axis = collection.prepared.axes[name]
    told: DocumentDict = {
        "id": parameter_of_dim(collection, name),
        "interval": [list(axis.range)],
        "reference": str(axis.attrs.get("long_name") or axis.attrs.get("standard_name") or name),
    }
    values = _values(axis, most_values)
    return told if values is None else {**told, "values": values}


def bbox_of(collection: Collection) -> list[float]:
    """West, south, east and north of the labels; west is more than east across the antimeridian.

    Where nobody has read the cells of a grid yet, they may be anywhere.
    """
    if not collection.grid.axes:
        cells = collection.cells
        found = None if cells is None else cells.box
        return [-180.0, -90.0, 180.0, 90.0] if found is None else [round(end, 10) for end in found]
    lon, lat = collection.axis("x"), collection.axis("y")
    assert lon is not None
    assert lat is not None
    # Whole decimals, as the labels are meant that have less than double precision.
    south, north = (float(str(_scalar(lat, place))) for place in (0, -1))
    if lon.periodic:
        return [-180.0, south, 180.0, north]
    west, east = (float(str(_scalar(lon, place))) for place in (0, -1))
    if east - west >= TURN:
        return [-180.0, south, 180.0, north]
    ends = around_greenwich(np.array([west, east]))
    west, east = (round(float(end), 10) for end in ends)
    # What ends at the antimeridian lies on one side of it.
    return [west if west != 180 or east == 180 else -180.0, south, east, north]


PARAMETER_NAMES: Final = (
    "parameter-name",
    "parameter_names",
    "parameter-names",
    "parameter_name",
)
_TAKEN: Final = {"coords", "bbox", "within", "within-units", "within_units", "crs", "f"}


def parameter_of_dim(collection: Collection, dim: str) -> str:
    """The parameter that takes labels of a dimension of the collection's own.

    That is its name, or ``sel[NAME]`` where a parameter of EDR is called so.
    """
    letter = {"datetime": "t", "z": "z"}.get(dim)
    taken = dim in _TAKEN or dim in PARAMETER_NAMES or letter in collection.axes
    return f"sel[{dim}]" if taken else dim


def _scalar(axis: Axis, place: int) -> object:
    return axis.values[axis.places[place if place >= 0 else len(axis.keys) + place]]


def _values(axis: Axis, most: int) -> list[object] | None:
    if axis.size > most:
        return None
    found = array_to_jsonable(axis.values)
    return list(found)  # type: ignore[call-overload, no-any-return]


def _spelled(value: object) -> str:
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.floating):
        number = float(str(value))
    if isinstance(number, float) and number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return str(number)


def _units(axis: Axis) -> str:
    units = axis.attrs.get("units")
    return f" ({units})" if isinstance(units, str) and units else ""


QUERIES: Final = ("position", "cube", "area", "radius", "trajectory")


def described(
    collection: Collection, entry: DatasetEntry, place: str, most_values: int
) -> DocumentDict:
    """The document of a collection whose address is `place`."""
    queries = [*QUERIES, *(("locations",) if entry.places else ())]
    attrs = collection.prepared.dataset.attrs
    title = entry.title or _text(attrs.get("title")) or entry.id
    about = entry.description or _text(attrs.get("summary")) or title
    links = [
        {"href": place, "rel": "self", "type": "application/json", "title": title},
        {"href": place, "rel": "alternate", "type": "application/json", "title": title},
    ]
    data = "application/prs.coverage+json"
    links += [{"href": f"{place}/{q}", "rel": "data", "type": data, "title": q} for q in queries]
    if entry.license:
        web = entry.license.startswith(("http://", "https://"))
        told = {"href": entry.license, "rel": "license", "type": "text/html", "title": "License"}
        links += [told] if web else []
    return {
        "id": entry.id,
        "title": title,
        "description": about,
        "keywords": list(collection.names),
        "links": links,
        "extent": extent_of(collection, most_values),
        "data_queries": {query: {"link": _query(query, place)} for query in queries},
        "crs": [CRS84, EPSG4326],
        "output_formats": list(FORMATS),
        "parameter_names": dict(collection.names),
    }


def _query(query: str, place: str) -> DocumentDict:
    variables: DocumentDict = {
        "title": f"{query} query",
        "query_type": query,
        "output_formats": list(FORMATS),
        "default_output_format": "GeoJSON" if query == "locations" else "CoverageJSON",
        "crs_details": [{"crs": "CRS84", "wkt": WKT84}, {"crs": "EPSG:4326", "wkt": WKT84}],
    }
    if query == "radius":
        variables["within_units"] = ["km", "m", "mi", "nmi", "ft"]
    if query == "cube":
        variables["height_units"] = []
    media = "application/geo+json" if query == "locations" else "application/prs.coverage+json"
    return {"href": f"{place}/{query}", "rel": "data", "type": media, "variables": variables}


def _text(value: object) -> str:
    return value.strip()[:1000] if isinstance(value, str) else ""
