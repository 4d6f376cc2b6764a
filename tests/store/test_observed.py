"""An observed source is the source, and somebody hears of each request."""

from __future__ import annotations

import pytest

from sluice.errors import StoreTimeout
from sluice.store.observed import ObservedSource
from tests.sources import DictSource


class Heard:
    def __init__(self) -> None:
        self.events: list[tuple[str, int, type | None]] = []

    def __call__(
        self, operation: str, seconds: float, received: int, error: BaseException | None
    ) -> None:
        assert seconds >= 0
        self.events.append((operation, received, type(error) if error else None))


async def test_each_request_is_told_with_what_it_brought() -> None:
    """Values, ranges, missing keys and listings answer as the source does, and are told."""
    source, heard = DictSource({"a": b"abcdef", "b/c": b"x"}), Heard()
    observed = ObservedSource(source, heard)
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
    observed = ObservedSource(Failing({}), heard)
    with pytest.raises(StoreTimeout):
        await observed.get("a")
    with pytest.raises(StoreTimeout):
        await observed.list_dir()
    assert heard.events == [("get", 0, StoreTimeout), ("list", 0, StoreTimeout)]
