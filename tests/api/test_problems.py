"""Every error is a problem document with the right status, and no input makes a 500."""

from __future__ import annotations

import json
import logging
import random
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import HTTPException

import app.errors
import sluice.errors
from app.api.application import Application
from app.api.middleware import ObserveRequests, UnlistedOrigins, install_problems
from app.api.problems import PROBLEMS, problem_kind
from sluice.encoders.formats import ENCODERS
from sluice.errors import CatalogError, SluiceError, StoreError

POINT = "level=850&latitude=50&longitude=10"

CASES = [
    (400, "/datasets/v2/sel?foo=1", {"parameter": "foo"}),
    (400, "/datasets/v2/sel?f=grib", {"known": [*ENCODERS]}),
    (400, "/datasets/v2/sel?latitude=abc", {"parameter": "latitude"}),
    (400, "/datasets/v2/sel?latitude=", {}),
    (400, "/datasets/v2/sel?latitude=nearby::3", {}),
    (400, "/datasets/v2/sel?latitude=nearest::3/5", {}),
    (400, "/datasets/v2/sel?time=yesterday", {}),
    (400, "/datasets/v2/sel?time=2020-02-30", {}),
    (400, "/datasets/v2/sel?variables=", {}),
    (400, "/datasets/v2/isel?time=1.5", {}),
    (400, "/datasets/v2/sel?time=2020&isel[time]=1", {"dimension": "time"}),
    (422, "/datasets/v2/sel?sel[foo]=1", {"parameter": "sel[foo]"}),
    (422, "/datasets/v2/isel?isel[time]=48", {"dimension": "time"}),
    (404, "/datasets/v4/sel", {"dataset": "v4"}),
    (404, "/datasets/v2/cell", {"path": "/datasets/v2/cell"}),
    (404, "/nothing", {}),
    (404, "/datasets/v2/", {}),
    (422, f"/datasets/v2/sel?{POINT}&variables=q", {}),
    (422, "/datasets/v2/sel?latitude=52.51", {"dimension": "latitude"}),
    (
        422,
        "/datasets/v2/sel?latitude=nearest::500",
        {"dimension": "latitude", "range": [-90.0, 90.0]},
    ),
    (422, "/datasets/v2/sel?time=nearest::1900-01-01", {"dimension": "time"}),
    (422, "/datasets/v2/sel?time=2021-01-01/..", {"dimension": "time"}),
    (422, "/datasets/v2/sel?name=low", {}),
    (422, "/datasets/v2/isel?time=48", {}),
    (422, "/datasets/v2/isel?time=" + "9" * 50, {"dimension": "time", "size": 48}),
    (422, "/datasets/v2/sel?time=../2019", {"label": "../2019"}),
    (400, "/datasets?x=1", {"parameter": "x", "known": []}),
    (400, "/datasets/v2?f=json", {"parameter": "f", "known": []}),
    (400, "/healthz?verbose", {"parameter": "verbose", "known": []}),
]


def check(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The members that every problem document has; returns them."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = json.loads(
        answer.text, parse_constant=lambda text: pytest.fail(f"{text} is not JSON")
    )
    assert body["status"] == status
    assert body["type"].startswith("urn:sluice:problem:")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(("status", "path", "facts"), CASES)
def test_a_wrong_request_gets_its_status_and_the_facts(
    client: httpx.Client, status: int, path: str, facts: dict[str, Any]
) -> None:
    """The status follows from the kind of mistake, and the body carries the facts behind it."""
    body = check(client.get(path), status)
    assert facts.items() <= body.items()


def test_an_unknown_parameter_is_answered_with_the_known_ones(client: httpx.Client) -> None:
    """Whoever mistypes a parameter reads which ones there are."""
    body = check(client.get("/datasets/v2/sel?lat=5"), 400)
    assert {"time", "level", "latitude", "longitude", "variables", "f"} <= set(body["known"])


def test_no_acceptable_format_is_406(client: httpx.Client) -> None:
    """An Accept header that nothing satisfies is refused before anything is read."""
    check(client.get(f"/datasets/v2/sel?{POINT}", headers={"Accept": "image/gif"}), 406)


def test_the_wrong_verb_is_405_with_what_is_allowed(client: httpx.Client) -> None:
    """Starlette's own refusals have the same form and keep their headers."""
    answer = client.delete("/datasets/v2/sel")
    body = check(answer, 405)
    assert answer.headers["allow"] in body["detail"]
    assert answer.headers["allow"] == "GET, HEAD, POST"


def test_an_unknown_path_is_404_with_a_way_on(client: httpx.Client) -> None:
    """Whoever asks for nothing that there is reads where to begin."""
    assert "/datasets lists" in check(client.get("/dataset"), 404)["detail"]


@pytest.mark.parametrize(
    ("path", "fact"),
    [
        ("/datasets/v2/sel?latitude={}", "label"),
        ("/datasets/v2/sel?sel[{}]=1", "parameter"),
        ("/datasets/v2/sel?{}=1", "parameter"),
        ("/datasets?{}=1", "parameter"),
        ("/datasets/{}/sel", "dataset"),
        ("/{}", "path"),
    ],
)
def test_a_long_request_is_not_sent_back(client: httpx.Client, path: str, fact: str) -> None:
    """Facts repeat as much of a client's words as a person would read."""
    answer = client.get(path.format("x" * 5000))
    body = check(answer, answer.status_code)
    assert len(body[fact]) <= 200
    assert len(answer.text) < 2000


