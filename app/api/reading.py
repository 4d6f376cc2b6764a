"""What an answer is made of: values of the store, and files that must be whole before they leave.

Failures of the store are told in words that keep its secrets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Hashable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import NoReturn

import xarray as xr
from fastapi import Request

from sluice.arrays.texts import TextMeter
from sluice.engine import FileAnswer, file_costs, file_of, write_deflated
from sluice.errors import LimitError, SluiceError, StoreError, plain_words
from sluice.instrumentation import Phases

from ..catalog.entry import DatasetEntry, redact_error
from ..errors import DeadlineExceeded
from .representations import Representation
from .requests import caller, cancellable
from .response_bodies import Counted
from .spool import SpooledFile
from .state import RequestLimits, Service
from .streaming import Held, StreamedFile
from .weighing import (
    Weighed,
    memory_bytes,
    meter_of,
    row_memory,
    row_pieces,
    texts_excess,
    texts_of,
    told_of_texts,
)

log = logging.getLogger(__name__)


async def open_spooled(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> StreamedFile:
    """The file of the spool, made before if it is not there."""
    entry, limits = form.opened.entry, serving.limits
    tell = partial(tell_of, entry=entry)

    async def make(spooled: SpooledFile) -> None:
        memory = _spooled_memory(serving, asked)
        try:
            async with serving.admission.held(caller(request), memory):
                async with asyncio.timeout(limits.streaming.seconds):
                    await _write_spooled(serving, asked, form, spooled)
        except TimeoutError as error:
            if isinstance(error, SluiceError):
                raise
            raise _too_late(limits.streaming.seconds) from None
        except Exception as error:
            tell(error)

    async with AsyncExitStack() as stack:
        # The tag of what is rewritten in place says nothing of its bytes.
        key: Hashable = object() if entry.rewritten else form.tag(asked.key)
        with phases.recording():
            spooled = serving.spool.file(key, make, keep=not entry.rewritten)
            file = await cancellable(request, stack.enter_async_context(spooled))
        return StreamedFile(file, Held(stack.pop_all(), phases, limits.streaming, tell))


async def spooled_size(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> int | None:
    """The length of a table that must be whole for that: it is made, if it is not there."""
    if form.opened.entry.rewritten:
        # What is made now is not what will be sent.
        return None
    opened = await open_spooled(request, serving, asked, form, phases)
    async with opened.held.stack:
        return opened.file.size


def _spooled_memory(serving: Service, asked: Weighed) -> int:
    """The most that a file of the spool has in memory while it is made."""
    if asked.encoder.file is not None:
        # Two boxes as they are, their chunks filled up and compressed.
        return 2 * file_memory(serving, asked)
    if asked.rows is not None:
        return row_memory(asked.rows, serving.limits)
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    return memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)


async def _write_spooled(
    serving: Service, asked: Weighed, form: Representation, spooled: SpooledFile
) -> None:
    """Read the answer and write it into a file of the spool, in parts if it has any."""
    writer, limits, tag = serving.encoding.writer, serving.limits, form.plain_tag(asked.key)
    pieces: AsyncGenerator[bytes | memoryview, None]
    if asked.encoder.file is not None:
        file = await file_answer(serving, asked, form)
        await write_deflated(file, spooled, writer.threads)
        return
    if asked.rows is not None:
        assert asked.encoder.rows is not None
        pieces = row_pieces(asked.rows, asked.encoder.rows, form, writer, limits, tag)
    else:
        result = await read(asked, form.opened.entry, meter_of(asked, limits))
        await counted_texts(result, asked, limits)
        pieces = writer.steps(form.pieces(result, asked.plan.form, Counted()))
    async with aclosing(pieces):
        async for piece in pieces:
            await spooled.write(piece)
    form.opened.learned.see_size(tag, spooled.size)


def _too_late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"The file was not made within {seconds:g} seconds, the most that one may take: ask for a"
        " smaller part.",
        limit_seconds=seconds,
    )


def file_memory(serving: Service, asked: Weighed) -> int:
    """The most that a file which is read in boxes has in memory."""
    assert asked.encoder.file is not None
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    if not asked.plan.reading.divisible:
        return memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)
    costs = asked.costs or file_costs(asked.plan, asked.encoder.file)
    return costs.window_bytes + texts


async def file_answer(serving: Service, asked: Weighed, form: Representation) -> FileAnswer:
    assert asked.encoder.file is not None
    meter = meter_of(asked, serving.limits)
    try:
        return await file_of(asked.plan, asked.encoder.file, form.opened.fragments, meter)
    except LimitError as error:
        raise told_of_texts(error, asked.encoder) from error
    except Exception as error:
        tell_of(error, form.opened.entry)


async def counted_texts(result: xr.Dataset, asked: Weighed, limits: RequestLimits) -> int:
    """What the texts of `result` count for; LimitError where that is too much."""
    meter = meter_of(asked, limits)
    if meter is None:
        return 0
    schema, encoder = asked.plan.schema, asked.encoder
    found = await texts_of(schema, result)
    texts = encoder.text_bytes(schema, found)
    meter.write(texts)
    known = asked.plan.reading.texts
    excess = texts_excess(encoder, {**known, **found}, limits.text_bytes)
    if excess is not None:
        raise excess
    return texts


async def read(asked: Weighed, entry: DatasetEntry, meter: TextMeter | None) -> xr.Dataset:
    """The planned answer; values that xarray cannot decode are the store's fault, not ours."""
    try:
        return await asked.plan.load(meter)
    except LimitError as error:
        raise told_of_texts(error, asked.encoder) from error
    except Exception as error:
        tell_of(error, entry)


def tell_of(error: Exception, entry: DatasetEntry) -> NoReturn:
    """Raise what is told of a failure: the store's own words may repeat secrets it was sent."""
    told = redact_error(error, entry)
    if told is not error:
        raise told from None
    if isinstance(error, SluiceError):
        raise error
    log.error("values that do not decode", exc_info=error)
    raise StoreError(f"values do not decode: {plain_words(str(error))}") from error
