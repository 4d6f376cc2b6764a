"""Entity tags, equal for equal answers and for those alone, what they save, and codings."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import xarray as xr
import zstandard

from app.api.representations import digest, entity_tag, is_not_modified, spelled
from app.settings import Settings
from tests.api.conftest import CATALOG, serving

POINT = "/datasets/v2/sel?time=2020-01-01T05:00Z&level=850&latitude=50&longitude=10"
BOX = "/datasets/v2/sel?time=2020-01-01T05:00Z&level=850"


def tag_of(client: httpx.Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    tag = answer.headers["etag"]
    assert tag.startswith('"')
    assert tag.endswith('"')
    return tag


@pytest.mark.parametrize(
    "spelt",
    [
        POINT,
        "/datasets/v2/sel?longitude=10&latitude=50&level=850&time=2020-01-01T05:00Z",
        "/datasets/v2/isel?sel[longitude]=10&sel[latitude]=50&sel[level]=850&"
        "sel[time]=2020-01-01T05:00Z",
        f"{POINT}&f=json",
        f"{POINT}&explain=false",
    ],
)
def test_one_request_has_one_tag_however_it_is_spelt(client: httpx.Client, spelt: str) -> None:
    """The order of parameters, the path and brackets do not matter."""
    assert tag_of(client, spelt) == tag_of(client, POINT)


@pytest.mark.parametrize(
    "other",
    [
        POINT.replace("latitude=50", "latitude=40"),
        POINT.replace("v2", "v3"),
        f"{POINT}&variables=t",
        f"{POINT}&f=netcdf",
        f"{POINT}&f=csv",
        f"{POINT}&explain=true",
        POINT.replace("level=850", "level=850,"),
    ],
)
def test_another_answer_has_another_tag(client: httpx.Client, other: str) -> None:
    """Another place, dataset, variable, format or shape is another answer."""
    assert tag_of(client, other) != tag_of(client, POINT)


def test_each_coding_has_its_own_tag(client: httpx.Client) -> None:
    """A strong tag names bytes: gzip's are not those of the plain answer (RFC 9110 8.8.3.3)."""
    tags = {tag_of(client, BOX, **{"Accept-Encoding": coding}) for coding in ("", "gzip", "zstd")}
    assert len(tags) == 3


@pytest.mark.parametrize("query", [POINT, f"{POINT}&f=netcdf", f"{POINT}&f=csv", BOX])
def test_one_tag_is_one_sequence_of_bytes(client: httpx.Client, query: str) -> None:
    """The same tag twice means the same bytes twice, NetCDF included."""
    first, second = client.get(query), client.get(query)
    assert first.headers["etag"] == second.headers["etag"]
    assert first.content == second.content


@pytest.mark.parametrize("form", ["{}", '"x", {}', 'W/{}, "y"', "*"])
def test_a_client_that_has_the_answer_gets_304(client: httpx.Client, form: str) -> None:
    """The tag alone, in a list, weak, or any: nothing is sent but the headers."""
    plain = client.get(POINT)
    answer = client.get(POINT, headers={"If-None-Match": form.format(plain.headers["etag"])})
    assert answer.status_code == 304
    assert answer.content == b""
    for name in ("etag", "vary", "cache-control"):
        assert answer.headers[name] == plain.headers[name]


@pytest.mark.parametrize("form", ['"x"', "", "{}x", "x", '"', "W/"])
def test_a_client_that_has_another_answer_gets_this_one(client: httpx.Client, form: str) -> None:
    """Tags that are not this one's, or no tags at all, change nothing."""
    tag = client.get(POINT).headers["etag"].strip('"')
    assert client.get(POINT, headers={"If-None-Match": form.format(tag)}).status_code == 200


def test_what_is_wrong_stays_wrong_under_any_condition(client: httpx.Client) -> None:
    """A condition does not turn a refusal into a 304."""
    answer = client.get("/datasets/v2/sel?latitude=52.51", headers={"If-None-Match": "*"})
    assert answer.status_code == 422
    assert "etag" not in answer.headers


def unreadable(stores: Path, folder: Path) -> str:
    """A catalog of a store that opens, and whose every data chunk fails to decode."""
    broken = folder / "broken.zarr"
    shutil.copytree(stores / "v2.zarr", broken)
    for name in ("t", "u", "mask"):
        for chunk in (broken / name).glob("[0-9]*"):
            chunk.write_bytes(b"not a chunk")
    return f"datasets: {{broken: {{url: '{broken}'}}}}"


def test_head_and_304_read_no_chunk(
    stores: Path, write_catalog: Callable[[str], Path], tmp_path: Path
) -> None:
    """Where reading any chunk fails, both answer as if it did not, with the tag of the answer."""
    path = write_catalog(unreadable(stores, tmp_path))
    url = "/datasets/broken/isel?time=0&f=netcdf"
    with serving(Settings(catalog=path)) as client:
        assert client.get(url).status_code == 502
        head = client.head(url)
        assert head.status_code == 200
        assert head.headers["content-type"] == "application/netcdf"
        assert "content-length" not in head.headers
        again = client.get(url, headers={"If-None-Match": head.headers["etag"]})
        assert again.status_code == 304


