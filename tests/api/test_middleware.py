"""Around every request: its id, its length, its line in the log, its metrics, other origins."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api.application import Application
from app.api.middleware import ObserveRequests, UnlistedOrigins, install_problems
from app.settings import Settings
from app.telemetry.events import Event, RequestServed
from app.telemetry.logs import GATHER_SECONDS
from tests.api.conftest import CATALOG, serving
from tests.api.test_problems import check

POINT = "/datasets/v2/isel?time=0&level=0&latitude=0&longitude=0"


@pytest.mark.parametrize("path", [POINT, "/datasets", "/nothing", "/datasets/v2/sel?x=1", "/docs"])
def test_every_answer_has_an_id(client: httpx.Client, path: str) -> None:
    """Whatever the answer is, an id is on it, and no two are the same."""
    ids = {client.get(path).headers["x-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in ids)


def test_a_clients_own_id_is_kept(client: httpx.Client) -> None:
    """An id that a proxy or client gave comes back, so that logs can be joined."""
    answer = client.get(POINT, headers={"X-Request-ID": "trace-17.a_B"})
    assert answer.headers["x-request-id"] == "trace-17.a_B"


@pytest.mark.parametrize("odd", ["", "a b", "x" * 65, "é".encode().decode("latin-1"), '"', "a,b"])
def test_an_odd_id_is_replaced(client: httpx.Client, odd: str) -> None:
    """What could break a log line or a header is not repeated."""
    answer = client.get(POINT, headers={b"X-Request-ID": odd.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])


def test_the_log_has_a_line_with_the_id(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Who, what, status, time and size; a problem's line can be found by its id."""
    with caplog.at_level(logging.INFO, "app.telemetry.request_log"):
        client.get("/datasets/v2/sel?latitude=52.51", headers={"X-Request-ID": "find-me"})
        time.sleep(3 * GATHER_SECONDS)
    (line,) = [line for line in "\n".join(caplog.messages).split("\n") if "find-me" in line]
    assert re.fullmatch(
        r"time=[0-9T:.-]+Z level=info id=find-me client=127\.0\.0\.1 method=GET"
        r" path=/datasets/v2/sel status=422 ms=[0-9.]+ bytes=[0-9]+ dataset=v2"
        r" cells=0 hits=0 misses=0 store_ms=0\.0 cpu_ms=0\.0",
        line,
    )


def test_a_long_url_is_414_and_says_what_to_do(client: httpx.Client) -> None:
    """More than the setting allows is refused before it is parsed, in every route."""
    for path in ("/datasets/v2/sel?latitude=" + "1," * 10_000, "/" + "x" * 20_000):
        body = check(client.get(path), 414)
        assert body["limit"] == 16384
        assert body["estimate"] > 16384
        assert "POST" in body["detail"]


def test_the_longest_url_that_is_allowed_is_read(
    stores: Path, write_catalog: Callable[[str], Path]
) -> None:
    """The limit is a setting and counts path and query."""
    path, query = "/datasets/v2/isel", "level=0&latitude=0&longitude=0&time=0"
    query += ",0" * ((256 - len(path) - len(query)) // 2)
    with serving(Settings(catalog=write_catalog(CATALOG), url_bytes=256)) as client:
        assert len(path) + len(query) in (255, 256)
        assert client.get(f"{path}?{query}").status_code == 200
        assert client.get(f"{path}?{query},0").status_code == 414


async def test_an_unexpected_error_is_a_500_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug answers as a problem; its text and traceback go to the log, under the answer's id."""
    events: list[Event] = []
    broken = Application()
    install_problems(broken)
    broken.add_middleware(
        ObserveRequests, emit=events.append, url_bytes=1000, unlisted=UnlistedOrigins(())
    )

    @broken.get("/")
    async def fail() -> None:
        raise RuntimeError("the password is hush")

    transport = httpx.ASGITransport(broken)
    async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=60) as client:
        answer = await client.get("/")
    check(answer, 500)
    assert "hush" not in answer.text
    assert "hush" in caplog.text
    assert answer.headers["x-request-id"] in caplog.text
    (event,) = events
    assert isinstance(event, RequestServed)
    assert (event.status, event.route) == (500, "/")


