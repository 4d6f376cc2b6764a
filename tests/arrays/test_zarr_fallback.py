"""Arrays that zarr-python reads are read behind the guard of their store, like all others."""

from __future__ import annotations

import asyncio
import json
import warnings
from typing import Any

import numpy as np
import pytest

from sluice.arrays.array_metadata import ArrayMeta, parse_array
from sluice.arrays.plan import plan_orthogonal
from sluice.arrays.zarr_fallback import read_through_zarr
from sluice.errors import CorruptChunk, StoreError, StoreFaltered, StoreTimeout, StoreUnavailable
from sluice.instrumentation import Event, StoreRetried
from sluice.store import retry_policy
from sluice.store.resilient import ResilientSource, StoreGuards
from sluice.store.retry_policy import RetryPolicy
from sluice.store.zarr_store import SourceStore
from tests.sources import DictSource

DELTA = {"name": "numcodecs.delta", "configuration": {"dtype": "<i4"}}
DOCUMENT: dict[str, Any] = {
    "zarr_format": 3,
    "node_type": "array",
    "shape": [16],
    "data_type": "int32",
    "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
    "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
    "fill_value": -1,
    "codecs": [DELTA, {"name": "bytes", "configuration": {"endian": "little"}}],
    "attributes": {},
}
CHUNKS = {f"x/c/{n}": np.array([4 * n, 1, 1, 1], "<i4").tobytes() for n in range(4)}


class Sick(DictSource):
    """Chunks that fail the next so many reads, or never come."""

    failing = 0
    hangs = False

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        data = await super().get(key, start, end)
        if self.hangs:
            await asyncio.Event().wait()
        if self.failing:
            self.failing -= 1
            raise StoreFaltered("503")
        return data


class Ward:
    """An array of a codec that only zarr-python knows, behind a guard."""

    def __init__(self, **patience: Any) -> None:
        limits: dict[str, Any] = {
            "concurrency": 4,
            "attempts": 3,
            "attempt_seconds": 5.0,
            "read_seconds": 20.0,
            "failures": 1000,
            "open_seconds": 60.0,
        }
        self.store = Sick(CHUNKS)
        guard = StoreGuards(RetryPolicy(**{**limits, **patience})).guard(
            "d", "s3://bucket/root", {}
        )
        self.retried: list[str] = []
        source = ResilientSource(self.store, "s3://bucket", guard=guard, emit=self._heard)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some versions of zarr warn about numcodecs' codecs
            self.meta: ArrayMeta = parse_array(
                "x", json.loads(json.dumps(DOCUMENT)), SourceStore(source)
            )
        assert self.meta.decoder is None

    def _heard(self, event: Event) -> None:
        if isinstance(event, StoreRetried):
            self.retried.append(event.operation)

    async def read(self) -> list[int]:
        plan = plan_orthogonal((16,), (4,), [slice(None)])
        return list(plan.finish(await read_through_zarr(self.meta.zarr, plan)))


@pytest.fixture(autouse=True)
def _brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_policy, "FIRST_PAUSE_SECONDS", 0.001)


async def test_what_may_pass_is_tried_again() -> None:
    """Chunks that fail for now are asked for once more, and the values are right."""
    ward = Ward()
    ward.store.failing = 2
    assert await ward.read() == list(range(16))
    assert ward.retried == ["get", "get"]


async def test_a_failure_is_the_stores_and_opens_the_circuit() -> None:
    """It is neither a damaged chunk nor a fill value; then the store is left alone."""
    ward = Ward(failures=6)
    ward.store.failing = 1000
    with pytest.raises(StoreError) as raised:
        await ward.read()
    assert type(raised.value) in (StoreFaltered, StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        await ward.read()
    asked = len(ward.store.requests)
    with pytest.raises(StoreUnavailable):
        await ward.read()
    assert len(ward.store.requests) == asked


async def test_a_chunk_that_never_comes_has_a_deadline() -> None:
    """The read ends with it, and nothing of it goes on."""
    ward = Ward(attempts=1, attempt_seconds=0.2, read_seconds=0.2)
    ward.store.hangs = True
    with pytest.raises(StoreTimeout):
        await ward.read()
    await asyncio.sleep(0.3)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_chunk_that_is_not_there_is_the_fill_value() -> None:
    """And no other one is."""
    ward = Ward()
    ward.store.values = {key: data for key, data in CHUNKS.items() if key != "x/c/1"}
    assert await ward.read() == [0, 1, 2, 3, -1, -1, -1, -1, *range(8, 16)]


@pytest.mark.parametrize("name", ["zlib", "gzip", "bz2", "lzma", "zstd", "blosc", "lz4", "shuffle"])
@pytest.mark.parametrize("data", [b"", b"\x00", b"garbage" * 9, b"\x1f\x8b\x08\x00" + bytes(9)])
async def test_damaged_bytes_are_a_corrupt_chunk(name: str, data: bytes) -> None:
    """Whatever the library of the codec raises for them."""
    options = {"elementsize": 4} if name == "shuffle" else {}
    codecs = [*DOCUMENT["codecs"], {"name": f"numcodecs.{name}", "configuration": options}]
    store = SourceStore(DictSource(dict.fromkeys(CHUNKS, data)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        meta = parse_array("x", {**DOCUMENT, "codecs": codecs}, store)
    assert meta.decoder is None
    with pytest.raises(CorruptChunk):
        await read_through_zarr(meta.zarr, plan_orthogonal((16,), (4,), [slice(None)]))
