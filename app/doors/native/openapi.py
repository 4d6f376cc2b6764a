"""What the OpenAPI document says of selections."""

from __future__ import annotations

from typing import Any, Final

from sluice.encoders.table import ENCODERS

from ...api.openapi import DATASET_ID, Described, described
from ...api.openapi.answers import Responses, headers_of, problems
from .names import By
from .parameters import posted, selection

_SELECTING: Final = (400, 401, 404, 406, 413, 414, 422, 429, 500, 502, 503, 504)


def ask_described(by: By) -> Described:
    """Keyword arguments for the route of a GET."""
    return described(
        "selections",
        f"Select by {by}",
        selected(tagged=True),
        problems(*_SELECTING),
        parameters=[DATASET_ID, *selection(by)],
    )


def post_described(by: By) -> Described:
    """Keyword arguments for the route of a POST."""
    return described(
        "selections",
        f"Select by {by}, for what is too long for a URL",
        selected(tagged=False),
        problems(*_SELECTING, 408, 415),
        parameters=[DATASET_ID],
        requestBody=posted(by),
    )


_ARRAY: Final = {
    "type": "object",
    "required": ["dims", "attrs", "dtype", "data"],
    "properties": {
        "dims": {"type": "array", "items": {"type": "string"}},
        "attrs": {"type": "object"},
        "dtype": {"type": "string"},
        "data": {"description": "Nested lists, one level per dimension; null where missing."},
    },
}
_DATASET: Final = {
    "type": "object",
    "description": "The shape of xarray's `Dataset.to_dict()`; with `explain=true`, its costs.",
    "required": ["dims", "coords"],
    "properties": {
        "dims": {"type": "object", "additionalProperties": {"type": "integer"}},
        "attrs": {"type": "object"},
        "coords": {"type": "object"},
        "data_vars": {"type": "object", "additionalProperties": _ARRAY},
        "result_bytes": {"type": "integer"},
        "unmeasured": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Variables whose texts count only once they are read.",
        },
        "chunks": {"type": "integer"},
        "chunk_bytes": {"type": "integer"},
        "within_limits": {"type": "boolean"},
    },
}
_DATASET_EXAMPLE: Final = {
    "dims": {},
    "attrs": {"Conventions": "CF-1.8"},
    "coords": {
        "time": {
            "dims": [],
            "attrs": {},
            "dtype": "datetime64[ns]",
            "data": "2024-01-02T12:00:00Z",
        },
        "latitude": {"dims": [], "attrs": {}, "dtype": "float32", "data": 52.5},
    },
    "data_vars": {"t": {"dims": [], "attrs": {"units": "K"}, "dtype": "float64", "data": 266.5625}},
}
_SCHEMAS: Final[dict[str, dict[str, Any]]] = {
    "json": {"schema": _DATASET, "example": _DATASET_EXAMPLE},
    "netcdf": {"schema": {"type": "string", "format": "binary", "description": "NetCDF-4."}},
    "csv": {
        "schema": {"type": "string", "description": "One row per cell, coordinates first."},
        "example": "time,latitude,t\r\n2024-01-02T12:00:00Z,52.5,266.5625\r\n",
    },
}


def selected(*, tagged: bool) -> Responses:
    """The part that was selected, in each format; `tagged` answers can be asked for again."""
    content = {encoder.media_type: _SCHEMAS[name] for name, encoder in ENCODERS.items()}
    names = ["X-Request-ID", "Cache-Control", "Content-Disposition", "Server-Timing"]
    names.append("X-Sluice-Store")
    answers: Responses = {}
    if tagged:
        names += ["ETag", "Vary"]
        told = headers_of("ETag", "Vary", "Cache-Control", "X-Request-ID")
        answers[304] = {"description": "The client has this answer already.", "headers": told}
    answers[200] = {
        "description": "The selected part.",
        "content": content,
        "headers": headers_of(*names),
    }
    return answers
