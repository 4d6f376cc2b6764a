"""What an answer is made of: values of the store, at once, as they are sent, or by way of a file.

Failures of the store are told in words that keep its secrets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Hashable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import NoReturn, TypeVar

import xarray as xr
from fastapi import Request

from sluice.arrays.texts import TextMeter
from sluice.encoders.formats import CODINGS
from sluice.encoders.tables import RowFormat
from sluice.engine import (
    AT_ONCE,
    FileAnswer,
    RowAnswer,
    Sampler,
    file_costs,
    file_of,
    write_deflated,
)
from sluice.errors import LimitError, SluiceError, StoreError, plain_words
from sluice.instrumentation import Phases

from ..catalog.entry import DatasetEntry, redact_error
from ..errors import DeadlineExceeded
from .representations import Representation
from .requests import caller, cancellable
from .response_bodies import BodyWriter, ByteCounter
from .spool import SpooledFile
from .state import RequestLimits, Service
from .streaming import Held, StreamedFile, StreamedRows
from .weighing import (
    Weighed,
    memory_bytes,
    meter_of,
    slab_meter,
    text_refusal,
    texts_excess,
    texts_of,
)

T = TypeVar("T")

log = logging.getLogger(__name__)


async def open_spooled(
    request: Request,
    serving: Service,
    asked: Weighed,
    representation: Representation,
    phases: Phases,
) -> StreamedFile:
    """The file of the spool, made before if it is not there."""
    entry, limits = representation.opened.entry, serving.limits

    async def make(spooled: SpooledFile) -> None:
        memory = _spooled_memory(serving, asked)
        try:
            async with serving.admission.held(caller(request), memory):
                async with asyncio.timeout(limits.streaming.seconds):
                    await _write_spooled(serving, asked, representation, spooled)
        except Exception as error:
            # A store that times out raises a kind of its own.
            if type(error) is TimeoutError:
                raise _too_late(limits.streaming.seconds) from None
            raise_redacted(error, entry)

    async with AsyncExitStack() as stack:
        # The tag of what is rewritten in place says nothing of its bytes.
        key: Hashable = object() if entry.rewritten else representation.tag(asked.key)
        with phases.recording():
            spooled = serving.spool.file(key, make, keep=not entry.rewritten)
            file = await cancellable(request, stack.enter_async_context(spooled))
        return StreamedFile(file, _held(stack, serving, representation, phases))


async def spooled_size(
    request: Request,
    serving: Service,
    asked: Weighed,
    representation: Representation,
    phases: Phases,
) -> int | None:
    """The length of a table that must be whole for that: it is made, if it is not there."""
    if representation.opened.entry.rewritten:
        # What is made now is not what will be sent.
        return None
    opened = await open_spooled(request, serving, asked, representation, phases)
    async with opened.held.stack:
        return opened.file.size


def _spooled_memory(serving: Service, asked: Weighed) -> int:
    """The most that a file of the spool has in memory while it is made."""
    if asked.encoder.file is not None:
        # Two boxes as they are, their chunks filled up and compressed.
        return 2 * _file_memory(serving, asked)
    if asked.rows is not None:
        return _row_memory(asked.rows, serving.limits)
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    return memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)


async def _write_spooled(
    serving: Service, asked: Weighed, representation: Representation, spooled: SpooledFile
) -> None:
    """Read the answer and write it into a file of the spool, in parts if it has any."""
    writer, limits = serving.encoding.writer, serving.limits
    tag = representation.plain_tag(asked.key)
    pieces: AsyncGenerator[bytes | memoryview, None]
    if asked.encoder.file is not None:
        file = await _file_answer(serving, asked, representation)
        await write_deflated(file, spooled, writer.threads)
        return
    if asked.rows is not None:
        assert asked.encoder.rows is not None
        pieces = _row_pieces(asked.rows, asked.encoder.rows, representation, writer, limits, tag)
    else:
        result = await read(asked, representation.opened.entry, meter_of(asked, limits))
        await counted_texts(result, asked, limits)
        pieces = writer.steps(representation.pieces(result, asked.plan.form, ByteCounter()))
    async with aclosing(pieces):
        async for piece in pieces:
            await spooled.write(piece)
    representation.opened.learned.see_size(tag, spooled.size)


def _too_late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"The file was not made within {seconds:g} seconds, the most that one may take: ask for a"
        " smaller part.",
        limit_seconds=seconds,
    )


async def open_file(
    request: Request,
    serving: Service,
    asked: Weighed,
    representation: Representation,
    phases: Phases,
) -> StreamedFile:
    """The file, for which there is memory: it is read as it is sent."""
    async with AsyncExitStack() as stack:
        held = serving.admission.held(caller(request), _file_memory(serving, asked))
        await cancellable(request, stack.enter_async_context(held))
        with phases.recording():
            file = await cancellable(request, _file_answer(serving, asked, representation))
        learned = representation.opened.learned
        learned.see_size(representation.plain_tag(asked.key), file.size)
        stack.callback(learned.see_reading, asked.plan, phases)
        return StreamedFile(file, _held(stack, serving, representation, phases))


async def open_rows(
    request: Request,
    serving: Service,
    asked: Weighed,
    representation: Representation,
    phases: Phases,
) -> StreamedRows:
    """The table, for which there is memory: it is read as it is sent.

    It has no length before its last row: it comes in chunks, whole and under any coding.
    """
    answer, rows, limits = asked.rows, asked.encoder.rows, serving.limits
    assert answer is not None
    assert rows is not None
    async with AsyncExitStack() as stack:
        held = serving.admission.held(caller(request), _row_memory(answer, limits))
        await cancellable(request, stack.enter_async_context(held))
        stack.callback(representation.opened.learned.see_reading, answer.plan, phases)
        tag, writer = representation.plain_tag(asked.key), serving.encoding.writer
        pieces = _row_pieces(answer, rows, representation, writer, limits, tag)
        return StreamedRows(pieces, _held(stack, serving, representation, phases))


def _held(
    stack: AsyncExitStack, serving: Service, representation: Representation, phases: Phases
) -> Held:
    """What the `stack` holds, which is a stream's from now on."""
    fail = partial(raise_redacted, entry=representation.opened.entry)
    return Held(stack.pop_all(), phases, serving.limits.streaming, fail)


