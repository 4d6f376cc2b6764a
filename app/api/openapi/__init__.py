"""What the OpenAPI document says of each route, as keyword arguments for its registration."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from .answers import Responses, json_answer, problems

Described = dict[str, Any]


def guide() -> str:
    """The text at the top of ``/docs``, as Markdown: how to ask, by examples."""
    return files(__package__).joinpath("guide.md").read_text(encoding="utf-8")


# A key may be sent in either header, or in none where all is public.
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key."},
}
_BY_KEY: Final[list[dict[str, list[str]]]] = [{}, {"bearer": []}, {"header": []}]


def described(tag: str, summary: str, *answers: Responses, **extra: Any) -> Described:
    """Keyword arguments for a route; `extra` is for its operation in the document."""
    responses: Responses = {}
    for answer in answers:
        responses |= answer
    if 401 in responses:
        extra["security"] = _BY_KEY
    return {"tags": [tag], "summary": summary, "responses": responses, "openapi_extra": extra}


DATASET_ID: Final = {
    "name": "dataset_id",
    "in": "path",
    "required": True,
    "description": "A dataset's id, as `/datasets` lists them.",
    "schema": {"type": "string"},
    "example": "sample",
}

_NAMES: Final = {"type": "array", "items": {"type": "string"}}
_DATASETS: Final = {
    "type": "object",
    "required": ["datasets"],
    "properties": {
        "datasets": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "title"],
                "properties": {
                    "id": {"type": "string"},
                    "title": {"type": ["string", "null"]},
                },
            },
        }
    },
}
_COORDINATE: Final = {
    "type": "object",
    "required": [
        *("dims", "dtype", "min", "max", "step", "attrs"),
        *("role", "ascending", "wraps", "calendar", "values"),
    ],
    "properties": {
        "dims": _NAMES,
        "dtype": {"type": "string"},
        "min": {"description": "The smallest label; null where labels are not indexed."},
        "max": {"description": "The largest label; null where labels are not indexed."},
        "step": {"description": "The distance of neighbours; null where it is not one."},
        "attrs": {"type": "object"},
        "role": {"enum": ["X", "Y", "Z", "T", None], "description": "What the axis stands for."},
        "ascending": {"type": ["boolean", "null"], "description": "null: neither rises nor falls."},
        "wraps": {"type": ["boolean", "null"], "description": "It goes all the way round."},
        "calendar": {"type": ["string", "null"], "description": "Of times, as CF names it."},
        "values": {"description": "All labels, up to 1,000; null where there are more."},
    },
}
_DATA_VARIABLE: Final = {
    "type": "object",
    "required": ["dims", "dtype", "chunks", "shards", "codecs", "nbytes", "attrs"],
    "properties": {
        "dims": _NAMES,
        "dtype": {"type": "string"},
        "chunks": {"type": ["array", "null"], "items": {"type": "integer"}},
        "shards": {"type": ["array", "null"], "items": {"type": "integer"}},
        "codecs": _NAMES,
        "nbytes": {"type": "integer", "description": "Decoded size."},
        "attrs": {"type": "object"},
    },
}
_DESCRIPTION: Final = {
    "type": "object",
    "required": ["id", "title", "attrs", "dims", "coords", "data_vars", "unusable"],
    "properties": {
        "id": {"type": "string"},
        "title": {"type": ["string", "null"]},
        "attrs": {"type": "object"},
        "dims": {"type": "object", "additionalProperties": {"type": "integer"}},
        "coords": {"type": "object", "additionalProperties": _COORDINATE},
        "data_vars": {"type": "object", "additionalProperties": _DATA_VARIABLE},
        "unusable": {
            "type": "object",
            "description": "Variables of the store that cannot be used, and why.",
            "additionalProperties": {"type": "string"},
        },
    },
}
_READY: Final = {
    "type": "object",
    "required": ["status", "datasets"],
    "properties": {
        "status": {"enum": ["ready", "unready"]},
        "datasets": {
            "type": "object",
            "description": "By id: `ready`, `stale` (it serves the version that it had: its store"
            " cannot be looked at, or has another that cannot be opened) or the kind of failure.",
            "additionalProperties": {"type": "string"},
        },
    },
}
_REFRESHED: Final = {
    "type": "object",
    "required": ["id", "version"],
    "properties": {"id": {"type": "string"}, "version": {"type": "string"}},
}
_RELOADED: Final = {
    "type": "object",
    "required": ["added", "changed", "removed"],
    "properties": {"added": _NAMES, "changed": _NAMES, "removed": _NAMES},
}
_HEALTHY: Final = {"type": "object", "properties": {"status": {"const": "ok"}}}

LISTING: Final = described(
    "datasets",
    "The datasets",
    json_answer("Ids and titles, in the catalog's order.", _DATASETS),
    problems(400, 401, 414),
)
DESCRIBE: Final = described(
    "datasets",
    "What one dataset holds",
    json_answer("Dimensions, coordinates and variables.", _DESCRIPTION),
    problems(400, 401, 404, 414, 429, 500, 502, 503, 504),
    parameters=[DATASET_ID],
)
REFRESH: Final = described(
    "administration",
    "Open a dataset anew, whose store was rewritten in place",
    json_answer("It is opened; its version is another one.", _REFRESHED),
    problems(400, 401, 403, 404, 414, 500, 502, 503, 504),
    parameters=[DATASET_ID],
)
RELOAD: Final = described(
    "administration",
    "Read the catalog and the keys anew",
    json_answer("They are served; how the catalog differs.", _RELOADED),
    problems(400, 401, 403, 409, 414, 500, 503),
)
HEALTH: Final = described(
    "process",
    "Does the process answer?",
    json_answer("It does.", _HEALTHY),
    problems(400, 414),
)
READY: Final = described(
    "process",
    "Can datasets be read?",
    json_answer("They can.", _READY),
    json_answer("None of them can (or not all, where the settings are strict).", _READY, 503),
    problems(400, 401, 414),
)
METRICS: Final = described(
    "process",
    "Metrics for Prometheus",
    {200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    problems(400, 401, 403, 414),
)
