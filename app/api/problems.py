"""Errors -> RFC 9457 problem documents: the one table from exception classes to statuses."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route
from starlette.types import Scope

from sluice.aliases import Document
from sluice.errors import (
    CatalogError,
    CorruptChunk,
    LimitError,
    MetadataError,
    MisalignedGroup,
    NotAcceptable,
    QueryError,
    ReferenceRefused,
    SelectionError,
    SluiceError,
    StoreError,
    StoreMissing,
    StoreOversized,
    StoreRefused,
    StoreSlow,
    StoreTimeout,
    StoreTooLarge,
    StoreUnavailable,
)

from ..errors import (
    CatalogRefused,
    DeadlineExceeded,
    Forbidden,
    MalformedRequest,
    NoSuchKey,
    NotForm,
    NotJson,
    NotTold,
    OtherEdition,
    Overloaded,
    PreconditionFailed,
    RangeNotSatisfiable,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
    UnknownDataset,
    UnknownSuffix,
    UnusableVariable,
)
from .response_bodies import json_bytes

MEDIA_TYPE: Final = "application/problem+json"

# The longest text that a fact repeats, most of which are the client's own words.
_LONGEST_FACT: Final = 200

# What clients of standard doors understand besides: those of the field have files of passwords.
_BASIC: Final = 'Basic realm="Sluice"'

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One row of the table: what clients are told about one class of errors.

    `sentence` replaces the error's own text where that could name keys, buckets or paths.
    """

    status: int
    name: str
    title: str
    sentence: str | None = None
    headers: Mapping[str, str] | None = None

    @property
    def type(self) -> str:
        """The URI that names this kind for programs."""
        return type_of(self.name)


