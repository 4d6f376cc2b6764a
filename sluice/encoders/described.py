"""What each format looks like: JSON schemas and examples, for documents of interfaces."""

from __future__ import annotations

from typing import Any, Final

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
JSON: Final[dict[str, Any]] = {"schema": _DATASET, "example": _DATASET_EXAMPLE}
NETCDF: Final[dict[str, Any]] = {
    "schema": {"type": "string", "format": "binary", "description": "NetCDF-4."}
}
CSV: Final[dict[str, Any]] = {
    "schema": {"type": "string", "description": "One row per cell, coordinates first."},
    "example": "time,latitude,t\r\n2024-01-02T12:00:00Z,52.5,266.5625\r\n",
}
