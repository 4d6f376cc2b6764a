"""A file whose values are compressed: made whole, box by box, before it can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import aclosing
from typing import Protocol

import numpy as np

from sluice.aliases import Array
from sluice.encoders.file_values import Extent, Places, deflated
from sluice.engine.file_answer import FileAnswer
from sluice.scheduler import Flow, Threads


class Sink(Protocol):
    """A file that is written: `size` is how long it is."""

    @property
    def size(self) -> int: ...
    async def write(self, content: bytes | memoryview) -> None:
        """Append `content`."""

    async def put(self, content: bytes, place: int) -> None:
        """Write `content` over what is at this place."""


async def write_deflated(file: FileAnswer, sink: Sink, threads: Threads) -> None:
    """Write the file, its chunks compressed in `threads`, in the order of the chunks.

    So it has the same bytes each time. Two boxes of values are in memory, and the chunks of one
    compressed. Raises a StoreError where the store does not do its part, and what the `sink` does.
    """
    content, flow = file.content, Flow()
    assert content.settled is not None, "nothing of the file is compressed"
    # As long as what will be in its place.
    await sink.write(content.head)
    found: dict[Hashable, list[tuple[int, int]]] = {name: [] for name in content.extents}
    async with aclosing(file.values()) as boxes:
        async for name, values in boxes:
            extent, stored = content.extents[name], content.in_file(name, values)
            size = stored.dtype.itemsize
            async with asyncio.TaskGroup() as group:
                parts = [
                    group.create_task(threads.run(flow, _written, extent, part, size))
                    for part in extent.parts(stored)
                ]
            for part in parts:
                found[name].append((sink.size, len(part.result())))
                await sink.write(part.result())
    places = {
        name: Places(np.array([a for a, _ in own], "u8"), np.array([n for _, n in own], "u8"))
        for name, own in found.items()
    }
    # An index of many chunks takes its time.
    head = await asyncio.to_thread(content.settled, places, sink.size)
    await sink.put(head, 0)


def _written(extent: Extent, part: Array, size: int) -> bytes:
    """A chunk compressed; what has no chunks is a lone value."""
    content = extent.in_file(part)
    return content.tobytes() if extent.chunks is None else deflated(content, size)