# An error takes the row of the nearest class in its MRO, so a new subclass needs no row.
PROBLEMS: Final[Mapping[type[BaseException], ProblemKind]] = MappingProxyType(
    {
        QueryError: ProblemKind(400, "bad-query", "The request cannot be parsed"),
        Unauthorized: ProblemKind(
            401,
            "unauthorized",
            "A key is needed",
            headers={"WWW-Authenticate": 'Bearer realm="Sluice"'},
        ),
        Forbidden: ProblemKind(403, "forbidden", "The key lacks the right"),
        MalformedRequest: ProblemKind(400, "bad-request", "Bad Request"),
        NotJson: ProblemKind(415, "not-json", "The body is not JSON"),
        NotForm: ProblemKind(415, "not-form", "The body is no form"),
        # Who sends no more is not waited for on the same connection (RFC 9110, section 15.5.9).
        RequestTimeout: ProblemKind(
            408,
            "request-timeout",
            "The request did not arrive in time",
            headers={"Connection": "close"},
        ),
        UnknownDataset: ProblemKind(404, "unknown-dataset", "There is no such dataset"),
        # No client takes that for a chunk that is not there, as some do with 410 and 412.
        OtherEdition: ProblemKind(409, "other-edition", "The dataset is another edition now"),
        NoSuchKey: ProblemKind(404, "no-such-key", "There is no such key"),
        UnknownSuffix: ProblemKind(404, "unknown-suffix", "There is no such format"),
        NotAcceptable: ProblemKind(406, "not-acceptable", "No acceptable format"),
        PreconditionFailed: ProblemKind(412, "other-version", "The answer is another one now"),
        LimitError: ProblemKind(413, "over-limit", "The selection is too large"),
        RangeNotSatisfiable: ProblemKind(416, "no-range", "No byte is in the range"),
        SelectionError: ProblemKind(422, "no-selection", "The selection cannot be satisfied"),
        UnusableVariable: ProblemKind(422, "unusable-variable", "The variable cannot be used"),
        TooManyRequests: ProblemKind(429, "too-many-requests", "Too many requests at once"),
        Overloaded: ProblemKind(503, "overloaded", "The server is busy"),
        DeadlineExceeded: ProblemKind(504, "deadline", "The request took too long"),
        StoreError: ProblemKind(
            502, "store-failed", "The store failed", "The dataset's store could not be read."
        ),
        StoreRefused: ProblemKind(
            502, "store-refused", "The store refused", "The dataset's store refused to be read."
        ),
        StoreMissing: ProblemKind(
            502, "store-missing", "The store is missing", "The dataset's store is not there."
        ),
        MetadataError: ProblemKind(
            502,
            "store-metadata",
            "The store's metadata is broken",
            "The metadata of the dataset's store is absent or broken.",
        ),
        StoreTooLarge: ProblemKind(
            502,
            "store-too-large",
            "The store is too large to be opened",
            "The metadata of the dataset's store asks for more than opening it may take.",
        ),
        ReferenceRefused: ProblemKind(
            502,
            "reference-refused",
            "A reference is refused",
            "The dataset refers to a place that its catalog entry does not let it read.",
        ),
        CorruptChunk: ProblemKind(
            502,
            "store-corrupt",
            "The store's data is broken",
            "A part of the dataset's store does not decode.",
        ),
        StoreOversized: ProblemKind(
            502,
            "store-oversized",
            "The store has too much",
            "A value in the dataset's store is larger than its metadata, or a limit, allows.",
        ),
        StoreSlow: ProblemKind(
            502,
            "store-slow",
            "The store asks for a pause",
            "The dataset's store answers that it gets too many requests just now.",
        ),
        StoreTimeout: ProblemKind(
            504, "store-timeout", "The store timed out", "The dataset's store did not answer."
        ),
        StoreUnavailable: ProblemKind(
            502,
            "store-unavailable",
            "The store is unavailable",
            "The dataset's store failed so often that its circuit is open for now.",
        ),
        CatalogError: ProblemKind(
            502,
            "misconfigured",
            "The dataset is misconfigured",
            "Its catalog entry cannot be used.",
        ),
        NotTold: ProblemKind(503, "not-told", "The worker processes cannot be told"),
        CatalogRefused: ProblemKind(
            409, "catalog-refused", "The new catalog is refused, and the old one stays"
        ),
        Exception: ProblemKind(
            500, "unexpected", "Unexpected error", "The server failed; its log says how."
        ),
    }
)


def type_of(name: str) -> str:
    """The URI of a kind of problem, from its short name."""
    return f"urn:sluice:problem:{name}"


def problem_kind(error: type[BaseException]) -> ProblemKind:
    """The row of an error's class, or of the nearest one above it."""
    return next(PROBLEMS[cls] for cls in error.__mro__ if cls in PROBLEMS)


