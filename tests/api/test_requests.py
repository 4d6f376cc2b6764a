"""Who may ask: keys at the door, what each holder sees, and what caches may keep."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.api import create_app
from app.api.requests import caller, require_admin
from app.catalog.configuration import key_line
from app.settings import Settings
from tests.api.conftest import CATALOG, serving, serving_app
from tests.api.test_problems import check

OPEN_TO_ALL = """
datasets:
  free: {url: "{stores}/v2.zarr", access: public, cache_control: "public, max-age=60"}
  any: {url: "{stores}/v2.zarr"}
  hidden:
    url: "{stores}/v3.zarr"
    access: [team]
    cache_control: 'public, max-age=60, S-MaxAge=600, no-cache="a, b"'
"""
KEYS = {"team": "key-of-the-team", "guest": "key-of-the-guest", "boss": "key-of-the-boss"}
POINT = "isel?time=0&level=0&latitude=0&longitude=0&variables=t"
LINES = [
    key_line("team", KEYS["team"], [], []),
    key_line("team", "second-key-of-the-team", [], []),
    key_line("guest", KEYS["guest"], ["metrics"], ["free"]),
    key_line("boss", KEYS["boss"], ["admin"], []),
]


def by(name: str) -> dict[str, str]:
    return {"X-API-Key": KEYS[name]}


def basic(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.fixture(scope="module")
def guarded(stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("guarded")
    catalog = folder / "catalog.yaml"
    catalog.write_text(OPEN_TO_ALL.replace("{stores}", str(stores)))
    (folder / "keys").write_text("\n".join(LINES[:3]))
    settings = Settings(
        catalog=catalog, keys_file=folder / "keys", keys=LINES[3], cors_origins=("https://page",)
    )
    with serving(settings) as client:
        yield client


def ids(client: httpx.Client, headers: dict[str, str]) -> list[str]:
    return [found["id"] for found in client.get("/datasets", headers=headers).json()["datasets"]]


def test_each_caller_sees_their_own(guarded: httpx.Client) -> None:
    """The list and `/catalog/status` name what this caller may read, and those can be read."""
    seen = {
        "": ["free"],
        "team": ["free", "any", "hidden"],
        "guest": ["free"],
        "boss": ["free", "any"],
    }
    for name, expected in seen.items():
        headers = by(name) if name else {}
        assert ids(guarded, headers) == expected
        assert [*guarded.get("/catalog/status", headers=headers).json()["datasets"]] == expected
        for dataset in expected:
            assert guarded.get(f"/datasets/{dataset}/{POINT}", headers=headers).status_code == 200


REQUESTS = [
    ("GET", "", None), ("GET", f"/{POINT}", None), ("GET", "/sel?foo=1", None),
    ("GET", "?x=1", None), ("HEAD", f"/{POINT}", None), ("POST", "/sel", "{}"),
    ("POST", "/isel", "{"), ("DELETE", "", None), ("POST", "/sel?x=1", "{}"),
    ("GET", "/nothing", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "rest", "body"), REQUESTS)
@pytest.mark.parametrize("headers", [{}, by("guest")])
def test_what_is_hidden_is_not_there(
    guarded: httpx.Client, headers: dict[str, str], method: str, rest: str, body: str | None
) -> None:
    """Same status, headers and bytes as for an id that does not exist, but for the id."""
    told = []
    for dataset in ("hidden", "absent"):
        answer = guarded.request(
            method,
            f"/datasets/{dataset}{rest}",
            content=body,
            headers={**headers, "X-Request-ID": "same", "Content-Type": "application/json"},
        )
        kept = {name: text for name, text in answer.headers.items() if name != "date"}
        told.append((answer.status_code, kept, answer.text.replace(dataset, "ID")))
    assert told[0] == told[1]
    assert told[0][0] in ((400, 401, 404, 405) if not headers else (400, 404, 405))


@pytest.mark.parametrize("path", ["/datasets/any", "/datasets/none/sel", "/metrics"])
def test_without_a_key_401_says_how_to_send_one(guarded: httpx.Client, path: str) -> None:
    """A challenge for programs, a sentence for people."""
    answer = guarded.get(path)
    assert "X-API-Key" in check(answer, 401)["detail"]
    assert answer.headers["www-authenticate"] == 'Bearer realm="Sluice"'


@pytest.mark.parametrize(
    "headers",
    [
        by("team"),
        {"X-API-Key": "second-key-of-the-team"},
        {"Authorization": f"Bearer {KEYS['team']}"},
        {"Authorization": f"bearer  {KEYS['team']}"},
        {"Authorization": f"Bearer {KEYS['team']}", **by("team")},
        {"Authorization": basic("anybody", KEYS["team"])},
        {"Authorization": basic("", KEYS["team"]).replace("Basic", "basic"), **by("team")},
    ],
)
def test_a_key_comes_by_either_header(guarded: httpx.Client, headers: dict[str, str]) -> None:
    """Both keys of one holder are valid at once, so that they can be changed in turn."""
    assert ids(guarded, headers) == ["free", "any", "hidden"]


@pytest.mark.parametrize(
    "path", ["/datasets", "/datasets/free", f"/datasets/free/{POINT}", "/catalog/status"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"Authorization": f"Basic {KEYS['team']}"},
        {"Authorization": basic(KEYS["team"], "")},
        {"Authorization": basic("a:b", KEYS["team"])},
        {"Authorization": KEYS["team"]},
    ],
)  # fmt: skip
def test_a_wrong_key_is_never_passed_over(
    guarded: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    """Also where none is needed: whoever sends a key should learn that it does not work."""
    answer = guarded.get(path, headers=headers)
    assert "none of this service's" in check(answer, 401)["detail"]


def test_two_different_keys_are_a_400(guarded: httpx.Client) -> None:
    """Which of them should count?"""
    two = {"Authorization": f"Bearer {KEYS['team']}", **by("guest")}
    check(guarded.get("/datasets", headers=two), 400)
    lines = [("X-API-Key", KEYS["team"]), ("X-API-Key", KEYS["guest"])]
    check(guarded.get("/datasets", headers=lines), 400)


def test_health_and_pages_stay_open(guarded: httpx.Client) -> None:
    """Whatever key comes along."""
    for path in ("/healthz", "/docs", "/openapi.json"):
        assert guarded.get(path, headers={"X-API-Key": "wrong"}).status_code == 200


def test_metrics_need_the_right(guarded: httpx.Client) -> None:
    """A key without it is known, and refused; an admin may read them."""
    assert guarded.get("/metrics", headers=by("guest")).status_code == 200
    assert guarded.get("/metrics", headers=by("boss")).status_code == 200
    assert check(guarded.get("/metrics", headers=by("team")), 403)["right"] == "metrics"


def test_no_shared_cache_keeps_what_is_protected(guarded: httpx.Client) -> None:
    """The dataset's own words stay, without those for shared caches; 304 and HEAD say the same."""
    path = f"/datasets/hidden/{POINT}"
    told = 'private, max-age=60, no-cache="a, b"'
    answer = guarded.get(path, headers=by("team"))
    again = {**by("team"), "If-None-Match": answer.headers["etag"]}
    for found in (
        answer,
        guarded.get(path, headers=again),
        guarded.head(path, headers=by("team")),
        guarded.get("/datasets/hidden", headers=by("team")),
    ):
        assert found.headers["cache-control"] == told
        assert found.headers["vary"].endswith("Authorization, X-API-Key, Origin")
    assert guarded.get(path, headers=again).status_code == 304
    check(guarded.get(path, headers={"If-None-Match": "*"}), 401)
    any_of = guarded.get("/datasets/any", headers=by("team")).headers
    assert any_of["cache-control"] == "private, no-cache"


