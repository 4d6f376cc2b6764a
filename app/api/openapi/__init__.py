"""What the OpenAPI document says of each route, as keyword arguments for its registration."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from app.api.openapi.answers import Responses, json_answer, problems, selected
from app.api.openapi.parameters import DATASET_ID, posted, selection
from app.query.names import By

Described = dict[str, Any]

_SELECTING: Final = (400, 404, 406, 413, 414, 422, 429, 500, 502, 503, 504)


def guide() -> str:
    """The text at the top of ``/docs``, as Markdown: how to ask, by examples."""
    return files("app.api.openapi").joinpath("guide.md").read_text(encoding="utf-8")


def _described(tag: str, summary: str, *answers: Responses, **more: Any) -> Described:
    responses: Responses = {}
    for answer in answers:
        responses |= answer
    return {"tags": [tag], "summary": summary, "responses": responses, **more}


def _asked(by: By) -> Described:
    return _described(
        "selections",
        f"Select by {by}",
        selected(tagged=True),
        problems(*_SELECTING),
        openapi_extra={"parameters": [DATASET_ID, *selection(by)]},
    )


def _posted(by: By) -> Described:
    return _described(
        "selections",
        f"Select by {by}, for what is too long for a URL",
        selected(tagged=False),
        problems(*_SELECTING, 415),
        openapi_extra={"parameters": [DATASET_ID], "requestBody": posted(by)},
    )


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
    "required": ["dims", "dtype", "min", "max", "step", "attrs"],
    "properties": {
        "dims": _NAMES,
        "dtype": {"type": "string"},
        "min": {"description": "The smallest label; null where labels are not indexed."},
        "max": {"description": "The largest label; null where labels are not indexed."},
        "step": {"description": "The distance of neighbours; null where it is not one."},
        "attrs": {"type": "object"},
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
    "required": ["id", "title", "attrs", "dims", "coords", "data_vars"],
    "properties": {
        "id": {"type": "string"},
        "title": {"type": ["string", "null"]},
        "attrs": {"type": "object"},
        "dims": {"type": "object", "additionalProperties": {"type": "integer"}},
        "coords": {"type": "object", "additionalProperties": _COORDINATE},
        "data_vars": {"type": "object", "additionalProperties": _DATA_VARIABLE},
    },
}
_READY: Final = {
    "type": "object",
    "required": ["status", "datasets"],
    "properties": {
        "status": {"enum": ["ready", "unready"]},
        "datasets": {
            "type": "object",
            "description": "By id: `ready`, or the kind of failure.",
            "additionalProperties": {"type": "string"},
        },
    },
}
_HEALTHY: Final = {"type": "object", "properties": {"status": {"const": "ok"}}}

LISTING: Final = _described(
    "datasets",
    "The datasets",
    json_answer("Ids and titles, in the catalog's order.", _DATASETS),
    problems(400, 414),
)
DESCRIBE: Final = _described(
    "datasets",
    "What one dataset holds",
    json_answer("Dimensions, coordinates and variables.", _DESCRIPTION),
    problems(400, 404, 414, 500, 502, 504),
    openapi_extra={"parameters": [DATASET_ID]},
)
SELECT_BY_LABEL: Final = _asked("label")
SELECT_BY_POSITION: Final = _asked("position")
POST_BY_LABEL: Final = _posted("label")
POST_BY_POSITION: Final = _posted("position")
HEALTH: Final = _described(
    "process",
    "Does the process answer?",
    json_answer("It does.", _HEALTHY),
    problems(400, 414),
)
READY: Final = _described(
    "process",
    "Can datasets be read?",
    json_answer("They can.", _READY),
    json_answer("None of them can (or not all, where the settings are strict).", _READY, 503),
    problems(400, 414),
)
METRICS: Final = _described(
    "process",
    "Metrics for Prometheus",
    {200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    problems(400, 414),
)