def problem(
    status: int,
    name: str,
    title: str,
    detail: str,
    facts: Document,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An RFC 9457 document as a response that no cache keeps; its members win over `facts`.

    Long texts among the facts are cut: a problem is not the place to send a request back.
    """
    members = {"type": type_of(name), "title": title, "status": status, "detail": detail}
    # Twice: the first gives the members the first places, the second the last word.
    told = {name: _shortened(fact) for name, fact in facts.items()}
    content = json_bytes({**members, **told, **members})
    sent = {**(headers or {}), "Cache-Control": "no-store"}
    return Response(content, status, sent, media_type=MEDIA_TYPE)


def plain_problem(
    status: int, detail: str, facts: Document, headers: Mapping[str, str] | None = None
) -> Response:
    """A problem that has no kind of its own: it is called like its status."""
    phrase = _phrase(status)
    return problem(status, phrase.lower().replace(" ", "-"), phrase, detail, facts, headers)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # whoever embeds the application may have routes with one of their own
        return f"Status {status}"


def _shortened(fact: object) -> object:
    if isinstance(fact, str) and len(fact) > _LONGEST_FACT:
        return fact[: _LONGEST_FACT - 3] + "..."
    return fact


def expected_problem(scope: Scope, error: Exception) -> Response | None:
    """The problem document of an error that left a route, or of a path without one.

    None for an error that nobody expected.
    """
    match error:
        case SluiceError():
            return _own_problem(scope, error)
        case HTTPException():
            return _path_problem(scope, error)
        case RequestValidationError():
            return _validation_problem(error)
        case _:
            return None


def _own_problem(scope: Scope, error: SluiceError) -> Response:
    """One of our own errors; what clients must not see goes to the log."""
    kind = problem_kind(type(error))
    headers = {**(kind.headers or {}), **_retry_after(error)}
    door: str = getattr(scope.get("route"), "door", "")
    if door and isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = f"{_BASIC}, {headers['WWW-Authenticate']}"
    if isinstance(error, RangeNotSatisfiable):
        # RFC 9110, section 14.4.
        headers["Content-Range"] = f"bytes */{error.facts['size']}"
    if kind.sentence is None:
        return problem(kind.status, kind.name, kind.title, error.detail, error.facts, headers)
    dataset = scope.get("path_params", {}).get("dataset_id")
    # Of a store whose circuit is open the log knows since it is, and it may be asked for a lot.
    severity = logging.DEBUG if isinstance(error, StoreUnavailable) else logging.WARNING
    log.log(severity, "dataset %r: %s: %s", dataset, type(error).__name__, error.detail)
    facts, sentence = {"dataset": dataset}, kind.sentence
    if isinstance(error, CorruptChunk) and (variable := error.facts.get("variable")) is not None:
        facts, sentence = {**facts, "variable": variable}, f"{sentence} It is of {variable}."
    if isinstance(error, MisalignedGroup):
        facts["group"] = group = error.facts["group"]
        sentence = f"The group {group!r} is not aligned with those that it lies in."
    return problem(kind.status, kind.name, kind.title, sentence, facts, headers)


def _retry_after(error: SluiceError) -> dict[str, str]:
    """When to ask again (RFC 9110 10.2.3), where the error knows."""
    seconds = error.facts.get("retry_after")
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _path_problem(scope: Scope, error: HTTPException) -> Response:
    """Starlette's own 404 and 405 in the form of all other problems; others say what they say."""
    facts = {"method": scope["method"], "path": scope["path"]}
    headers, detail = dict(error.headers or {}), str(error.detail)
    is_own = detail == _phrase(error.status_code)
    if is_own and error.status_code == 404:
        detail = "Nothing is at this path; /datasets lists the datasets, /docs the paths."
    elif is_own and error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_of(scope))
        detail = f"This path takes {headers['Allow']} only."
    return plain_problem(error.status_code, detail, facts, headers)


def _methods_of(scope: Scope) -> list[str]:
    """The methods of all routes at this path; Starlette tells those of the first alone."""
    found: set[str] = set()
    for route in scope["app"].routes:
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _validation_problem(error: RequestValidationError) -> Response:
    """FastAPI's validation errors, which are about the request's text: 400 rather than its 422."""
    wrong = [{"where": list(e["loc"]), "what": e["msg"]} for e in error.errors()]
    kind = PROBLEMS[QueryError]
    detail = "The request's parameters have the wrong form."
    return problem(kind.status, kind.name, kind.title, detail, {"errors": wrong})


def unexpected() -> Response:
    """A 500 that says nothing of its cause, which is for the log."""
    kind = PROBLEMS[Exception]
    return problem(kind.status, kind.name, kind.title, kind.sentence or "", {})


def connection_problem(status: int, detail: str) -> bytes:
    """A problem of this status as HTTP/1.1 sends it to a request that no application sees.

    The connection ends after it.
    """
    headers = {"X-Request-ID": uuid.uuid4().hex, "Connection": "close"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    # Nobody knows yet which door it is for: clients of EDR look for these two.
    facts = {"code": str(status), "description": detail}
    answer = plain_problem(status, detail, facts, headers)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
