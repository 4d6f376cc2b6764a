"""What the OpenAPI document says of each route, as keyword arguments for its registration."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from app.api.problems import MEDIA_TYPE
from app.encoders.table import ENCODERS

_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457; further members are facts such as the parameter, range or limit.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "additionalProperties": True,
}

_BY_LABEL: Final = (
    "One parameter per dimension, by coordinate label: `lat=52.5`, `lat=nearest::52.5` (also pad,"
    " ffill, backfill, bfill), a list `lat=10,20,30`, an inclusive interval `time=a/b`, `a/..`,"
    " `../b`, every nth `a/b/6`. Times are RFC 3339 and UTC; a bare year, month or day is a"
    " period. Longitudes wrap, and their intervals run from west to east: `lon=-10/10`,"
    " `lon=350/10`. A dimension without coordinate takes positions."
)
_BY_POSITION: Final = (
    "One parameter per dimension, by position: `time=0`, `time=-1`, a Python slice `time=0:24:6`,"
    " or a list `lat=3,5,8`."
)

_EITHER_WAY: Final = (
    " `sel[NAME]` takes a label and `isel[NAME]` a position, whichever way the others go."
)


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    content = {MEDIA_TYPE: {"schema": _PROBLEM}}
    return {s: {"description": HTTPStatus(s).phrase, "content": content} for s in statuses}


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _selection(description: str, *extra: dict[str, Any]) -> dict[str, Any]:
    """A route of the one path: its catch-all parameter, its own ones, and what it answers."""
    by_dimension = {"type": "object", "additionalProperties": {"type": "string"}}
    parameters = [
        # OpenAPI's form for "any further name": an exploded object.
        {**_parameter("selection", description, by_dimension), "style": "form", "explode": True},
        _parameter(
            "variables",
            "Names of the variables to return, comma-separated; all of them without it.",
            {"type": "string"},
        ),
        _parameter(
            "f",
            "The answer's format; wins over the Accept header.",
            {"type": "string", "enum": list(ENCODERS)},
        ),
        *extra,
    ]
    content: dict[str, Any] = {encoder.media_type: {} for encoder in ENCODERS.values()}
    answers = {200: {"description": "The selected part", "content": content}}
    return {
        "tags": ["datasets"],
        "responses": {**answers, **_problems(400, 404, 406, 413, 422, 500, 502, 504)},
        "openapi_extra": {"parameters": parameters},
    }


HEALTH: Final[dict[str, Any]] = {"tags": ["process"], "responses": _problems(400)}
LISTING: Final[dict[str, Any]] = {"tags": ["datasets"], "responses": _problems(400)}
DESCRIBE: Final[dict[str, Any]] = {
    "tags": ["datasets"],
    "responses": _problems(400, 404, 422, 500, 502, 504),
}
_INEXACT: Final = (
    _parameter(
        "method",
        "How labels that name no method of their own may match inexactly.",
        {"type": "string", "enum": ["nearest", "pad", "ffill", "backfill", "bfill"]},
    ),
    _parameter(
        "tolerance",
        "How far an inexact match may lie, per dimension: `time:PT1H,lat:0.25`.",
        {"type": "string"},
    ),
)
_POINTWISE: Final = _parameter(
    "pointwise",
    "Dimensions whose lists, of equal length, are read together along one new dimension `points`.",
    {"type": "string", "example": "lat,lon"},
)
_EXPLAIN: Final = _parameter(
    "explain",
    "Read nothing; answer as JSON what the selection would hold and cost.",
    {"type": "boolean"},
)
SELECT_BY_POSITION: Final = _selection(_BY_POSITION + _EITHER_WAY, *_INEXACT, _POINTWISE, _EXPLAIN)
SELECT_BY_LABEL: Final = _selection(_BY_LABEL + _EITHER_WAY, *_INEXACT, _POINTWISE, _EXPLAIN)