def test_a_missing_store_is_502_and_keeps_its_secrets(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """The client learns the dataset and the kind of failure; where the store is, the log says."""
    with caplog.at_level(logging.WARNING, "app.api.problems"):
        answer = client.get("/datasets/gone/sel")
    body = check(answer, 502)
    assert body["dataset"] == "gone"
    assert "secret-name" not in answer.text
    assert "secret-name" in caplog.text


def test_a_misconfigured_dataset_is_502_without_its_url(client: httpx.Client) -> None:
    """An entry that cannot be used is the operator's mistake, and its details stay in the log."""
    answer = client.get("/datasets/strange/sel")
    assert check(answer, 502)["type"] == "urn:sluice:problem:misconfigured"
    assert "nowhere" not in answer.text


def error_classes() -> list[type[SluiceError]]:
    trees = {**vars(sluice.errors), **vars(app.errors)}
    found = [item for item in trees.values() if isinstance(item, type)]
    return [item for item in found if issubclass(item, SluiceError)]


@pytest.mark.parametrize("cls", error_classes())
def test_every_error_of_the_tree_has_a_row(cls: type[SluiceError]) -> None:
    """No class of the tree falls back to 500 by being forgotten in the table."""
    if cls in (SluiceError, sluice.errors.NotLoaded):
        assert problem_kind(cls) is PROBLEMS[Exception]
    else:
        assert problem_kind(cls) is not PROBLEMS[Exception]


@pytest.mark.parametrize("cls", error_classes())
def test_what_operators_must_know_clients_need_not(cls: type[SluiceError]) -> None:
    """Errors of stores and of the catalog are answered with a fixed sentence."""
    kind = problem_kind(cls)
    if issubclass(cls, StoreError | CatalogError):
        assert kind.sentence


async def test_facts_of_any_kind_are_valid_json() -> None:
    """Facts cannot break the document: NaN, huge integers, bytes and surrogates included."""
    import numpy as np

    from sluice.errors import QueryError

    odd = Application()
    install_problems(odd)
    odd.add_middleware(
        ObserveRequests, emit=lambda event: None, url_bytes=1000, unlisted=UnlistedOrigins(())
    )

    @odd.get("/")
    async def fail() -> None:
        raise QueryError(
            "odd \ud800",
            status=7,
            nan=float("nan"),
            huge=10**30,
            raw=b"\xff",
            time=np.datetime64("2020-01-01", "ns"),
            array=np.array([1.0, np.inf]),
            value=object,
        )

    transport = httpx.ASGITransport(odd)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        body = check(await client.get("/"), 400)
    assert (body["nan"], body["huge"], body["array"]) == (None, 10**30, [1.0, None])
    assert body["time"] == "2020-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("status", "detail", "title"),
    [(404, "no such thing", "Not Found"), (499, "gone", "Status 499")],
)
async def test_a_route_of_somebody_else_says_what_went_wrong(
    status: int, detail: str, title: str
) -> None:
    """Only Starlette's own words are replaced; any status may be one of theirs."""
    others = Application()
    install_problems(others)

    @others.get("/")
    async def fail() -> None:
        raise HTTPException(status, detail)

    transport = httpx.ASGITransport(others)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        body = check(await client.get("/"), status)
    assert (body["detail"], body["title"]) == (detail, title)


PIECES = [
    "time", "level", "latitude", "longitude", "name", "mask", "t", "variables", "f", "method",
    "nearest", "pad", "json", "netcdf", "::", "/", "..", ",", ":", "-", "+", "1", "0", "9" * 400,
    "1e999", "-0.0", "nan", "2020-01-01", "2020-01-01T00:00:00Z", "9999999-01-01", "T", "Z", "P1D",
    '"', '""', "%00", "%FF", "%F0%9F%8C%8D", "%ED%A0%80", "[", "]", "{", " ", "\\", "'", ";", "#",
    "=", "&", "&", "=", "=", "é", "true", "null", "1_0", "0x1", "١", "2**31", "9223372036854775808",
    "sel[", "isel[", "tolerance", "pointwise", "explain",
]  # fmt: skip


# What a URL can hold as it is; the rest travels percent-encoded.
SAFE = "&=%:/,;+\"'[]{}"


def test_no_query_makes_a_500(client: httpx.Client) -> None:
    """Three thousand strange queries are each answered, none with a server error."""
    source = random.Random(20)
    for _ in range(1500):
        query = "".join(source.choices(PIECES, k=source.randint(1, 14)))
        # A scalar selection keeps the few queries that are right small.
        for path in ("sel", "isel"):
            url = httpx.URL(f"/datasets/v2/{path}", query=quote(query, SAFE).encode())
            answer = client.get(url)
            assert answer.status_code < 500, query
            if answer.status_code >= 400:
                check(answer, answer.status_code)


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "a%00b", "%FF", "a" * 5000, "%2Fetc%2Fpasswd", "v2%0A", "{x}"]
)
def test_no_dataset_name_makes_a_500(client: httpx.Client, name: str) -> None:
    """Whatever stands in the place of an id is an unknown dataset or an unknown path."""
    check(client.get(f"/datasets/{name}/sel"), 404)
