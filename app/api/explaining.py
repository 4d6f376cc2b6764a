"""What an answer would be and cost, in each format, without reading it (`explain=true`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from sluice.aliases import DocumentDict
from sluice.encoders.encoder import Encoder
from sluice.engine import Costs, estimated_size, explain, file_size
from sluice.errors import SluiceError

from ..catalog.opened import Opened
from .representations import Representation
from .response_bodies import json_bytes
from .state import Service
from .weighing import Weighed, costs_when_read, weigh, what_fits

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
    sizes = {name: await _format(serving, opened, asked, one) for name, one in formats.items()}
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
        "memory_bytes": None if costs is None else costs.window_bytes,
        "bytes": sizes,
        "forecast": _forecast(opened, asked, costs, sizes[asked.encoder.name]),
        **_excess(serving, asked),
        **more,
    }
    return json_bytes({**explain(plan.reading, plan.labels), **told})


async def _format(
    serving: Service, opened: Opened, asked: Weighed, encoder: Encoder
) -> DocumentDict:
    """The bytes of the answer in one format, before any coding, and why it would be refused."""
    same = encoder is asked.encoder
    try:
        weighed = asked if same else await asyncio.to_thread(weigh, serving, asked.plan, encoder)
    except SluiceError as error:
        return {"size": None, "rough": True, "refused": error.detail}
    size, rough = await _size(serving, opened, weighed)
    told = {"size": size, "rough": rough}
    return told if weighed.excess is None else {**told, "refused": weighed.excess.detail}


async def _size(serving: Service, opened: Opened, weighed: Weighed) -> tuple[int, bool]:
    plan, encoder = weighed.plan, weighed.encoder
    if encoder.file is not None and encoder.file.deflated:
        size = serving.spool.size(Representation(opened, encoder, None).tag(weighed.key))
        if size is not None:
            return size, False
    # Beyond its limits a file has an index without an end.
    bounded = plan.chunks <= serving.limits.whole.chunks
    if encoder.file is not None and bounded and not _is_too_long(weighed):
        try:
            size = await file_size(plan, encoder.file, opened.fragments)
        except SluiceError:
            size = None
        if size is not None:
            return size, False
    if encoder.grows is None:
        return weighed.result_bytes, True
    try:
        return await asyncio.to_thread(estimated_size, encoder, plan, opened.learned)
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