def test_what_is_public_stays_fit_for_all_caches(guarded: httpx.Client) -> None:
    """Keys elsewhere in the catalog, or on the request, change nothing of it."""
    for headers in ({}, by("team")):
        answer = guarded.get(f"/datasets/free/{POINT}", headers=headers)
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert answer.headers["vary"] == "Accept, Accept-Encoding, Origin"


def test_the_list_is_kept_by_nobody_else(guarded: httpx.Client) -> None:
    """It depends on who asks, and on whether they like a page better."""
    headers = guarded.get("/datasets").headers
    assert headers["cache-control"] == "private, no-cache"
    assert headers["vary"] == "Accept, Authorization, X-API-Key, Origin"


def test_a_page_may_send_a_key(guarded: httpx.Client) -> None:
    """A preflight grants both headers, and a refusal can be read."""
    asking = {"Origin": "https://page", "Access-Control-Request-Method": "GET",
              "Access-Control-Request-Headers": "authorization,x-api-key"}  # fmt: skip
    granted = guarded.options("/datasets/hidden", headers=asking)
    assert granted.status_code == 200
    assert granted.headers["access-control-allow-headers"] == "authorization,x-api-key"
    refused = guarded.get("/datasets/hidden", headers={"Origin": "https://page"})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://page"


