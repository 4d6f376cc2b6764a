"""Keys of a served Zarr store: what each is answered with, and what that costs the source."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr
import zarr

from app.settings import Settings
from sluice.aliases import Document
from tests.api.conftest import serving
from tests.doors.zarr.web import Web, web

# zarr warns that consolidated metadata of v3 have no specification yet.
pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")
# Three pieces of what is handed on at once, and a little.
LONG = 3 * 4 * 2**20 + 1000


def refused(answer: httpx.Response, status: int, name: str) -> None:
    """The answer is a problem of this status and kind."""
    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:sluice:problem:{name}"


def write(folder: Path) -> None:
    """Chunks of which some are missing, in both formats; shards; one chunk of several pieces."""
    values = np.arange(40, dtype="i4").reshape(5, 8)
    values[:2, :4] = -1
    data = xr.Dataset({"v": (("y", "x"), values), "s": ((), 1.5)}, {"x": np.arange(8.0)})
    options: Document = {"chunks": (2, 4), "compressors": None, "fill_value": -1}
    with zarr.config.set({"array.write_empty_chunks": False}):
        for zarr_format in (2, 3):
            told = {**options, "_FillValue": -1} if zarr_format == 2 else options
            kept = {k: v for k, v in told.items() if zarr_format == 3 or k != "fill_value"}
            path = folder / f"v{zarr_format}.zarr"
            data.to_zarr(path, zarr_format=zarr_format, encoding={"v": kept})
    shards: Document = {"v": {"chunks": (1, 4), "shards": (2, 8)}}
    data.to_zarr(folder / "sharded.zarr", zarr_format=3, encoding=shards)
    long = np.random.default_rng(1).integers(0, 256, LONG, dtype="u1")
    one: Document = {"v": {"chunks": (LONG,), "compressors": None}}
    xr.Dataset({"v": ("x", long)}).to_zarr(folder / "long.zarr", zarr_format=3, encoding=one)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def source(folder: Path) -> Iterator[Web]:
    with web(folder) as server:
        yield server


@pytest.fixture(scope="module")
def client(
    folder: Path, source: Web, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    entries: dict[str, Any] = {
        name: {"url": str(folder / f"{name}.zarr")} for name in ("v2", "v3", "sharded", "long")
    }
    entries |= {
        f"web-{name}": {"url": f"{source.address}/{name}.zarr", "refresh_seconds": None}
        for name in ("v3", "long")
    }
    entries["rewritten"] = {"url": str(folder / "sharded.zarr"), "rewritten": True}
    entries["shut"] = {"url": str(folder / "v3.zarr"), "doors": ["dap"]}
    catalog = tmp_path_factory.mktemp("catalog") / "catalog.yaml"
    catalog.write_text(json.dumps({"datasets": entries}))
    settings = Settings(
        catalog=catalog, cors_origins=("https://page",), store_attempts=1, store_failures=1000
    )
    with serving(settings) as client:
        yield client


def test_metadata_is_consolidated_and_of_each_array(client: httpx.Client) -> None:
    """All of them say the same."""
    whole = client.get("/zarr/v3/v3/zarr.json").json()
    members = whole["consolidated_metadata"]["metadata"]
    assert list(members) == ["s", "v", "x"]
    for name, member in members.items():
        assert client.get(f"/zarr/v3/v3/{name}/zarr.json").json() == member
    whole = client.get("/zarr/v2/v3/.zmetadata").json()
    assert whole["zarr_consolidated_format"] == 1
    for key, member in whole["metadata"].items():
        assert client.get(f"/zarr/v2/v3/{key}").json() == member
    assert whole["metadata"]["v/.zattrs"]["_ARRAY_DIMENSIONS"] == ["y", "x"]


def test_stored_chunks_are_handed_on(client: httpx.Client, folder: Path) -> None:
    """Byte for byte, in the format that they are stored in."""
    for path, file in (
        ("/zarr/v3/v3/v/c/1/1", "v3.zarr/v/c/1/1"),
        ("/zarr/v2/v2/v/1.1", "v2.zarr/v/1.1"),
        ("/zarr/v3/v3/s/c", "v3.zarr/s/c"),
        ("/zarr/v3/sharded/v/c/2/0", "sharded.zarr/v/c/2/0"),
        ("/zarr/v3/long/v/c/0", "long.zarr/v/c/0"),
        ("/zarr/v3/web-long/v/c/0", "long.zarr/v/c/0"),
    ):
        answer, stored = client.get(path), (folder / file).read_bytes()
        assert answer.status_code == 200
        assert answer.content == stored
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "content-encoding" not in answer.headers
        head = client.head(path)
        assert int(head.headers["content-length"]) == len(stored)
        assert head.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("dataset", ["long", "web-long"])
def test_ranges_are_those_of_what_is_stored(
    client: httpx.Client, folder: Path, source: Web, dataset: str, ranges: bool
) -> None:
    """Within a piece and over several, from the end, beyond it; of servers without ranges, too."""
    source.has_ranges = ranges
    stored = (folder / "long.zarr/v/c/0").read_bytes()
    path, size = f"/zarr/v3/{dataset}/v/c/0", len(stored)
    for wanted, start, stop in (
        ("10-19", 10, 20),
        ("-20", size - 20, size),
        (f"-{size - 5}", 5, size),
        (f"-{size * 2}", 0, size),
        (f"{size - 7}-", size - 7, size),
        ("5000-10000000", 5000, 10000001),
        (f"100-{size + 100}", 100, size),
    ):
        answer = client.get(path, headers={"Range": f"bytes={wanted}"})
        assert answer.status_code == 206, wanted
        assert answer.content == stored[start:stop], wanted
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
    for wanted in (f"{size}-", f"{size + 5}-{size + 9}", "-0"):
        answer = client.get(path, headers={"Range": f"bytes={wanted}"})
        refused(answer, 416, "no-range")
        assert answer.headers["content-range"] == f"bytes */{size}"
    whole = client.get(path, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (whole.status_code, whole.content) == (200, stored)


def test_a_range_is_forwarded(client: httpx.Client, source: Web) -> None:
    """One request of the source, for no more than was asked for."""
    source.has_ranges = True
    client.get("/zarr/v3/web-long/v/c/0", headers={"Range": "bytes=0-0"})
    source.asked.clear()
    for wanted in ("-300", "7-1000"):
        client.get("/zarr/v3/web-long/v/c/0", headers={"Range": f"bytes={wanted}"})
    assert source.asked == [
        ("/long.zarr/v/c/0", "bytes=-300"),
        ("/long.zarr/v/c/0", "bytes=7-1000"),
    ]


def test_keys_outside_of_the_metadata_cost_no_request(client: httpx.Client, source: Web) -> None:
    """Names that clients probe, keys of the other format, chunks that are spelled otherwise."""
    client.get("/zarr/v3/web-v3/zarr.json")
    source.asked.clear()
    for key in (
        *("", ".zgroup", ".zattrs", ".zmetadata", "zarr.json.aux.xml", "v", "v/", "v/.zarray"),
        *("nope/zarr.json", "nope/c/0/0", "v/c", "v/c/0", "v/c/0/0/0", "v/c/00/0", "v/c/-1/0"),
        *(
            "v/0/0",
            "v/0.0",
            "v/c.0.0",
            "s/c/0",
            "s/0",
            "../v3",
            "%00",
            "v/c/0/x",
            "x/c/" + "9" * 30,
        ),
    ):
        for method in ("GET", "HEAD"):
            answer = client.request(method, f"/zarr/v3/web-v3/{key}")
            assert answer.status_code == 404, key
    refused(client.get("/zarr/v3/web-v3/nope"), 404, "no-such-key")
    assert source.asked == []


def test_a_chunk_beyond_the_array_is_of_another_edition(client: httpx.Client, source: Web) -> None:
    """Who follows the metadata does not ask for it; a 404 would be taken for fill values."""
    client.get("/zarr/v3/web-v3/zarr.json")
    source.asked.clear()
    for key in ("v/c/3/0", "v/c/0/2", "x/c/5"):
        refused(client.get(f"/zarr/v3/web-v3/{key}"), 409, "other-edition")
    assert source.asked == []


def test_missing_is_not_failed(client: httpx.Client, source: Web) -> None:
    """404 where the source says that there is no such chunk, else what is wrong with it."""
    for method in ("GET", "HEAD"):
        for path in ("/zarr/v3/v3/v/c/0/0", "/zarr/v2/v2/v/0.0", "/zarr/v3/web-v3/v/c/0/0"):
            assert client.request(method, path).status_code == 404
    made = client.get("/zarr/v2/v3/v/0.0")
    assert made.status_code == 200
    source.failure = 500
    try:
        refused(client.get("/zarr/v3/web-v3/v/c/1/0"), 502, "store-failed")
        assert client.head("/zarr/v3/web-v3/v/c/1/0").status_code == 502
        source.failure = 403
        refused(client.get("/zarr/v3/web-v3/v/c/1/0"), 502, "store-refused")
    finally:
        source.failure = None


@pytest.mark.parametrize(
    "path",
    ["/zarr/v3/v3/v/c/1/1", "/zarr/v2/v3/v/0.1", "/zarr/v3/v3/zarr.json", "/zarr/v2/v2/v/.zarray"],
)
def test_answers_have_a_strong_tag_a_length_and_ranges(client: httpx.Client, path: str) -> None:
    """Whether they are handed on, made, or metadata; the same bytes each time."""
    first, again = client.get(path), client.get(path)
    assert first.content == again.content
    tag = first.headers["etag"]
    assert tag == again.headers["etag"]
    assert not tag.startswith("W/")
    assert first.headers["cache-control"] == "no-cache"
    for method in ("GET", "HEAD"):
        known = client.request(method, path, headers={"If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(first.content))
    assert head.headers["accept-ranges"] == "bytes"
    part = client.get(path, headers={"Range": "bytes=-5", "If-Range": tag})
    assert (part.status_code, part.content) == (206, first.content[-5:])
    refused(client.get(path, headers={"If-Match": '"another"'}), 412, "other-version")


def test_pages_of_other_origins_read_parts(client: httpx.Client) -> None:
    """A preflight lets `Range` through, and its answer can be read."""
    origin = {"Origin": "https://page"}
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    path = "/zarr/v3/sharded/v/c/0/0"
    allowed = client.options(path, headers={**origin, **asked})
    assert allowed.status_code == 200
    assert "range" in allowed.headers["access-control-allow-headers"].lower()
    answer = client.get(path, headers={**origin, "Range": "bytes=-9"})
    assert answer.headers["access-control-allow-origin"] == "https://page"
    shown = answer.headers["access-control-expose-headers"].lower()
    for name in ("content-range", "etag", "accept-ranges"):
        assert name in shown


def test_what_is_rewritten_has_a_weak_tag_and_ranges(client: httpx.Client, folder: Path) -> None:
    """Shards need ranges; none of them is promised to be of one whole."""
    answer = client.get("/zarr/v3/rewritten/v/c/0/0", headers={"Range": "bytes=-10"})
    assert answer.status_code == 206
    assert answer.content == (folder / "sharded.zarr/v/c/0/0").read_bytes()[-10:]
    tag = answer.headers["etag"]
    assert tag.startswith("W/")
    whole = client.get(
        "/zarr/v3/rewritten/v/c/0/0", headers={"Range": "bytes=-10", "If-Range": tag}
    )
    assert whole.status_code == 200


def test_a_catalog_shuts_the_door(client: httpx.Client) -> None:
    refused(client.get("/zarr/v3/shut/zarr.json"), 404, "unknown-dataset")
    refused(client.get("/zarr/v3/nowhere/zarr.json"), 404, "unknown-dataset")


def test_a_dataset_links_both_stores(client: httpx.Client) -> None:
    told = client.get("/datasets/v3").json()["links"]
    found = {link["href"]: link["title"] for link in told if link["door"] == "zarr"}
    assert list(found) == ["../zarr/v3/v3", "../zarr/v2/v3"]
    for href in found:
        assert client.get(f"/datasets/{href}").status_code == 404
    assert client.get("/datasets/../zarr/v3/v3/zarr.json").status_code == 200


def test_unknown_parameters_are_ignored(client: httpx.Client) -> None:
    assert client.get("/zarr/v3/v3/zarr.json?probe=1&x").status_code == 200
