"""Content codings of answers: only large ones, only for those who can read them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import zstandard

from app.settings import Settings
from tests.api.conftest import CATALOG, serving

POINT = "/datasets/v2/isel?time=0&level=0&latitude=0&longitude=0"
BOX = "/datasets/v2/isel?time=0&level=0"
DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompress(data),
}


def raw(client: httpx.Client, url: str, **headers: str) -> tuple[bytes, dict[str, str]]:
    with client.stream("GET", url, headers=headers) as answer:
        assert answer.status_code == 200
        return b"".join(answer.iter_raw()), dict(answer.headers)


@pytest.mark.parametrize("query", ["", "&f=netcdf", "&f=csv"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_large_answer_is_coded_as_the_client_likes(
    client: httpx.Client, coding: str, query: str
) -> None:
    """The coding is named, the bytes are fewer and decode to those of the plain answer."""
    plain, headers = raw(client, BOX + query, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in headers
    coded, headers = raw(client, BOX + query, **{"Accept-Encoding": coding})
    assert headers["content-encoding"] == coding
    assert headers["vary"] == "Accept, Accept-Encoding"
    assert int(headers["content-length"]) == len(coded) < len(plain)
    assert DECODERS[coding](coded) == plain


def test_a_small_answer_is_sent_as_it_is(client: httpx.Client) -> None:
    """Below the size, coding costs more than it saves; the answer still varies by the header."""
    _, headers = raw(client, POINT, **{"Accept-Encoding": "gzip, zstd"})
    assert "content-encoding" not in headers
    assert headers["vary"] == "Accept, Accept-Encoding"


def test_the_size_is_a_setting(write_catalog: Callable[[str], Path]) -> None:
    """From nothing up, even a point is coded."""
    with serving(Settings(catalog=write_catalog(CATALOG), compress_bytes=0)) as client:
        _, headers = raw(client, POINT, **{"Accept-Encoding": "gzip"})
        assert headers["content-encoding"] == "gzip"


def test_a_posted_answer_is_coded_too(client: httpx.Client) -> None:
    """The body of a POST asks for large answers more often than a URL does."""
    answer = client.post(
        BOX.partition("?")[0], json={"time": 0}, headers={"Accept-Encoding": "gzip"}
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["dims"] == {"level": 3, "latitude": 19, "longitude": 36}