def test_without_keys_everything_is_as_it_was(client: httpx.Client) -> None:
    """No key is asked for, none is looked at, and nothing is private."""
    for headers in ({}, {"X-API-Key": "any"}, {"Authorization": "Basic dXNlcjpwYXNz"}):
        answer = client.get("/datasets/v3", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=60"
        assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get("/datasets").headers["vary"] == "Accept"


def admin_app(settings: Settings) -> FastAPI:
    """The application with a route for admins, which says who asks."""
    from fastapi import Request, Response

    app = create_app(settings)

    async def admin(request: Request) -> Response:
        require_admin(request)
        return Response(caller(request))

    async def anybody(request: Request) -> Response:
        return Response(caller(request))

    app.add_route("/admin", admin)
    app.add_route("/anybody", anybody)
    return app


def test_admin_routes_are_for_admins(write_catalog: Callable[[str], Path]) -> None:
    """401 without a key, 403 for one without the right; `caller` is a stable, public name."""
    settings = Settings(catalog=write_catalog(CATALOG), keys="\n".join(LINES[:2] + LINES[3:]))
    with serving_app(admin_app(settings)) as client:
        check(client.get("/admin"), 401)
        check(client.get("/admin", headers={"X-API-Key": "wrong"}), 401)
        assert check(client.get("/admin", headers=by("team")), 403)["right"] == "admin"
        assert client.get("/admin", headers=by("boss")).text == "key:boss"
        for headers in (by("team"), {"X-API-Key": "second-key-of-the-team"}):
            assert client.get("/anybody", headers=headers).text == "key:team"
        assert client.get("/anybody").text == "127.0.0.1"


def test_without_keys_there_are_no_admins(write_catalog: Callable[[str], Path]) -> None:
    """An admin route is never open because nobody thought of keys."""
    with serving_app(admin_app(Settings(catalog=write_catalog(CATALOG)))) as client:
        check(client.get("/admin"), 401)
        check(client.get("/admin", headers=by("boss")), 401)
        assert client.get("/anybody", headers=by("boss")).text == "127.0.0.1"


def test_metrics_may_be_public(write_catalog: Callable[[str], Path]) -> None:
    """By a setting, for a network that only Prometheus can reach."""
    settings = Settings(catalog=write_catalog(CATALOG), keys=LINES[0], metrics_access="public")
    with serving(settings) as client:
        assert client.get("/metrics").status_code == 200


STORE_WORDS = ["url", "storage_options", "storage_options[anon]", "sel[url]", "endpoint_url",
               "engine", "group", "path", "fo", "key", "catalog", "drop_variables"]  # fmt: skip


@pytest.mark.parametrize("word", STORE_WORDS)
def test_no_parameter_names_a_store(client: httpx.Client, word: str) -> None:
    """What belongs to the catalog is an unknown parameter, in a URL and in a body."""
    value = "s3://elsewhere/x.zarr"
    for path in ("/datasets", "/datasets/v2", "/datasets/v2/sel", "/datasets/v2/isel"):
        assert client.get(path, params={word: value}).status_code in (400, 422)
    for path in ("/datasets/v2/sel", "/datasets/v2/isel"):
        assert client.post(path, json={word: value}).status_code in (400, 422)


IDS = ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "v2%2f..%2fv3", "v2/../v3", "v2%5c..", "v2;v3",
       "s3:%2f%2fb%2fx", "file:%2f%2f%2fetc", "v2%00", "v2%20", "%252e%252e", "V2"]  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_no_id_names_a_path(client: httpx.Client, name: str) -> None:
    """An id is looked up in the catalog as it is; nothing else in its place finds anything."""
    # Not httpx, which resolves dots before it asks.
    connection = HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    with closing(connection):
        for rest in ("", "/sel"):
            connection.request("GET", f"/datasets/{name}{rest}")
            answer = connection.getresponse()
            assert (answer.status, b"coords" in answer.read()) == (404, False)
