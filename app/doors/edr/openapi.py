"""What the routes of EDR take and answer, as the door's own OpenAPI 3.0.3 document."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from sluice import __version__
from sluice.encoders.coverage_json import MEDIA_TYPE as COVERAGE_JSON
from sluice.encoders.coverage_json import NEW_MEDIA_TYPE
from sluice.encoders.coverage_parts import CRS84, EPSG4326
from sluice.encoders.geojson import MEDIA_TYPE as GEOJSON

from .collection import QUERIES
from .formats import FORMATS
from .geometry import DISTANCE_UNITS
from .listing import MOST_PAGE, PAGE
from .pairs import FORM_TYPE

Json: TypeAlias = dict[str, Any]

# Clients look for these very letters.
OPENAPI_TYPE: Final = "application/vnd.oai.openapi+json;version=3.0"
_WKT: Final = {
    "position": ("POINT or MULTIPOINT", "POINT(13.4 52.5)"),
    "area": ("POLYGON or MULTIPOLYGON", "POLYGON((5 45,15 45,15 55,5 55,5 45))"),
    "radius": ("POINT", "POINT(13.4 52.5)"),
    "trajectory": ("LINESTRING or MULTILINESTRING, with Z, M or ZM", "LINESTRING(5 45,15 55)"),
}
_SUMMARIES: Final = {
    "position": "The cell nearest to a place, or to each of several",
    "cube": "The cells in a box",
    "area": "The cells in a polygon",
    "radius": "The cells within a distance of a place",
    "trajectory": "The cells along a line",
}


def _query_parameter(name: str, text: str, example: object = None, **more: Any) -> Json:
    told = {"name": name, "in": "query", "description": text, "required": False, **more}
    told.setdefault("schema", {"type": "string"})
    if example is not None:
        told["example"] = example
    return told


_LISTED: Final = {"style": "form", "explode": False}


# Four numbers, or six.
_BOX: Final = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 6}


def _parameters() -> Json:
    return {**_places(), **_choices(), **_of_list()}


def _places() -> Json:
    """Where data is asked for."""
    return {
        "collectionId": {
            "name": "collectionId",
            "in": "path",
            "required": True,
            "description": "The id of a collection.",
            "schema": {"type": "string"},
        },
        "locationId": {
            "name": "locationId",
            "in": "path",
            "required": True,
            "description": "The name of a place, as the list of locations has it.",
            "schema": {"type": "string"},
        },
        "within": _query_parameter("within", "A distance.", required=True),
        "within-units": _query_parameter(
            "within-units",
            "The unit of the distance.",
            required=True,
            schema={"type": "string", "enum": list(DISTANCE_UNITS)},
        ),
        "bbox": _query_parameter(
            "bbox",
            "West, south, east, north; or west, south, least level, east, north, most level. A west"
            " end east of the east end is a box across the antimeridian.",
            required=True,
            schema=_BOX,
            **_LISTED,
        ),
    }


def _of_list() -> Json:
    """Which collections are listed, and how many."""
    return {
        "extent-bbox": _query_parameter(
            "bbox",
            "What meets this box: west, south, east, north; or west, south, least level, east,"
            " north, most level.",
            schema=_BOX,
            **_LISTED,
        ),
        "extent-datetime": _query_parameter(
            "datetime",
            "What meets this instant, day, month or year, or an interval with open ends (`../b`,"
            " `a/..`), in RFC 3339 and UTC.",
            **_LISTED,
        ),
        "limit": _query_parameter(
            "limit",
            "The most collections of a page.",
            schema={"type": "integer", "minimum": 1, "maximum": MOST_PAGE, "default": PAGE},
            **_LISTED,
        ),
        "offset": _query_parameter(
            "offset",
            "Where in the catalog a page begins; `next` links have it.",
            schema={"type": "integer", "minimum": 0, "default": 0},
            **_LISTED,
        ),
        "document-f": _query_parameter(
            "f", "The format of the document.", schema={"type": "string", "enum": ["json"]}
        ),
    }


def _choices() -> Json:
    """What else is asked for, and in which form."""
    return {
        "datetime": _query_parameter(
            "datetime",
            "An instant, or an interval with open ends (`../b`, `a/..`), in RFC 3339 and UTC. An"
            " instant that the data does not have is the nearest one within a step.",
            "2024-01-01T00:00:00Z",
            **_LISTED,
        ),
        "z": _query_parameter(
            "z",
            "A level, an interval `least/most`, a list `10,80,200`, or `R20/100/50`: 20 levels from"
            " 100 in steps of 50.",
            **_LISTED,
        ),
        "parameter-name": _query_parameter(
            "parameter-name",
            "Names with commas between them; all parameters without it.",
            **_LISTED,
        ),
        "crs": _query_parameter(
            "crs",
            "The coordinate system of `coords` and `bbox`: CRS84 (longitude first), or EPSG:4326"
            " (latitude first).",
            schema={"type": "string", "default": CRS84, "enum": [CRS84, EPSG4326]},
            **_LISTED,
        ),
        "f": _query_parameter(
            "f",
            "The format; without it, what the Accept header prefers.",
            schema={"type": "string", "enum": list(FORMATS), "default": "CoverageJSON"},
            **_LISTED,
        ),
    }


def _answer(description: str, *media_types: str) -> Json:
    content = {media_type: {"schema": {"type": "object"}} for media_type in media_types}
    return {"200": {"description": description, "content": content}}


def _failures(*statuses: str) -> Json:
    told = {
        "204": "There is no data at this place or time.",
        "304": "The answer is what the client has.",
        "400": "A parameter is missing, or cannot be understood.",
        "401": "A key is needed.",
        "404": "There is no such collection, or none that the caller may see.",
        "408": "The form did not arrive in time.",
        "413": "It is more than one answer may have; the text says the limit.",
        "415": "The body is no form.",
        "429": "Too many requests at once.",
        "502": "The dataset's store failed.",
        "503": "The server is busy.",
        "504": "The store, or the answer, took too long.",
    }
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}}
    return {
        status: {
            "description": told[status],
            **({"content": problem} if status not in ("204", "304") else {}),
        }
        for status in statuses
    }


_FAILED: Final = ("400", "401", "404", "413", "429", "502", "503", "504")


def _operation(name: str, summary: str, parameters: list[Json], responses: Json) -> Json:
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "tags": ["EDR"],
            "parameters": parameters,
            "responses": responses,
        }
    }


def _with_form(described: Json) -> Json:
    """The same operation beside one whose form has what the query of the first has."""
    got, known = described["get"], _parameters()
    told = [
        known[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in got["parameters"]
    ]
    own = [one for one in told if one["in"] == "query"]
    fields = {one["name"]: {**one["schema"], "description": one["description"]} for one in own}
    required = [one["name"] for one in own if one["required"]]
    # (A schema may not require nothing.)
    needed = {"required": required} if required else {}
    form = {
        "schema": {"type": "object", "properties": fields, **needed},
        "encoding": {one["name"]: _LISTED for one in own},
    }
    posted = {
        **got,
        "operationId": f"{got['operationId']}Posted",
        "parameters": [one for one in told if one["in"] == "path"],
        "requestBody": {"required": True, "content": {FORM_TYPE: form}},
        "responses": {**got["responses"], **_failures("408", "415")},
    }
    # What a form asks for has no tag that a client could have.
    del posted["responses"]["304"]
    return {**described, "post": posted}


def _refs(*names: str) -> list[Json]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


_LIST: Final = ("extent-bbox", "extent-datetime", "crs", "limit", "offset", "document-f")


def _paths() -> Json:
    told = ("datetime", "z", "parameter-name", "crs", "f")
    csv, netcdf = "text/csv", "application/netcdf"
    data = _answer("The data.", COVERAGE_JSON, NEW_MEDIA_TYPE, GEOJSON, csv, netcdf)
    failed = _failures("204", "304", *_FAILED)
    document = {**_answer("The document.", "application/json"), **_failures("400", "401")}
    found = {**_answer("The document.", "application/json"), **_failures("400", "401", "404")}
    one = "/collections/{collectionId}"
    paths: Json = {
        "/": _operation("landing", "What there is", [], document),
        "/conformance": _operation("conformance", "What it conforms to", [], document),
        "/api": _operation("api", "This document", [], document),
        "/collections": _operation("collections", "The collections", _refs(*_LIST), document),
        one: _operation("collection", "One collection", _refs("collectionId"), found),
    }
    for query in QUERIES:
        own = _refs("bbox") if query == "cube" else [_coords(query)]
        own += _refs("within", "within-units") if query == "radius" else []
        parameters = [*_refs("collectionId"), *own, *_refs(*told)]
        described = _operation(query, _SUMMARIES[query], parameters, {**data, **failed})
        paths[f"{one}/{query}"] = _with_form(described)
    places = {**_answer("The places.", GEOJSON), **_failures("400", "401", "404")}
    listed = _refs("collectionId", "extent-bbox", "extent-datetime", "crs")
    paths[f"{one}/locations"] = _operation("locations", "Places with names", listed, places)
    parameters = _refs("collectionId", "locationId", *told)
    summary = "The cell nearest to a place with a name"
    described = _operation("location", summary, parameters, {**data, **failed})
    paths[f"{one}/locations/{{locationId}}"] = _with_form(described)
    return paths


def _coords(query: str) -> Json:
    kinds, example = _WKT[query]
    return _query_parameter(
        "coords",
        f"Well-known text: {kinds}.",
        example,
        required=True,
        style="form",
        explode=False,
    )


def openapi(root: str) -> Json:
    """The OpenAPI document of this door, whose address is `root`."""
    problem: Json = {
        "type": "object",
        "required": ["code", "description"],
        "properties": {
            "code": {"type": "string"},
            "description": {"type": "string"},
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Sluice: environmental data retrieval",
            "description": "OGC API - Environmental Data Retrieval 1.1.",
            "version": __version__,
        },
        "servers": [{"url": root}],
        "tags": [{"name": "EDR", "description": "Collections and queries."}],
        "paths": _paths(),
        "components": {
            "parameters": _parameters(),
            "schemas": {"problem": problem},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{}, {"bearer": []}, {"basic": []}, {"header": []}],
    }
