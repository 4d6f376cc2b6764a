"""nginx as a caching reverse proxy: it keeps answers, asks again with the tag, tells them apart."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.clients.conftest import Running
from tests.clients.nginx import nginx

FIELD = "time=2020-01-02T12:00Z&level=850&variables=t"
LOCATION = """
      proxy_pass {upstream};
      proxy_cache answers;
      proxy_cache_revalidate on;
      add_header X-Cache-Status $upstream_cache_status always;
"""


@dataclass(frozen=True)
class Proxy:
    """A client of nginx, and the service behind it."""

    client: httpx.Client
    service: Running

    def get(self, query: str, dataset: str = "weather", **headers: str) -> httpx.Response:
        """A selection by label through the proxy."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(f"/datasets/{dataset}/sel?{query}", headers=names)

    def asks_upstream(
        self, *statuses: int, dataset: str = "weather"
    ) -> AbstractContextManager[None]:
        """The block makes the proxy ask the service so often, with these results."""
        return self.service.logged(*(f"GET /datasets/{dataset}/sel {s}" for s in statuses))


@pytest.fixture
def proxy(service: Running, tmp_path: Path) -> Iterator[Proxy]:
    """nginx with an empty cache before the service."""
    # httpx would say that it accepts gzip; each test says what it accepts.
    plain = {"Accept": "*/*", "Accept-Encoding": "identity"}
    kept = f"proxy_cache_path {tmp_path}/cache keys_zone=answers:1m;"
    with nginx(tmp_path, LOCATION.format(upstream=service.address), kept) as port:
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, headers=plain, timeout=60, verify=False) as client:
            yield Proxy(client, service)


def cache(answer: httpx.Response) -> str:
    """What the proxy says of where it had the answer."""
    assert answer.status_code in (200, 304), answer.text
    return answer.headers["X-Cache-Status"]


def test_answers_are_kept_as_long_as_the_dataset_says(proxy: Proxy) -> None:
    """The second time the service is not asked, also not by a client that has the answer."""
    with proxy.asks_upstream(200):
        first = proxy.get(FIELD)
        again = proxy.get(FIELD)
        conditional = proxy.get(FIELD, If_None_Match=first.headers["ETag"])
    assert [cache(answer) for answer in (first, again, conditional)] == ["MISS", "HIT", "HIT"]
    assert again.content == first.content
    assert (conditional.status_code, conditional.content) == (304, b"")


def test_stale_answers_are_asked_for_again_with_their_tag(proxy: Proxy) -> None:
    """After its time the proxy asks with the tag, gets a 304, and serves what it has."""
    with proxy.asks_upstream(200, dataset="nowcast"):
        first = proxy.get(FIELD, "nowcast")
    time.sleep(2.1)
    with proxy.asks_upstream(304, dataset="nowcast"):
        later = proxy.get(FIELD, "nowcast")
    assert [cache(first), cache(later)] == ["MISS", "REVALIDATED"]
    assert later.status_code == 200
    assert later.content == first.content
    assert len(first.content) > 1000


def test_formats_and_codings_are_kept_apart(proxy: Proxy) -> None:
    """Vary is respected: each form of one address is asked for once, and kept as itself."""
    forms = {
        "application/json": {"Accept": "application/json"},
        "text/csv": {"Accept": "text/csv"},
        "application/netcdf": {"Accept": "application/netcdf"},
        "gzip": {"Accept": "application/json", "Accept_Encoding": "gzip"},
    }
    with proxy.asks_upstream(200, 200, 200, 200):
        first = {name: proxy.get(FIELD, **headers) for name, headers in forms.items()}
        again = {name: proxy.get(FIELD, **headers) for name, headers in forms.items()}
    assert {cache(answer) for answer in first.values()} == {"MISS"}
    assert {cache(answer) for answer in again.values()} == {"HIT"}
    for name, answer in again.items():
        assert answer.content == first[name].content
        if name != "gzip":
            assert answer.headers["Content-Type"].split(";")[0] == name
            assert "Content-Encoding" not in answer.headers
    assert again["gzip"].headers["Content-Encoding"] == "gzip"
    assert again["gzip"].json() == again["application/json"].json()
    assert len({answer.headers["ETag"] for answer in again.values()}) == 4


def test_errors_are_never_kept(proxy: Proxy) -> None:
    """A refused request is asked again each time, whatever the dataset's answers may be."""
    with proxy.asks_upstream(422, 422):
        answers = [proxy.get("time=2020-01-02T12:00Z&latitude=52.51") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert "HIT" not in {answer.headers["X-Cache-Status"] for answer in answers}
