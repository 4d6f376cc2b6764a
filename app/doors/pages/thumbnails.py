"""Small pictures of datasets for cards and for links to them, made when somebody looks.

They give way to everything else: one is made at a time, in the name of a client of its own, while
no request waits for memory, and none that would read much.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Hashable
from contextlib import suppress
from typing import Final

from fastapi import Request, Response

from sluice import __version__
from sluice.bounded_cache import BoundedCache
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS
from sluice.engine import plan
from sluice.errors import SluiceError
from sluice.selection import Along, Position, PositionSlice, Selection

from ...api.reading import redacting
from ...api.representations import (
    Representation,
    digest,
    entity_tag,
    is_not_modified,
    spelled,
)
from ...api.requests import cancellable, is_public, lines_of, service, visible_id
from ...api.response_bodies import ByteCounter
from ...api.state import Service
from ...api.weighing import memory_bytes, weigh
from ...catalog.opened import Opened

# Of a side: what a card shows on a screen of two pixels for each of its own.
_MOST_PIXELS: Final = 480
# What reads more, decoded, is not for a small picture.
_MOST_CHUNK_BYTES: Final = 64 * 2**20
_KEPT_BYTES: Final = 16 * 2**20
# So long a picture may take, and so long it may wait for others.
_MAKING_SECONDS: Final = 10.0
_PATIENCE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1
_PAUSES: Final = 200
# Of more dimensions there is no more to see.
_MOST_RANK: Final = 4
_CLIENT: Final = "thumbnails"
_MINUTES: Final = "max-age=300"


def pictured(opened: Opened) -> Selection | None:
    """What the page shows at first, at the resolution of a small picture; None for what has none.

    That is the variable with the most dimensions, along longitude and latitude or else the last two
    that are longer than one position, at the first position of all others.
    """
    variables = opened.dataset.data_vars
    numbers = [name for name in variables if variables[name].dtype.kind in "biuf"]
    if not numbers:
        return None
    name = max(numbers, key=lambda one: min(variables[one].ndim, _MOST_RANK))
    sizes = {str(dim): size for dim, size in variables[name].sizes.items()}
    roles = opened.prepared.roles
    sides = [dim for dim in sizes if roles.get(dim) in ("X", "Y")]
    if len(sides) != 2:
        sides = [dim for dim, size in sizes.items() if size > 1][-2:]
    if len(sides) != 2 or not all(sizes.values()):
        return None
    along: dict[str, Along] = {dim: Position(0) for dim in sizes if dim not in sides}
    for dim in sides:
        along[dim] = PositionSlice(None, None, -(-sizes[dim] // _MOST_PIXELS))
    return Selection(along, (str(name),))


class Thumbnails:
    """Keeps the pictures of one service, by version of their datasets."""

    def __init__(self) -> None:
        self._made: BoundedCache[Hashable, bytes] = BoundedCache(_KEPT_BYTES)
        self._turn = asyncio.Lock()

    async def answer(self, request: Request) -> Response:
        """The picture of the dataset in the path, or an empty one; raises what `visible_id` raises.

        An empty one is not to be kept: what failed, or was too busy, may be there the next time.
        """
        serving = service(request)
        dataset_id = visible_id(request, serving)
        entry = serving.catalog.entries.get(dataset_id)
        public = entry is not None and is_public(serving.keys, entry)
        headers = {"Cache-Control": f"{'public' if public else 'private'}, {_MINUTES}"}
        if serving.keys:
            headers["Vary"] = "Authorization, X-API-Key"
        opened = serving.opened.peek(dataset_id)
        if opened is not None:
            headers["ETag"] = _tag(opened)
            if is_not_modified(lines_of(request, b"if-none-match"), headers["ETag"]):
                return Response(None, 304, headers)
            if (content := self._made.get(_key(opened))) is not None:
                return Response(content, 200, headers, "image/png")
        found = await cancellable(request, self._waited(serving, dataset_id))
        if found is None:
            return Response(_EMPTY, 200, {"Cache-Control": "no-store"}, "image/png")
        headers["ETag"] = _tag(found[0])
        return Response(found[1], 200, headers, "image/png")

    async def _waited(self, serving: Service, dataset_id: str) -> tuple[Opened, bytes] | None:
        """The picture and what it is of, once it has its turn; None if there is none soon."""
        with suppress(TimeoutError, SluiceError):
            async with asyncio.timeout(_PATIENCE_SECONDS), self._turn:
                await _quiet(serving)
                async with asyncio.timeout(_MAKING_SECONDS):
                    opened = await serving.opened.get(dataset_id)
                    content = await self._picture(serving, opened)
                    return None if content is None else (opened, content)
        return None

    async def _picture(self, serving: Service, opened: Opened) -> bytes | None:
        """The picture of an open dataset, made where it is not kept; None for what has none.

        Raises what planning, admission and reading raise.
        """
        made = self._made.get(_key(opened))
        selection = opened.for_door(pictured)
        if made is not None or selection is None:
            return made
        encoder: Encoder = ENCODERS["png"]
        asked = weigh(serving, plan(opened.prepared, selection), encoder)
        if asked.excess is not None or asked.plan.chunk_bytes > _MOST_CHUNK_BYTES:
            return None
        cost = memory_bytes(asked.plan, asked.result_bytes, encoder.forms)
        representation = Representation(opened, encoder, None)

        async def make() -> bytes:
            result = await redacting(asked.plan.read(), opened.entry)
            pieces = representation.pieces(result, asked.plan.form, ByteCounter())
            written = await serving.encoding.writer.write(pieces)
            return b"".join(written.pieces)

        content = await serving.admission.run(_CLIENT, cost, make)
        self._made.put(_key(opened), content, len(content))
        return content


async def _quiet(serving: Service) -> None:
    """Return when no request waits for memory; raises TimeoutError where that takes long."""
    for _ in range(_PAUSES):
        if not serving.admission.budget.waiting:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
    raise TimeoutError


def _key(opened: Opened) -> Hashable:
    return opened.entry.id, opened.identity


def _tag(opened: Opened) -> str:
    return entity_tag(digest(spelled((_key(opened), __version__))), "thumbnail")


def _chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file (W3C, PNG third edition, section 5.3)."""
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


# One transparent pixel: grey with alpha, 8 bits each.
_EMPTY: Final = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">II5B", 1, 1, 8, 4, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(bytes(3))),
        _chunk(b"IEND", b""),
    )
)
