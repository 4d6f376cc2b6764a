"""What the OpenAPI document says of selections: their parameters, their bodies, their answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from sluice.encoders.encoder import Encoder

from ...api.openapi import DATASET_ID, Responses, Schema, described, headers_of, problems
from ...api.small_answers import Explanation, schema_of
from .names import By
from .option import Option
from .options import FORMAT

Options: TypeAlias = Mapping[str, Option[object]]
Formats: TypeAlias = Mapping[str, Encoder]

_BY_LABEL: Final = (
    "One parameter per dimension, named like the dimension: a label `latitude=52.5`, with a method"
    " `latitude=nearest::52.4`, a list `latitude=10,20,30`, an inclusive interval `time=a/b`,"
    " `a/..`, `../b`, `a/b/6`, a period `time=2024-01`. A dimension without a coordinate takes"
    " positions. A dimension that is not named comes whole."
)
_BY_POSITION: Final = (
    "One parameter per dimension, named like the dimension: a position `time=0`, `time=-1`, a"
    " Python slice `time=0:24:6`, or a list `latitude=3,5,8`. A dimension that is not named comes"
    " whole."
)
_EITHER_WAY: Final = (
    " `sel[NAME]` takes a label and `isel[NAME]` a position, whichever way the others go."
)
_EXAMPLES: Final[dict[By, dict[str, Schema]]] = {
    "label": {
        "point": {
            "summary": "A point",
            "value": {
                "time": "2024-01-02T12:00Z",
                "level": "850",
                "latitude": "nearest::52.5",
                "longitude": "nearest::13.4",
            },
        },
        "series": {
            "summary": "A series at one place",
            "value": {"level": "850", "latitude": "nearest::52.5", "longitude": "nearest::13.4"},
        },
        "box": {
            "summary": "A box across Greenwich",
            "value": {
                "time": "2024-01-02T12:00Z",
                "latitude": "40/60",
                "longitude": "-10/10",
            },
        },
        "stations": {
            "summary": "Several stations at once",
            "value": {
                "time": "2024-01-02T12:00Z",
                "level": "850",
                "latitude": "52.5,48.1,40.4",
                "longitude": "13.4,11.6,-3.7",
                "method": "nearest",
                "pointwise": "latitude,longitude",
            },
        },
        "latest": {
            "summary": "The latest time step at one place",
            "value": {"isel[time]": "-1", "latitude": "52.5", "longitude": "12.5"},
        },
        "month": {
            "summary": "A NetCDF file of one month",
            "value": {"time": "2024-01", "level": "850", "f": "netcdf"},
        },
    },
    "position": {
        "latest": {"summary": "The latest time step", "value": {"time": "-1"}},
        "thinned": {
            "summary": "Every sixth step of a day, some rows",
            "value": {"time": "0:24:6", "latitude": "3,5,8"},
        },
    },
}


def query(name: str, description: str, schema: Schema, **more: object) -> Schema:
    """One parameter of the query string."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _selection(by: By, options: Options, formats: Formats) -> list[Schema]:
    """All parameters of a selection in a URL."""
    return [
        query(
            "selection",
            (_BY_LABEL if by == "label" else _BY_POSITION) + _EITHER_WAY,
            {
                "type": "object",
                "propertyNames": {"minLength": 1},
                "additionalProperties": {"type": "string", "minLength": 1},
            },
            # OpenAPI's form for "any further name": an exploded object.
            style="form",
            explode=True,
            examples=_EXAMPLES[by],
        ),
        *(
            query(name, option.words, _schema_of(option, formats))
            for name, option in options.items()
        ),
    ]


def _schema_of(option: Option[object], formats: Formats) -> Schema:
    """The JSON schema of an option's one value; of the format it lists those that there are."""
    schema = dict(option.schema)
    return {**schema, "enum": list(formats)} if option.name == FORMAT.name else schema


def _body(by: By, options: Options, formats: Formats) -> Schema:
    """The body of a POST: the same parameters as a JSON object."""
    value = {
        "oneOf": [
            {"type": "number"},
            {"type": "string"},
            {"type": "array", "minItems": 1, "items": {"type": ["number", "string"]}},
        ]
    }
    properties = {
        name: _one_or_several(option) if option.is_list else _schema_of(option, formats)
        for name, option in options.items()
    }
    words = _BY_LABEL if by == "label" else _BY_POSITION
    schema = {
        "type": "object",
        "description": f"{words} Numbers, texts in the same grammar, or arrays of them.",
        "properties": properties,
        "propertyNames": {"minLength": 1},
        "additionalProperties": value,
    }
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": _POSTED[by]}},
    }


def _one_or_several(option: Option[object]) -> Schema:
    several = {
        "type": "array",
        "minItems": option.least,
        "items": dict(option.item),
    }
    return {"oneOf": [dict(option.schema), several]}


_POSTED: Final[dict[By, dict[str, Schema]]] = {
    "label": {
        "stations": {
            "summary": "Several stations at once",
            "value": {
                "time": "2024-01-02T12:00Z",
                "level": 850,
                "latitude": [52.5, 48.1, 40.4],
                "longitude": [13.4, 11.6, -3.7],
                "method": "nearest",
                "pointwise": ["latitude", "longitude"],
            },
        }
    },
    "position": {
        "rows": {
            "summary": "Some rows of the latest time step",
            "value": {"time": -1, "latitude": [3, 5, 8], "variables": ["t"]},
        }
    },
}


_SELECTING: Final = (400, 401, 404, 406, 413, 414, 422, 429, 500, 502, 503, 504)


def ask_described(by: By, options: Options, formats: Formats) -> Schema:
    """Keyword arguments for the route of a GET."""
    return described(
        "selections",
        f"Select by {by}",
        _selected(formats, tagged=True),
        problems(*_SELECTING),
        parameters=[DATASET_ID, *_selection(by, options, formats)],
    )


def post_described(by: By, options: Options, formats: Formats) -> Schema:
    """Keyword arguments for the route of a POST."""
    return described(
        "selections",
        f"Select by {by}, for what is too long for a URL",
        _selected(formats, tagged=False),
        problems(*_SELECTING, 408, 415),
        parameters=[DATASET_ID],
        requestBody=_body(by, options, formats),
    )


def file_described(told: Schema, formats: Formats) -> Schema:
    """The same for the path that ends in a format's suffix."""
    suffixes = list(dict.fromkeys(encoder.suffix[1:] for encoder in formats.values()))
    suffix = {
        "name": "suffix",
        "in": "path",
        "required": True,
        "description": "The suffix of a format's files, in place of `f`.",
        "schema": {"type": "string", "enum": suffixes},
        "example": "nc",
    }
    extra = told["openapi_extra"]
    extra = {**extra, "parameters": [DATASET_ID, suffix, *extra["parameters"][1:]]}
    return {**told, "summary": f"{told['summary']}, as a file", "openapi_extra": extra}


def _selected(formats: Formats, *, tagged: bool) -> Responses:
    """The part that was selected, in each format; `tagged` answers can be asked for again."""
    content = {encoder.media_type: dict(encoder.described) for encoder in formats.values()}
    as_json = content[formats["json"].media_type]
    as_json["schema"] = {"anyOf": [as_json["schema"], schema_of(Explanation)]}
    names = ["X-Request-ID", "Cache-Control", "Content-Disposition", "Server-Timing"]
    names += ["X-Sluice-Store", "X-Sluice-Distance"]
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
