"""What an answer would be and cost, in each format, without reading it (`explain=true`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

import xarray as xr

from sluice.aliases import DocumentDict
from sluice.encoders.encoder import Encoder
from sluice.engine import Costs, estimated_size, explain, file_size
from sluice.errors import SluiceError

from ..catalog.opened import Opened
from .representations import Representation
from .response_bodies import json_bytes
from .state import Service
from .weighing import Weighed, costs_when_read, weigh, what_fits

# So much is written in a few milliseconds.
_SMALL_BYTES: Final = 2**18

log = logging.getLogger(__name__)


async def explanation(
    serving: Service,
    opened: Opened,
    asked: Weighed,
    formats: Mapping[str, Encoder],
    more: DocumentDict,
) -> bytes:
    """The answer to a request that wants to know before it asks; nothing is read for it.

    `more` is what the door has to tell.
    """
    # The format that was asked for may be a variant of the one in the table.
    formats = {**formats, asked.encoder.name: asked.encoder}
    held = _in_memory(asked)
    sizes = {n: await _format(serving, opened, asked, one, held) for n, one in formats.items()}
    return await asyncio.to_thread(_explained, serving, opened, asked, sizes, more)


def _explained(
    serving: Service,
    opened: Opened,
    asked: Weighed,
    sizes: Mapping[str, DocumentDict],
    more: DocumentDict,
) -> bytes:
    plan, costs = asked.plan, None
    if plan.chunks <= serving.limits.whole.chunks:
        costs = costs_when_read(asked)
    told = {
        "result_bytes": asked.result_bytes,
        "unmeasured": plan.schema.unmeasured,
        "within_limits": asked.excess is None,
        **({"options": dict(asked.options)} if asked.options else {}),
        "decoded_chunks": None if costs is None else costs.decoded_chunks,
        "most_times": None if costs is None else costs.most_times,
        **_copies(asked, costs),
        "memory_bytes": None if costs is None else costs.window_bytes,
        "bytes": sizes,
        "forecast": _forecast(opened, asked, costs, sizes[asked.encoder.name]),
        **_excess(serving, asked),
        **more,
    }
    return json_bytes({**explain(plan.reading, plan.labels), **told})


async def _format(
    serving: Service, opened: Opened, asked: Weighed, encoder: Encoder, held: xr.Dataset | None
) -> DocumentDict:
    """The bytes of the answer in one format, before any coding, and why it would be refused."""
    same = encoder is asked.encoder
    try:
        weighed = asked if same else await asyncio.to_thread(weigh, serving, asked.plan, encoder)
    except SluiceError as error:
        return {"size": None, "rough": True, "refused": error.detail}
    size, rough = await _size(serving, opened, weighed, held)
    told = {"size": size, "rough": rough}
    return told if weighed.excess is None else {**told, "refused": weighed.excess.detail}


def _in_memory(asked: Weighed) -> xr.Dataset | None:
    """A small answer all of which is in memory just now."""
    if asked.result_bytes > _SMALL_BYTES:
        return None
    try:
        found = asked.plan.read_cached()
    except Exception:
        # Values that do not decode are told to who asks for them.
        return None
    return found if isinstance(found, xr.Dataset) else None


async def _size(
    serving: Service, opened: Opened, weighed: Weighed, held: xr.Dataset | None
) -> tuple[int, bool]:
    plan, encoder = weighed.plan, weighed.encoder
    tag = Representation(opened, encoder, None).tag(weighed.key)
    # Values that are rewritten in place need not be as long as they were.
    changing = opened.entry.rewritten and bool(plan.reading.pending)
    size = await _file_size(serving, opened, weighed, tag)
    if size is not None:
        return size, False
    size = opened.learned.size(tag)
    if size is not None:
        return size, changing
    if encoder.grows is None:
        return weighed.result_bytes, True
    size, rough = await _text_size(opened, weighed, held)
    return size, rough or changing


async def _file_size(serving: Service, opened: Opened, weighed: Weighed, tag: str) -> int | None:
    """The length of a file where it is known: it was made, or its length is not of its values."""
    plan, encoder = weighed.plan, weighed.encoder
    file = encoder.file or encoder.sized
    # Beyond its limits a file has an index without an end.
    if file is None or plan.chunks > serving.limits.whole.chunks or _is_too_long(weighed):
        return None
    if file.deflated:
        return serving.spool.size(tag)
    try:
        return await file_size(plan, file, opened.fragments, in_memory=not opened.entry.rewritten)
    except SluiceError:
        return None


async def _text_size(opened: Opened, weighed: Weighed, held: xr.Dataset | None) -> tuple[int, bool]:
    """The length of a text."""
    plan, encoder, learned = weighed.plan, weighed.encoder, opened.learned
    try:
        if held is not None:
            return len(await asyncio.to_thread(encoder.encode, held, opened.fragments)), False
        return await asyncio.to_thread(estimated_size, encoder, plan, learned)
    except Exception as error:
        # Values that stand for others are not worth an error.
        log.warning("no estimate of an answer's length", exc_info=error)
        return weighed.result_bytes, True


def _is_too_long(weighed: Weighed) -> bool:
    return weighed.excess is not None and weighed.excess.facts.get("limited") == "result_bytes"


def _forecast(
    opened: Opened, asked: Weighed, costs: Costs | None, told: DocumentDict
) -> DocumentDict:
    """Seconds until the last byte, where the client and others leave time."""
    decoded = asked.plan.chunk_bytes if costs is None else costs.decoded_bytes
    seconds, rough = opened.learned.seconds(decoded, asked.encoder.name, told["size"] or 0)
    return {"seconds": round(seconds, 3), "rough": rough or costs is None}


def _copies(asked: Weighed, costs: Costs | None) -> DocumentDict:
    """From which copies of the dataset variables are read; nothing where it is from none."""
    pending = asked.plan.reading.pending
    read = {name: one.array.copy for name, one in pending.items()}
    if costs is not None:
        read = {name: one.copy for name, one in costs.variables.items()}
    found = {name: copy for name, copy in read.items() if copy is not None}
    return {"copies": found} if found else {}


def _excess(serving: Service, asked: Weighed) -> DocumentDict:
    """Which limit is exceeded, and how much of what was asked would fit."""
    if asked.excess is None:
        return {}
    names = ("limited", "estimate", "limit")
    told = {name: asked.excess.facts[name] for name in names if name in asked.excess.facts}
    fits = what_fits(serving, asked)
    if fits is not None:
        told |= {"dimension": fits.dimension, "positions": fits.positions, "of": fits.size}
    return {"excess": told}