def _row_memory(answer: RowAnswer, limits: RequestLimits) -> int:
    """The memory that the table takes while it is written."""
    # A slab whose texts nobody has read may have as many as an answer.
    texts = AT_ONCE * min(answer.plan.text_bytes, limits.text_bytes)
    return min(answer.memory_bytes + texts, limits.memory_bytes)


async def _row_pieces(
    answer: RowAnswer,
    rows: RowFormat,
    representation: Representation,
    writer: BodyWriter,
    limits: RequestLimits,
    tag: str,
) -> AsyncGenerator[memoryview, None]:
    """The text in this coding, written where long answers are: the next slab is read meanwhile."""

    def meter() -> TextMeter | None:
        return slab_meter(limits) if answer.plan.schema.unmeasured else None

    compressor = None if representation.coding is None else CODINGS[representation.coding](-1)
    learned, counted = representation.opened.learned, ByteCounter()
    sampler = Sampler(learned, answer.plan)
    async with aclosing(answer.pieces(rows, meter, sampler)) as slabs:
        async for slab in slabs:
            text = counted.through(slab)
            if compressor is not None:
                text = map(compressor.compress, text)
            async with aclosing(writer.steps(text)) as steps:
                async for step in steps:
                    yield memoryview(step)
    learned.see_size(tag, counted.nbytes)
    if compressor is not None:
        yield memoryview(compressor.flush())


def _file_memory(serving: Service, asked: Weighed) -> int:
    """The most that a file which is read in boxes has in memory."""
    assert asked.encoder.file is not None
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    if not asked.plan.reading.divisible:
        return memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)
    costs = asked.costs or file_costs(asked.plan, asked.encoder.file)
    return costs.window_bytes + texts


async def _file_answer(
    serving: Service, asked: Weighed, representation: Representation
) -> FileAnswer:
    assert asked.encoder.file is not None
    meter = meter_of(asked, serving.limits)
    try:
        return await file_of(asked.plan, asked.encoder.file, representation.opened.fragments, meter)
    except LimitError as error:
        raise text_refusal(error, asked.encoder) from error
    except Exception as error:
        raise_redacted(error, representation.opened.entry)


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
        raise text_refusal(error, asked.encoder) from error
    except Exception as error:
        raise_redacted(error, entry)


def raise_redacted(error: Exception, entry: DatasetEntry) -> NoReturn:
    """Raise what is told of a failure: the store's own words may repeat secrets it was sent."""
    told = redact_error(error, entry)
    if told is not error:
        raise told from None
    if isinstance(error, SluiceError):
        raise error
    log.error("values that do not decode", exc_info=error)
    raise StoreError(f"values do not decode: {plain_words(str(error))}") from error


async def redacting(work: Awaitable[T], entry: DatasetEntry) -> T:
    """What `work` reads of a dataset; raises as `raise_redacted` does."""
    try:
        return await work
    except Exception as error:
        raise_redacted(error, entry)
