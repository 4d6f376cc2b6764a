"""Work that is watched only if it has to wait: most answers never do."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def watched(
    work: Coroutine[object, object, T], watch: Callable[[], AbstractAsyncContextManager[None]]
) -> T:
    """What `work` returns or raises, with ``watch()`` around it from its first wait on.

    Work that never waits costs a call. The rest runs as it would if it were awaited inside the
    block: in this task, and cancelled with it.
    """
    steps = work.__await__()
    try:
        awaited = next(steps)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    async with watch():
        return await _rest(awaited, steps)


@coroutine
def _rest(awaited: Any, steps: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """The rest of `steps`, which wait for `awaited`: ``yield from`` in its middle (PEP 380)."""
    try:
        yield awaited
    except BaseException as error:
        try:
            awaited = steps.throw(error)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        return (yield from _rest(awaited, steps))
    return (yield from steps)