@pytest.mark.parametrize("query", ["", "&f=netcdf", "&f=csv&variables=t", "&explain=true"])
def test_head_says_what_get_says(client: httpx.Client, query: str) -> None:
    """All headers of the answer but its length and its times."""
    url = f"{BOX}{query}"
    headers = {"Accept-Encoding": "gzip"}
    got, head = client.get(url, headers=headers), client.head(url, headers=headers)
    assert head.content == b""
    passing = ("content-length", "date", "server-timing", "x-request-id", "transfer-encoding")
    for name in passing:
        got.headers.pop(name, None)
        head.headers.pop(name, None)
    assert head.headers == got.headers


def test_head_refuses_what_get_refuses(client: httpx.Client) -> None:
    """A HEAD of something that is not there is the same status without a body."""
    head = client.head("/datasets/v2/sel?latitude=52.51")
    assert (head.status_code, head.content) == (422, b"")


def test_an_append_gives_every_answer_another_tag(
    stores: Path, write_catalog: Callable[[str], Path], tmp_path: Path
) -> None:
    """The tag holds the store's version: after an append nobody is told that nothing changed."""
    grown = tmp_path / "grown.zarr"
    shutil.copytree(stores / "v2.zarr", grown)
    path = write_catalog(f"datasets: {{grown: {{url: '{grown}'}}}}")
    url = "/datasets/grown/isel?time=0&level=0&latitude=0&longitude=0"
    with serving(Settings(catalog=path)) as client:
        before = client.get(url).headers["etag"]
    last = xr.open_zarr(grown).isel(time=[-1]).load()
    last = last.assign_coords(time=last.time + np.timedelta64(1, "h"))
    for variable in last.variables.values():
        variable.encoding = {}
    last.drop_vars("name").to_zarr(grown, append_dim="time")
    with serving(Settings(catalog=path)) as client:
        answer = client.get(url, headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer.headers["etag"] != before


def test_parts_of_a_tag_are_told_apart() -> None:
    """Moving text from one part to the next gives another tag; lone surrogates are text too."""
    tags = [
        entity_tag(digest(spelled(said)), places)
        for said, places in [
            (("ab", "c"), "1.2"),
            (("a", "bc"), "1.2"),
            (("a", "b", "c"), "1.2"),
            ((("a", "b"), "c"), "1.2"),
            (("ab", None), "1.2"),
            (("ab", "None"), "1.2"),
            (("ab\ud800",), "1.2"),
            (("ab",), "1.2"),
            (("ab",), "12"),
        ]
    ]
    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ([], False),
        (["*"], True),
        (['"a"'], True),
        (['W/"a"'], True),
        (['"b","a"'], True),
        (['"b"', '"a"'], True),
        (['"a'], False),
    ],
)
def test_if_none_match_is_read_as_rfc_9110_writes_it(header: list[str], found: bool) -> None:
    """Weak comparison, lists, several lines, any; a text that is no tag matches nothing."""
    assert is_not_modified(header, '"a"') is found


def test_a_long_condition_is_cheap() -> None:
    """A header of many quotes is read in one pass."""
    assert not is_not_modified(['"' * 60_001 + "x"], '"a"')


FIRST_CELL = "/datasets/v2/isel?time=0&level=0&latitude=0&longitude=0"
FIRST_STEP = "/datasets/v2/isel?time=0&level=0"
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
    plain, headers = raw(client, FIRST_STEP + query, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in headers
    coded, headers = raw(client, FIRST_STEP + query, **{"Accept-Encoding": coding})
    assert headers["content-encoding"] == coding
    assert headers["vary"] == "Accept, Accept-Encoding"
    assert int(headers["content-length"]) == len(coded) < len(plain)
    assert DECODERS[coding](coded) == plain


def test_a_small_answer_is_sent_as_it_is(client: httpx.Client) -> None:
    """Below the size, coding costs more than it saves; the answer still varies by the header."""
    _, headers = raw(client, FIRST_CELL, **{"Accept-Encoding": "gzip, zstd"})
    assert "content-encoding" not in headers
    assert headers["vary"] == "Accept, Accept-Encoding"


def test_the_size_is_a_setting(write_catalog: Callable[[str], Path]) -> None:
    """From nothing up, even a point is coded."""
    with serving(Settings(catalog=write_catalog(CATALOG), compress_bytes=0)) as client:
        _, headers = raw(client, FIRST_CELL, **{"Accept-Encoding": "gzip"})
        assert headers["content-encoding"] == "gzip"


def test_a_posted_answer_is_coded_too(client: httpx.Client) -> None:
    """The body of a POST asks for large answers more often than a URL does."""
    answer = client.post(
        FIRST_STEP.partition("?")[0], json={"time": 0}, headers={"Accept-Encoding": "gzip"}
    )
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["dims"] == {"level": 3, "latitude": 19, "longitude": 36}
