"""Writing a file with compressed values: box by box, and whole before it can be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import aclosing
from typing import Protocol

import numpy as np

from sluice.aliases import Array
from sluice.concurrency import map_concurrently
from sluice.encoders.file_values import Extent, Places, deflated
from sluice.engine.file_answer import FileAnswer
from sluice.scheduler import Flow, Threads


class Sink(Protocol):
    """A file that is being written."""

    @property
    def size(self) -> int:
        """How many bytes it has so far."""

    async def write(self, content: bytes | memoryview) -> None:
        """Append `content`."""

    async def put(self, content: bytes, place: int) -> None:
        """Overwrite the bytes from `place` on with `content`."""


async def write_deflated(file: FileAnswer, sink: Sink, threads: Threads) -> None:
    """Write the file to `sink`, its chunks compressed in `threads` and written in their order.

    So it has the same bytes each time. Two boxes of values are in memory, and the compressed chunks
    of one. Raises a StoreError where the store fails, and what the `sink` raises.
    """
    content, flow = file.content, Flow()
    assert content.settled is not None, "nothing of the file is compressed"
    # As long as the head that replaces it at the end, when the places of all chunks are known.
    await sink.write(content.head)
    found: dict[Hashable, list[tuple[int, int]]] = {name: [] for name in content.extents}
    async with aclosing(file.values()) as boxes:
        async for name, values in boxes:
            extent, stored = content.extents[name], content.in_file(name, values)
            for chunk in await _compressed(extent, stored, threads, flow):
                found[name].append((sink.size, len(chunk)))
                await sink.write(chunk)
    places = {
        name: Places(np.array([a for a, _ in own], "u8"), np.array([n for _, n in own], "u8"))
        for name, own in found.items()
    }
    # In a thread: an index of many chunks takes a while.
    head = await asyncio.to_thread(content.settled, places, sink.size)
    await sink.put(head, 0)


async def _compressed(extent: Extent, values: Array, threads: Threads, flow: Flow) -> list[bytes]:
    """The chunks of a box of values, compressed, in their order."""
    made: dict[int, bytes] = {}
    size = values.dtype.itemsize

    async def compress(numbered: tuple[int, Array]) -> None:
        number, part = numbered
        made[number] = await threads.run(flow, _written, extent, part, size)

    await map_concurrently(enumerate(extent.parts(values)), compress)
    return [made[number] for number in range(len(made))]


def _written(extent: Extent, part: Array, size: int) -> bytes:
    """A chunk compressed; a variable without chunks is a single value, and not compressed."""
    content = extent.in_file(part)
    return content.tobytes() if extent.chunks is None else deflated(content, size)
