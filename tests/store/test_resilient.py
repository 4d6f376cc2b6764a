"""Reads of a store that misbehaves: how often it is asked, and how long anybody waits."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sluice.errors import (
    StoreError,
    StoreFaltered,
    StoreMissing,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from sluice.instrumentation import CircuitChanged, Event, StoreAsked, StoreRetried
from sluice.store import retry_policy
from sluice.store.resilient import ResilientSource, StoreGuard, StoreGuards
from sluice.store.retry_policy import MOST_RETRIES, CircuitState, RetryPolicy
from tests.sources import DictSource


class Moody(DictSource):
    """A store that fails the next requests with `moods` in turn; None is a good answer.

    With `hangs` a request waits until it is let go.
    """

    def __init__(self, values: dict[str, bytes], *moods: Exception | None) -> None:
        super().__init__(values)
        self.moods = list(moods)
        self.hangs = False
        self.running = self.most_running = 0

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        await self._asked(key)
        return await super().get(key, start, end)

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        names = [key async for key in super().list(prefix)]
        for name in names[:1]:
            yield name
        await self._asked("list")
        for name in names[1:]:
            yield name

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        await self._asked("list_dir")
        return await super().list_dir(prefix)

    async def _asked(self, what: str) -> None:
        mood = self.moods.pop(0) if self.moods else None
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.hangs:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if mood is not None:
            self.requests.append((what, None, None))
            raise mood


class Ward:
    """A resilient source over a moody store, and what was told of it."""

    def __init__(self, *moods: Exception | None, **patience: Any) -> None:
        limits: dict[str, Any] = {
            "concurrency": 4,
            "attempts": 3,
            "attempt_seconds": 5.0,
            "read_seconds": 20.0,
            "failures": 1000,
            "open_seconds": 60.0,
        }
        self.store = Moody({"a": b"abcdef", "b/c": b"x"}, *moods)
        self.retried: list[tuple[str, type]] = []
        self.states: list[tuple[tuple[str, ...], str]] = []
        guards = StoreGuards(RetryPolicy(**{**limits, **patience}), self._heard)
        self.guard: StoreGuard = guards.guard("d", "s3://bucket/root", {})
        self.source = ResilientSource(self.store, "s3://bucket", guard=self.guard, emit=self._heard)

    def _heard(self, event: Event) -> None:
        match event:
            case CircuitChanged(store, datasets, state):
                assert store == "s3://bucket"
                self.states.append((datasets, state))
            case StoreRetried(store, operation, error):
                assert store == "s3://bucket"
                self.retried.append((operation, type(error)))


@pytest.fixture(autouse=True)
def _brief_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry_policy, "FIRST_PAUSE_SECONDS", 0.001)


async def test_a_resilient_source_is_its_source() -> None:
    """Values, ranges, missing keys and listings come as they are, each by one request."""
    ward = Ward()
    assert await ward.source.get("a") == b"abcdef"
    assert await ward.source.get("a", 1, 3) == b"bc"
    assert await ward.source.get("z") is None
    assert await ward.source.getitems(["a", "b/c", "z"]) == {"a": b"abcdef", "b/c": b"x"}
    assert await ward.source.exists("a")
    assert await ward.source.list_dir() == ["a", "b"]
    assert [key async for key in ward.source.list()] == ["a", "b/c"]
    assert ward.store.keys == ["a", "a", "z", "a", "b/c", "z", "a"]
    assert ward.retried == []


@pytest.mark.parametrize("failure", [StoreFaltered("503"), StoreTimeout("slow")])
async def test_what_may_pass_is_tried_again(failure: StoreError) -> None:
    """As often as is allowed and no more; each further try is told; the last failure is raised."""
    ward = Ward(failure, failure)
    assert await ward.source.get("a") == b"abcdef"
    assert ward.retried == [("get", type(failure))] * 2
    ward = Ward(*[failure] * 9)
    with pytest.raises(type(failure)):
        await ward.source.get("a")
    assert len(ward.store.requests) == 3


async def test_listings_are_tried_again() -> None:
    """A listing that breaks off begins anew, and gives no name twice."""
    ward = Ward(StoreFaltered("503"), None, StoreFaltered("503"))
    assert [key async for key in ward.source.list()] == ["a", "b/c"]
    assert await ward.source.list_dir() == ["a", "b"]
    assert ward.retried == [("list", StoreFaltered)] * 2


@pytest.mark.parametrize(
    "failure", [StoreRefused("no"), StoreMissing("gone"), StoreError("400"), KeyError("ours")]
)
async def test_what_stays_so_is_asked_once(failure: Exception) -> None:
    """Refused, missing and wrong in itself are answers: no other try, and no illness."""
    ward = Ward(*[failure] * 5, failures=2)
    for _ in range(5):
        with pytest.raises(type(failure)):
            await ward.source.get("a")
    assert len(ward.store.requests) == 5
    assert ward.states == []


async def test_few_answers_mean_few_retries() -> None:
    """A store that fails at everything is asked once for each read when its retries are spent."""
    ward = Ward(*[StoreFaltered("503")] * 1000, failures=10_000)
    reads = 200
    for _ in range(reads):
        with pytest.raises(StoreFaltered):
            await ward.source.get("a")
    assert len(ward.store.requests) == reads + MOST_RETRIES


async def test_a_silent_store_times_out() -> None:
    """Each try ends after its time, the read after its own, and nothing goes on behind it."""
    ward = Ward(attempt_seconds=0.05, attempts=2)
    ward.store.hangs = True
    with pytest.raises(StoreTimeout, match="reading a"):
        await ward.source.get("a")
    assert ward.retried == [("get", StoreTimeout)]
    ward = Ward(attempt_seconds=60, read_seconds=0.05)
    ward.store.hangs = True
    with pytest.raises(StoreTimeout, match="listing b"):
        await ward.source.list_dir("b")
    assert (ward.retried, ward.store.running) == ([], 0)


async def test_waiting_at_the_gate_is_not_the_stores_fault() -> None:
    """A read that gets no turn times out; the circuit counts those alone that asked the store."""
    ward = Ward(attempt_seconds=0.2, read_seconds=0.25, attempts=1, failures=3, concurrency=2)
    ward.store.hangs = True
    reads = [asyncio.create_task(ward.source.get("a")) for _ in range(8)]
    await asyncio.wait(reads)
    assert {type(read.exception()) for read in reads} == {StoreTimeout}
    assert ward.store.most_running == 2
    assert ward.states == []


async def test_the_circuit_of_a_sick_store_opens() -> None:
    """After failures in a row nobody asks, nor those who wait; one finds out that it is well."""
    ward = Ward(*[StoreFaltered("503")] * 6, failures=6, open_seconds=1.0, concurrency=1)
    reads = [asyncio.create_task(ward.source.get("a")) for _ in range(500)]
    await asyncio.wait(reads)
    assert len(ward.store.requests) == 6
    assert {type(read.exception()) for read in reads} <= {StoreFaltered, StoreUnavailable}
    assert ward.guard.circuit.state is CircuitState.OPEN
    await asyncio.sleep(1.1)
    assert await ward.source.get("a") == b"abcdef"
    assert [state for _, state in ward.states] == ["open", "half-open", "closed"]
    assert {datasets for datasets, _ in ward.states} == {("d",)}


async def test_those_who_come_with_the_trial_wait_for_it() -> None:
    """A request of many values finds out that a store is well, and is answered in whole."""
    ward = Ward(StoreFaltered("503"), failures=1, open_seconds=0, attempts=1)
    with pytest.raises(StoreFaltered):
        await ward.source.get("a")
    assert await ward.source.getitems(["a", "b/c", "z"]) == {"a": b"abcdef", "b/c": b"x"}
    assert ward.store.keys == ["a", "a", "b/c", "z"]


async def test_a_trial_that_is_left_is_taken_over() -> None:
    """Of those who wait for one that was cancelled, the next tries."""
    ward = Ward(StoreFaltered("503"), failures=1, open_seconds=0, attempts=1)
    with pytest.raises(StoreFaltered):
        await ward.source.get("a")
    ward.store.hangs = True
    trial = asyncio.create_task(ward.source.get("a"))
    await asyncio.sleep(0.01)
    reads = [asyncio.create_task(ward.source.get("b/c")) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert ward.store.running == 1
    ward.store.hangs = False
    trial.cancel()
    await asyncio.wait([trial, *reads])
    assert [read.result() for read in reads] == [b"x"] * 3
    assert trial.cancelled()


async def test_a_reader_that_leaves_says_nothing() -> None:
    """Cancelled reads pass through as cancelled, and are no failures of the store."""
    ward = Ward(failures=1)
    ward.store.hangs = True
    read = asyncio.create_task(ward.source.get("a"))
    await asyncio.sleep(0.01)
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    assert (ward.states, ward.store.running) == ([], 0)


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("s3://bucket/a", "s3://bucket/b/c", True),
        ("s3://bucket/a", "s3://other/a", False),
        ("https://host/a", "https://host/b", True),
        ("https://host/a", "https://host:444/a", False),
        ("/data/a", "/data/b", False),
    ],
)
def test_datasets_of_one_store_share_its_guard(first: str, second: str, shared: bool) -> None:
    """A bucket or a host fails as a whole; so do those alone that are asked in the same way."""
    patience = RetryPolicy(4, 3, 5.0, 20.0, 6, 60.0)
    guards = StoreGuards(patience)
    guard = guards.guard("first", first, {"key": "k"})
    assert (guards.guard("second", second, {"key": "k"}) is guard) == shared
    assert list(guard.datasets) == (["first", "second"] if shared else ["first"])
    assert guards.guard("third", first, {"key": "other"}) is not guard


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, int, type | None]] = []

    def __call__(self, event: Event) -> None:
        assert isinstance(event, StoreAsked)
        assert event.store == "s3://bucket"
        assert event.seconds >= 0
        error = type(event.error) if event.error else None
        self.events.append((event.operation, event.received_bytes, error))


async def test_each_request_is_told_with_what_it_brought() -> None:
    """Values, ranges, missing keys and listings answer as the source does, and are told."""
    source, heard = DictSource({"a": b"abcdef", "b/c": b"x"}), Heard()
    observed = ResilientSource(source, "s3://bucket", emit=heard)
    assert await observed.get("a", 1, 3) == b"bc"
    assert await observed.get("z") is None
    assert await observed.getitems(["a", "b/c", "z"]) == {"a": b"abcdef", "b/c": b"x"}
    assert await observed.exists("a")
    assert await observed.list_dir("") == await source.list_dir("")
    assert [key async for key in observed.list()] == [key async for key in source.list()]
    told = [("get", 2, None), ("get", 0, None)]
    told += sorted([("get", 6, None), ("get", 1, None), ("get", 0, None)])
    told += [("get", 1, None), ("list", 0, None)]
    assert [*heard.events[:2], *sorted(heard.events[2:5]), *heard.events[5:]] == told


async def test_a_failure_is_told_and_passed_on() -> None:
    """A read that fails raises what it raised, after it was told."""

    class Failing(DictSource):
        async def get(
            self,
            key: str,
            start: int | None = None,
            end: int | None = None,
            *,
            most_bytes: int | None = None,
        ) -> None:
            raise StoreTimeout("no answer")

        async def list_dir(self, prefix: str = "") -> list[str]:
            raise StoreTimeout("no answer")

    heard = Heard()
    observed = ResilientSource(Failing({}), "s3://bucket", emit=heard)
    with pytest.raises(StoreTimeout):
        await observed.get("a")
    with pytest.raises(StoreTimeout):
        await observed.list_dir()
    assert heard.events == [("get", 0, StoreTimeout), ("list", 0, StoreTimeout)]
