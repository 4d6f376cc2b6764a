"""Other origins' pages: closed unless the setting opens it, and then with what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.api.conftest import CATALOG, serving
from tests.api.test_problems import check

POINT = "/datasets/v2/isel?time=0&level=0&latitude=0&longitude=0"
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


def test_any_origin_can_be_allowed(
    write_catalog: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment's ``*`` opens a public service to every page."""
    monkeypatch.setenv("SLUICE_CORS_ORIGINS", "*")
    with serving(Settings(catalog=write_catalog(CATALOG))) as client:
        assert client.get(POINT, headers=PAGE).headers["access-control-allow-origin"] == "*"