def samples(client: httpx.Client) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    families = text_string_to_metric_families(answer.text)
    return {
        " ".join([sample.name, *dict(sorted(sample.labels.items())).values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_metrics_count_requests_opens_store_requests_and_lag(
    write_catalog: Callable[[str], Path],
) -> None:
    """By route and status, and by dataset; opens by dataset, and store requests by store."""
    with serving(Settings(catalog=write_catalog(CATALOG))) as client:
        for _ in range(3):
            client.get(POINT)
        client.get("/datasets/v2/sel?latitude=52.51")
        client.get("/datasets/gone/sel")
        time.sleep(0.3)  # the first timer that is looked at is due after a quarter
        found = samples(client)
        asked = found["sluice_store_request_seconds_count get ok file"]
        client.get(POINT.replace("time=0", "time=30"))
        later = samples(client)
    route = "/datasets/{dataset_id}"
    labels = {key: value for key, value in found.items() if "request_seconds_count" in key}
    assert labels[f"sluice_request_seconds_count {route}/isel 200"] == 3
    assert labels[f"sluice_request_seconds_count {route}/sel 422"] == 1
    assert labels[f"sluice_request_seconds_count {route}/sel 502"] == 1
    assert found["sluice_dataset_request_seconds_count v2"] == 4
    assert found["sluice_dataset_failures_total gone 502"] == 1
    assert found["sluice_dataset_open_seconds_count v2 ok"] == 1
    assert found["sluice_dataset_open_seconds_count gone StoreMissing"] == 1
    # Two variables have another chunk at that time; the rest is in memory.
    assert later["sluice_store_request_seconds_count get ok file"] == asked + 2
    assert found["sluice_loop_lag_seconds_count"] > 0


def test_no_client_can_make_up_metrics(write_catalog: Callable[[str], Path]) -> None:
    """Unknown paths, methods and datasets do not add rows: labels come from the catalog."""
    with serving(Settings(catalog=write_catalog(CATALOG))) as client:
        client.get("/nothing")
        before = len(samples(client))
        for number in range(20):
            client.get(f"/datasets/made-up-{number}/sel")
            client.get(f"/made/up/{number}")
            client.request(f"MADE{number}", "/datasets")
        rows = [name for name in samples(client) if "made" in name.lower()]
        assert rows == []
        assert len(samples(client)) < before + 80


def test_server_timing_names_the_phases(client: httpx.Client) -> None:
    """Open, plan, fetch, decode and encode, in milliseconds; a HEAD has no more than a plan.

    What is in memory is not fetched.
    """
    point = "/datasets/v2/isel?time=47&level=1&latitude=18&longitude=35"
    timing = client.get(point).headers["server-timing"]
    names = [part.split(";")[0] for part in timing.split(", ")]
    assert sorted(names) == ["decode", "encode", "fetch", "open", "plan"]
    assert "fetch" not in client.get(point).headers["server-timing"]
    assert all(re.fullmatch(r"[a-z]+;dur=[0-9]+\.[0-9]{3}", part) for part in timing.split(", "))
    head = client.head(POINT).headers["server-timing"]
    assert [part.split(";")[0] for part in head.split(", ")] == ["open", "plan"]


PAGE = {"Origin": "https://maps.example"}
PREFLIGHT = {**PAGE, "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "content-type,x-request-id"}  # fmt: skip


@pytest.fixture(scope="module")
def open_client(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    path = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    path.write_text(CATALOG.replace("{stores}", str(stores)))
    with serving(Settings(catalog=path, cors_origins=("https://maps.example",))) as client:
        yield client


def test_it_is_closed_by_default(client: httpx.Client) -> None:
    """Without the setting no header allows anything, and a preflight is a wrong verb."""
    answer = client.get(POINT, headers=PAGE)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert client.options(POINT, headers=PREFLIGHT).status_code == 405


@pytest.mark.parametrize("path", [POINT, "/datasets/v2/sel?x=1", "/datasets/none", "/nothing"])
def test_a_page_of_the_origin_may_read_answers_and_refusals(
    open_client: httpx.Client, path: str
) -> None:
    """The origin is allowed on every answer, with the headers that a script needs."""
    answer = open_client.get(path, headers=PAGE)
    assert answer.headers["access-control-allow-origin"] == "https://maps.example"
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert {"ETag", "X-Request-ID", "Retry-After", "Content-Disposition"} <= set(exposed)
    assert "Origin" in answer.headers["vary"]


def test_a_preflight_of_the_origin_is_granted(open_client: httpx.Client) -> None:
    """A POST of JSON with an id of its own is what a page would send."""
    answer = open_client.options(POINT, headers=PREFLIGHT)
    assert answer.status_code == 200
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "x-request-id" in answer.headers["access-control-allow-headers"]


def test_another_origin_is_refused(open_client: httpx.Client) -> None:
    """Its answers carry no permission, and its preflight is a problem document."""
    other = {"Origin": "https://other.example"}
    assert "access-control-allow-origin" not in open_client.get(POINT, headers=other).headers
    answer = open_client.options(POINT, headers=PREFLIGHT | other)
    assert check(answer, 400)["origin"] == "https://other.example"
    assert "access-control-allow-origin" not in answer.headers


def test_a_refused_preflight_has_the_form_of_its_door(open_client: httpx.Client) -> None:
    refused = PREFLIGHT | {"Origin": "https://other.example"}
    told = open_client.options("/edr/collections", headers=refused)
    assert (told.status_code, told.json()["code"]) == (400, "400")
    assert told.json()["description"] == check(told, 400)["detail"]
    told = open_client.options("/dap/v2.dds", headers=refused)
    assert told.status_code == 400
    assert told.text.startswith("Error {")
    assert "Origin" in told.headers["vary"]


def test_any_origin_can_be_allowed(
    write_catalog: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's ``*`` opens a public service to every page."""
    monkeypatch.setenv("SLUICE_CORS_ORIGINS", "*")
    with serving(Settings(catalog=write_catalog(CATALOG))) as client:
        assert client.get(POINT, headers=PAGE).headers["access-control-allow-origin"] == "*"
