"""POST: the same parameters as a JSON object, for selections that no URL can hold."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.api import create_app
from app.settings import Settings
from tests.api.conftest import CATALOG, decoded, serving
from tests.api.test_problems import check
from tests.server.test_protocol import heard

SEL = "/datasets/v2/sel"
JSON = {"Content-Type": "application/json"}


def posted(client: httpx.Client, path: str, document: object, **headers: str) -> httpx.Response:
    content = document if isinstance(document, bytes | str) else json.dumps(document)
    return client.post(path, content=content, headers=JSON | headers)


@pytest.mark.parametrize(
    ("path", "document", "query"),
    [
        (SEL, {}, "variables=mask"),
        (SEL, {"latitude": 50, "longitude": -10}, "latitude=50&longitude=-10"),
        (SEL, {"latitude": [50, 40], "level": 850}, "latitude=50,40&level=850"),
        (SEL, {"latitude": [50]}, "latitude=50,"),
        (SEL, {"latitude": "nearest::52.5"}, "latitude=nearest::52.5"),
        (SEL, {"latitude": [52.5, 11], "method": "nearest"}, "latitude=nearest::52.5,11"),
        (SEL, {"longitude": "-10/10"}, "longitude=-10/10"),
        (SEL, {"time": "2020-01-01", "isel[level]": -1}, "time=2020-01-01&isel[level]=-1"),
        (
            SEL,
            {"latitude": [50, 40], "longitude": [10, 20], "pointwise": ["latitude", "longitude"]},
            "latitude=50,40&longitude=10,20&pointwise=latitude,longitude",
        ),
        ("/datasets/v2/isel", {"latitude": [3, 5], "time": -1}, "latitude=3,5&time=-1"),
    ],
)
def test_a_post_answers_as_its_url_does(
    client: httpx.Client, path: str, document: dict[str, Any], query: str
) -> None:
    """Numbers, texts and arrays mean what they mean in a URL."""
    document = {"variables": ["mask"], **document}
    query = query if "variables" in query else f"variables=mask&{query}"
    answer = posted(client, path, document)
    assert answer.status_code == 200, answer.text
    assert answer.json() == client.get(f"{path}?{query}").json()


def test_a_selection_too_long_for_a_url_is_answered(client: httpx.Client) -> None:
    """Five thousand stations at once: 30 KB of labels."""
    random = np.random.default_rng(3)
    document = {
        "time": "2020-01-01T05:00Z",
        "level": 850,
        "latitude": random.uniform(-90, 90, 5000).round(3).tolist(),
        "longitude": random.uniform(-180, 180, 5000).round(3).tolist(),
        "method": "nearest",
        "pointwise": ["latitude", "longitude"],
        "variables": "t",
    }
    answer = posted(client, SEL, document)
    assert answer.status_code == 200, answer.text
    assert decoded(answer).sizes == {"points": 5000}


def test_a_posted_answer_is_not_kept(client: httpx.Client) -> None:
    """It cannot be asked for again by its URL, so it has no tag and no cache may keep it."""
    answer = posted(client, SEL, {"variables": "mask"}, **{"If-None-Match": "*"})
    assert answer.status_code == 200
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


def test_a_post_takes_a_format_and_an_explanation(client: httpx.Client) -> None:
    """The options stand beside the dimensions; Accept works too."""
    csv = posted(client, SEL, {"variables": "mask", "latitude": 50, "f": "csv"})
    assert csv.headers["content-type"] == "text/csv; charset=utf-8"
    netcdf = posted(client, SEL, {"variables": "mask"}, Accept="application/netcdf")
    assert netcdf.headers["content-type"] == "application/netcdf"
    assert posted(client, SEL, {"explain": True}).json()["within_limits"] is True


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_a_body_that_is_not_json_is_415(client: httpx.Client, kind: str) -> None:
    """The answer names what is taken instead."""
    answer = client.post(SEL, content=b"latitude=50", headers={"Content-Type": kind})
    assert check(answer, 415)["known"] == ["application/json"]


def test_a_coded_body_is_415(client: httpx.Client) -> None:
    """Bodies are read as they are; a coding would be read as text otherwise."""
    answer = posted(client, SEL, b"{}", **{"Content-Encoding": "gzip"})
    assert check(answer, 415)["content_encoding"] == "gzip"


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/geo+json"])
def test_json_by_another_name_is_json(client: httpx.Client, kind: str) -> None:
    """Parameters of the media type and its relatives are fine."""
    answer = client.post(SEL, content=b'{"variables":"mask"}', headers={"Content-Type": kind})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"7", b"null", b'"x"', b"\xff", b'{"latitude": null}',
        b'{"latitude": {}}',
        b'{"latitude": []}', b'{"latitude": [[1]]}', b'{"latitude": NaN}', b'{"latitude": true}',
        b'{"latitude": 1, "latitude": 2}', b'{"f": ["json", "csv"]}', b'{"nope": 1}',
        b'{"latitude": "\\ud800"}', b"[" * 100_000, b'{"latitude": 1' + b"0" * 50_000 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_means_nothing_is_400(client: httpx.Client, body: bytes) -> None:
    """Each says what is wrong with it; none is a server error."""
    answer = posted(client, SEL, body)
    assert answer.status_code in (400, 422)
    check(answer, answer.status_code)


def test_a_body_over_the_limit_is_413(write_catalog: Callable[[str], Path]) -> None:
    """It is not read to its end, whether or not its length was announced."""
    with serving(Settings(catalog=write_catalog(CATALOG), body_bytes=1000)) as client:
        document = b'{"variables":"mask"' + b" " * 2000 + b"}"
        body = check(posted(client, SEL, document), 413)
        assert (body["limited"], body["limit"]) == ("body_bytes", 1000)
        parts = (document[start : start + 100] for start in range(0, len(document), 100))
        check(client.post(SEL, content=parts, headers=JSON), 413)
        assert posted(client, SEL, b'{"variables":"mask"}').status_code == 200


@pytest.mark.parametrize("length", ["Content-Length: 500", "Transfer-Encoding: chunked"])
def test_a_body_that_does_not_arrive_is_408(
    write_catalog: Callable[[str], Path], length: str
) -> None:
    """However steadily it drips; the connection ends, and the answer says the limit."""
    catalog = write_catalog(CATALOG)
    with serving(Settings(catalog=catalog, request_seconds=0.3)) as client:
        url = client.base_url
        with socket.create_connection((url.host, url.port), timeout=30) as connection:
            lines = [f"POST {SEL} HTTP/1.1", "Host: x", "Content-Type: application/json", length]
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            received = heard(connection, b" " if "500" in length else b"1\r\n \r\n")
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert b"connection: close" in head.lower()
        problem = json.loads(body)
        assert problem["type"].endswith("request-timeout")
        assert problem["limit_seconds"] == 0.3
        assert client.get("/healthz").status_code == 200


def test_a_list_over_the_limit_is_413(write_catalog: Callable[[str], Path]) -> None:
    """Lists are counted before they are looked up, in a URL and in a body."""
    with serving(Settings(catalog=write_catalog(CATALOG), request_labels=3)) as client:
        for answer in (
            client.get(f"{SEL}?latitude=0,10,20,30&variables=mask"),
            client.get("/datasets/v2/isel?latitude=0,1,2,3&variables=mask"),
            posted(client, SEL, {"latitude": [0, 10, 20, 30], "variables": "mask"}),
        ):
            assert check(answer, 413)["limit"] == 3
        assert client.get(f"{SEL}?latitude=0,10,20&variables=mask").status_code == 200


def test_parameters_in_the_url_of_a_post_are_refused(client: httpx.Client) -> None:
    """They would be ignored otherwise, or meet the body's own."""
    answer = client.post(f"{SEL}?f=csv", content=b"{}", headers=JSON)
    assert check(answer, 400)["parameter"] == "f"


async def test_long_lists_are_understood_beside_the_loop(
    write_catalog: Callable[[str], Path],
) -> None:
    """In a thread: where none is free they wait, and points are answered as before."""
    point, free = "/datasets/v2/sel?variables=mask&latitude=50&longitude=10", threading.Event()
    app = create_app(Settings(catalog=write_catalog(CATALOG)))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        assert (await client.get(point)).status_code == 200
        loop = asyncio.get_running_loop()
        busy = [loop.run_in_executor(None, free.wait) for _ in range(200)]
        try:
            far = [0] * 4999 + [10**6]
            listed = ",".join(map(str, far))
            asked = [
                asyncio.create_task(client.post("/datasets/v2/isel", json={"time": far})),
                asyncio.create_task(client.get(f"/datasets/v2/isel?time={listed}")),
            ]
            for _ in range(20):
                assert (await client.get(point)).status_code == 200
            assert not any(task.done() for task in asked)
        finally:
            free.set()
        await asyncio.gather(*busy)
        for task in asked:
            body = check(await task, 422)
            assert "1000000 is not one of them" in body["detail"]
