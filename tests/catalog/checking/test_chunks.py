"""What is found about chunks and codecs, on stores on disk that hold little or nothing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import zarr
from zarr.errors import ZarrUserWarning

from app.catalog.checking.chunks import chunk_findings, in_units
from app.catalog.checking.findings import Finding, Severity
from app.catalog.entry import DatasetEntry
from app.catalog.opening import open_entry
from sluice.arrays.reader import Reader
from sluice.store import Filesystems

MIB = 2**20


def create(path: Path, name: str, **arguments: Any) -> None:
    """An array without chunks in a group at `path`: reads as fill values, costs no disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZarrUserWarning)
        group = zarr.open_group(path, mode="a", zarr_format=3)
        dims = tuple(f"d{n}" for n in range(len(arguments["shape"])))
        group.create_array(name, **{"dimension_names": dims, "dtype": "f4", **arguments})


async def found(path: Path, limit: int = 256 * MIB) -> list[Finding]:
    entry = DatasetEntry(id="a", url=str(path))
    async with Filesystems() as filesystems:
        # Codecs without a Zarr v3 specification are warned about, by some versions when read too.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZarrUserWarning)
            opened = await open_entry(
                entry,
                filesystems,
                store_concurrency=64,
                reader=Reader(cache_bytes=0, inline_bytes=2**18),
            )
    return list(chunk_findings(opened.dataset, request_chunk_bytes=limit))


@pytest.mark.parametrize(
    ("shape", "cut", "severity", "says"),
    [
        ((4000, 4000), {"chunks": (100, 100)}, Severity.WARNING, "1600 chunks of 39 KiB each"),
        ((4000, 4000), {"chunks": (4000, 4000)}, None, ""),
        ((8000, 8000), {"chunks": (8000, 8000)}, Severity.WARNING, "decodes to 244 MiB"),
        ((9000, 9000), {"chunks": (9000, 9000)}, Severity.ERROR, "no request can read it"),
        ((10, 10), {"chunks": (9000, 9000)}, Severity.ERROR, "at least 324000000"),
        ((1000, 1000), {"chunks": (10, 10)}, Severity.WARNING, "10000 chunks of 400 B each"),
        ((100, 100), {"chunks": (10, 10)}, None, ""),
        ((8000, 8000), {"chunks": (100, 100), "shards": (4000, 4000)}, None, ""),
        (
            (8000, 8000),
            {"chunks": (10, 10), "shards": (100, 100)},
            Severity.WARNING,
            "6400 chunks of 39 KiB each",
        ),
    ],
)
async def test_chunks_of_a_wrong_size(
    tmp_path: Path,
    shape: tuple[int, ...],
    cut: dict[str, tuple[int, ...]],
    severity: Severity | None,
    says: str,
) -> None:
    """Tiny ones matter where they are many, as stored objects; huge ones always, as decoded."""
    create(tmp_path / "x.zarr", "v", shape=shape, **cut)
    findings = await found(tmp_path / "x.zarr")
    if severity is None:
        assert findings == []
    else:
        (finding,) = findings
        assert (finding.severity, finding.where) == (severity, "v")
        assert says in finding.text


async def test_the_limit_is_the_servers(tmp_path: Path) -> None:
    """Whether a chunk can be read at all is held against the limit that is given."""
    create(tmp_path / "x.zarr", "v", shape=(1000, 1000), chunks=(1000, 1000))
    assert await found(tmp_path / "x.zarr", limit=4_000_000) == []
    (finding,) = await found(tmp_path / "x.zarr", limit=3_999_999)
    assert finding.severity is Severity.ERROR
    assert "SLUICE_REQUEST_CHUNK_BYTES to at least 4000000" in finding.text


@pytest.mark.parametrize(("chunk", "warned"), [(1, True), (2, False)])
async def test_a_coordinate_in_many_chunks(tmp_path: Path, chunk: int, warned: bool) -> None:
    """What an hourly append makes of a time axis is felt by whoever opens the store."""
    path = tmp_path / "x.zarr"
    create(path, "d0", shape=(200,), chunks=(chunk,))
    findings = await found(path)
    assert [(f.where, "all 200 chunks" in f.text) for f in findings] == [("d0", True)] * warned


async def test_what_zarr_python_must_decode_is_noted(tmp_path: Path) -> None:
    """A filter that the fast way does not know is named with its slower way."""
    path = tmp_path / "x.zarr"
    delta = {"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}
    create(path, "v", shape=(4,), dtype="i4", filters=[delta])
    create(path, "w", shape=(4,), dtype="i4")
    (finding,) = await found(path)
    assert (finding.severity, finding.where) == (Severity.NOTE, "v")
    assert "numcodecs.delta" in finding.text


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1_500_000, "1.4 MiB"), (2**50, "1024 TiB")],
)
def test_sizes_are_for_people(size: int, shown: str) -> None:
    """Bytes come in the unit that keeps the number short."""
    assert in_units(size) == shown
