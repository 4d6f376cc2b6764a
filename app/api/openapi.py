"""What the OpenAPI document says of each route, as keyword arguments for its registration."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from sluice.errors import (
    LimitError,
    NotAcceptable,
    QueryError,
    SelectionError,
    SluiceError,
    StoreError,
    StoreTimeout,
)

from ..errors import (
    Forbidden,
    NotJson,
    Overloaded,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
    UnknownDataset,
)
from .problems import MEDIA_TYPE, problem_kind
from .small_answers import (
    CatalogChange,
    CatalogStatus,
    DatasetDescription,
    DatasetList,
    DatasetVersion,
    GroupsFound,
    Healthy,
    Problem,
    Ready,
    schema_of,
)

# Parts of the document, and arguments of FastAPI's that become some.
Schema: TypeAlias = dict[str, Any]
Responses: TypeAlias = dict[int | str, Schema]

# What a client could read, by status: the kind of problem, a sentence, and some of the facts.
_EXAMPLES: Final[dict[int, tuple[type[SluiceError], str, Schema]]] = {
    400: (
        QueryError,
        "unknown parameter 'lat'; did you mean latitude? known are variables, f, method, latitude,"
        " longitude",
        {
            "parameter": "lat",
            "known": ["variables", "f", "method", "latitude", "longitude"],
            "did_you_mean": "latitude",
        },
    ),
    401: (
        Unauthorized,
        "This needs a key; send yours as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        {},
    ),
    403: (Forbidden, "Your key lacks the right 'metrics'.", {"right": "metrics"}),
    404: (
        UnknownDataset,
        "The catalog has no dataset of this name; GET /datasets lists them.",
        {"dataset": "smaple"},
    ),
    406: (
        NotAcceptable,
        "none of the formats is acceptable; they are application/json, application/netcdf,"
        " text/csv",
        {"known": ["application/json", "application/netcdf", "text/csv"]},
    ),
    408: (
        RequestTimeout,
        "The body did not arrive within 60 seconds.",
        {"limit_seconds": 60.0},
    ),
    413: (
        LimitError,
        "The result would take 90000000 bytes; one request may take 67108864. Nothing was read:"
        " ask for fewer variables or a smaller part.",
        {"limited": "result_bytes", "estimate": 90000000, "limit": 67108864},
    ),
    415: (
        NotJson,
        "POST takes a JSON object of parameters, as Content-Type: application/json.",
        {"content_type": "text/plain", "known": ["application/json"]},
    ),
    422: (
        SelectionError,
        "latitude has no label '52.51'; the nearest are 52.5 and 55.0; for the nearer of them"
        " write latitude=nearest::52.51",
        {
            "dimension": "latitude",
            "label": "52.51",
            "nearest": [52.5, 55.0],
            "range": [-90.0, 90.0],
            "cure": "latitude=nearest::52.51",
        },
    ),
    502: (StoreError, "The dataset's store could not be read.", {"dataset": "sample"}),
    429: (
        TooManyRequests,
        "256 requests of yours run already, which is the most at once. Ask again when one of them"
        " is answered.",
        {"limit": 256, "retry_after": 1},
    ),
    503: (
        Overloaded,
        "There was no memory for the request in time. Ask again in 30 seconds.",
        {"retry_after": 30},
    ),
    504: (StoreTimeout, "The dataset's store did not answer.", {"dataset": "sample"}),
}

_MEANINGS: Final = {
    400: "It cannot be parsed: an unknown parameter, method or format, a label that the axis"
    " cannot hold.",
    401: "There is no key, or a wrong one, where one is needed.",
    403: "The key lacks the right to this.",
    404: "There is no such dataset, or none that the key may read.",
    406: "None of the formats is acceptable, or the one asked for cannot hold these variables.",
    408: "The body did not arrive in time.",
    409: "The catalog file is wrong; the catalog that was served stays.",
    413: "The result, the chunks that it touches, a list or the body exceed a limit. Nothing was"
    " read.",
    414: "The URL is too long; send the selection as the JSON object of a POST.",
    415: "The body says that it is something else than JSON.",
    422: "It was parsed, but this dataset cannot satisfy it: an unknown variable or one that"
    " cannot be used, a label or position that is not there, nothing selected.",
    429: "This client has too many requests running: ask again when one of them is answered.",
    500: "The service is wrong; its log says how.",
    502: "The dataset's store failed, refused, is gone or does not decode.",
    503: "There is no room for the request just now: ask again after `Retry-After` seconds.",
    504: "The dataset's store did not answer in time, or the request took longer than one may.",
}


def problems(*statuses: int) -> Responses:
    """These statuses, with the body that every error has."""
    return {
        status: {
            "description": _MEANINGS.get(status, HTTPStatus(status).phrase),
            "content": {MEDIA_TYPE: {"schema": schema_of(Problem), **_example(status)}},
            "headers": headers_of("X-Request-ID", *_TELLING.get(status, ())),
        }
        for status in statuses
    }


def _example(status: int) -> Schema:
    if status not in _EXAMPLES:
        return {}
    error, detail, facts = _EXAMPLES[status]
    kind = problem_kind(error)
    members = {"type": kind.type, "title": kind.title, "status": status, "detail": detail}
    return {"example": members | facts}


_HEADERS: Final = {
    "X-Request-ID": "The request's id in the log: the client's own, if it is short and plain.",
    "WWW-Authenticate": "How to send a key.",
    "ETag": "A strong tag of the store's version, the request and the form of the answer.",
    "Vary": "The request's headers that chose the form.",
    "Cache-Control": "The dataset's, from the catalog; `no-cache` where it has none.",
    "Content-Disposition": "A file name, for all but JSON: of the dataset and the part of it.",
    "X-Sluice-Distance": "With `at`: how far the cell is from the place, as `3.142 km`; of several"
    " places with commas between them.",
    "X-Sluice-Store": "`unreachable` while the store is: nobody knows whether it has changed.",
    "Retry-After": "After how many seconds to ask again.",
    "Server-Timing": "Milliseconds to open, plan, fetch, decode and encode.",
}
# What a problem of such a status says in a header, besides: how to send a key, when to come again.
_TELLING: Final = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def headers_of(*names: str) -> Schema:
    """These headers of an answer, described."""
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}


def json_answer(description: str, *models: type[BaseModel], status: int = 200) -> Responses:
    """A JSON answer of one of these shapes."""
    shapes = [schema_of(model) for model in models]
    schema: Schema = {"oneOf": shapes} if len(shapes) > 1 else shapes[0]
    return {
        status: {
            "description": description,
            "content": {"application/json": {"schema": schema}},
            "headers": headers_of("X-Request-ID"),
        }
    }


def guide() -> str:
    """The text at the top of ``/docs``, as Markdown: how to ask, by examples."""
    return files(__package__).joinpath("guide.md").read_text(encoding="utf-8")


# A key may be sent in either header, or in none where all is public.
SECURITY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key."},
}
_BY_KEY: Final[list[dict[str, list[str]]]] = [{}, {"bearer": []}, {"header": []}]


def described(tag: str, summary: str, *answers: Responses, **extra: object) -> Schema:
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

LISTING: Final = described(
    "datasets",
    "The datasets",
    json_answer("Ids, titles and what else the catalog says, in its order.", DatasetList),
    problems(400, 401, 414),
)
DESCRIBE: Final = described(
    "datasets",
    "What one dataset holds",
    json_answer("Dimensions, coordinates and variables.", DatasetDescription),
    problems(400, 401, 404, 414, 429, 500, 502, 503, 504),
    parameters=[DATASET_ID],
)
REFRESH: Final = described(
    "administration",
    "Open a dataset anew, whose store was rewritten in place, or enumerate groups anew",
    json_answer(
        "It is opened, and its version is another one; of an entry whose groups are datasets, which"
        " of them came and went.",
        DatasetVersion,
        GroupsFound,
    ),
    problems(400, 401, 403, 404, 414, 500, 502, 503, 504),
    parameters=[DATASET_ID],
)
RELOAD: Final = described(
    "administration",
    "Read the catalog and the keys anew",
    json_answer("They are served; how the catalog differs.", CatalogChange),
    problems(400, 401, 403, 409, 414, 500, 503),
)
HEALTH: Final = described(
    "process",
    "Does the process answer?",
    json_answer("It does.", Healthy),
    problems(400, 414),
)
READY: Final = described(
    "process",
    "Does the process take requests?",
    json_answer("It does.", Ready),
    json_answer("It was told to stop.", Ready, status=503),
    problems(400, 414),
)
STATUS: Final = described(
    "process",
    "Which datasets can be read?",
    json_answer("They can.", CatalogStatus),
    json_answer(
        "None of them can (or not all, where the settings are strict).", CatalogStatus, status=503
    ),
    problems(400, 401, 414),
)
METRICS: Final = described(
    "process",
    "Metrics for Prometheus",
    {200: {"description": "Prometheus' text format.", "content": {"text/plain": {}}}},
    problems(400, 401, 403, 414),
)
