"""From a plan to its answer: weigh it, refuse what costs too much, read, encode, or give up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Hashable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final, NoReturn, TypeVar

import xarray as xr
from fastapi import Request, Response

from sluice.arrays.texts import TextMeter
from sluice.encoders.formats import compress
from sluice.engine import (
    FileAnswer,
    Plan,
    file_costs,
    file_of,
    file_size,
    with_fitting,
    write_deflated,
)
from sluice.errors import LimitError, SluiceError, StoreError, plain_words
from sluice.instrumentation import Phases

from ..catalog.entry import DatasetEntry, redact_error
from ..catalog.opened import Opened
from ..errors import DeadlineExceeded
from .representations import Representation, accepted_coding, respond
from .requests import caller, cancellable, lines_of
from .response_bodies import Counted, LongBody
from .spool import SpooledFile
from .state import RequestLimits, Service
from .streaming import Held, StreamedFile, StreamedRows
from .weighing import (
    Weighed,
    led_on,
    memory_bytes,
    meter_of,
    open_rows,
    texts_excess,
    texts_of,
    told_of_texts,
    what_fits,
)

T = TypeVar("T")

# Larger files are sent while they are read; larger ones still have no content coding.
_WHOLE_BYTES: Final = 2**20
_UNCODED_BYTES: Final = 16 * 2**20
# Fewer values are answered in less time than it takes to remember how long they were.
_SOME_CELLS: Final = 16

log = logging.getLogger(__name__)


async def answer(
    request: Request, serving: Service, opened: Opened, asked: Weighed, phases: Phases
) -> Response:
    """The response; raises LimitError, before anything is read, where a limit is exceeded."""
    if asked.excess is not None:
        work = asyncio.to_thread(_told_what_fits, serving, asked, asked.excess)
        raise await cancellable(request, work)
    coded = asked.encoder.coded and asked.result_bytes >= serving.encoding.compress_bytes
    if asked.encoder.file is not None:
        return await _answer_file(request, serving, opened, asked, phases, coded=coded)
    form = Representation(opened, asked.encoder, accepted_coding(request) if coded else None)
    make = partial(
        _make if asked.rows is None else _open_rows, request, serving, asked, form, phases
    )
    size = None if asked.encoder.sized is None else partial(_size, serving, asked, form)
    return await respond(request, serving, form, asked.key, phases, make, size)


async def _open_rows(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> StreamedRows:
    """The table, for which there is memory."""
    answer, rows = asked.rows, asked.encoder.rows
    assert answer is not None
    assert rows is not None
    tell = partial(tell_of, entry=form.opened.entry)
    tag = form.plain_tag(asked.key)
    return await open_rows(request, serving, answer, rows, form, tag, phases, tell)


async def _answer_file(
    request: Request,
    serving: Service,
    opened: Opened,
    asked: Weighed,
    phases: Phases,
    *,
    coded: bool,
) -> Response:
    """The response with a file: sent while it is read where it is large, or a part of it wanted.

    Lengths and ranges are of what is sent, so neither large files nor parts have a content coding.
    """
    assert asked.encoder.file is not None
    only = asked.encoder.file.only
    ranged = only or (bool(lines_of(request, b"range")) and request.method == "GET")
    coded = coded and asked.whole and not ranged and asked.result_bytes <= _UNCODED_BYTES
    form = Representation(opened, asked.encoder, accepted_coding(request) if coded else None)
    whole = asked.whole and (asked.result_bytes <= _WHOLE_BYTES or form.coding is not None)
    in_parts = only or asked.plan.keys is not None
    streams = form.coding is None and in_parts and (ranged or not whole)
    making = _open_spooled if asked.encoder.file.deflated else _open if streams else _make
    make = partial(making, request, serving, asked, form, phases)
    return await respond(
        request, serving, form, asked.key, phases, make, partial(_size, serving, asked, form)
    )


async def _size(serving: Service, asked: Weighed, form: Representation) -> int | None:
    """The length of a file, where it can be told before anything is read, or was answered."""
    file = asked.encoder.file or asked.encoder.sized
    assert file is not None
    if file.deflated:
        return serving.spool.size(form.tag(asked.key))
    size = await file_size(asked.plan, file, form.opened.fragments)
    if size is None and not form.opened.entry.rewritten:
        return form.opened.learned.size(form.tag(asked.key))
    return size


async def _open(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> StreamedFile:
    """The file, for which there is memory: it is read as it is sent."""
    async with AsyncExitStack() as stack:
        memory = _file_memory(serving, asked)
        held = serving.admission.held(caller(request), memory)
        await cancellable(request, stack.enter_async_context(held))
        with phases.recording():
            file = await cancellable(request, _file_of(serving, asked, form))
        learned = form.opened.learned
        learned.see_size(form.plain_tag(asked.key), file.size)
        stack.callback(learned.see_reading, asked.plan, phases)
        tell = partial(tell_of, entry=form.opened.entry)
        return StreamedFile(file, Held(stack.pop_all(), phases, serving.limits.streaming, tell))


async def _open_spooled(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> StreamedFile:
    """The file of the spool, made before if it is not there."""
    entry, limits = form.opened.entry, serving.limits
    tell = partial(tell_of, entry=entry)

    async def make(spooled: SpooledFile) -> None:
        try:
            # Two boxes as they are, their chunks filled up and compressed.
            async with serving.admission.held(caller(request), 2 * _file_memory(serving, asked)):
                async with asyncio.timeout(limits.streaming.seconds):
                    file = await _file_of(serving, asked, form)
                    await write_deflated(file, spooled, serving.encoding.writer.threads)
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


def _too_late(seconds: float) -> DeadlineExceeded:
    return DeadlineExceeded(
        f"The file was not made within {seconds:g} seconds, the most that one may take: ask for a"
        " smaller part.",
        limit_seconds=seconds,
    )


def _file_memory(serving: Service, asked: Weighed) -> int:
    """The most that a file which is read in boxes has in memory."""
    assert asked.encoder.file is not None
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    if asked.plan.keys is None:
        return memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)
    costs = asked.costs or file_costs(asked.plan, asked.encoder.file)
    return costs.window_bytes + texts


async def _file_of(serving: Service, asked: Weighed, form: Representation) -> FileAnswer:
    assert asked.encoder.file is not None
    meter = meter_of(asked, serving.limits)
    try:
        return await file_of(asked.plan, asked.encoder.file, form.opened.fragments, meter)
    except LimitError as error:
        raise told_of_texts(error, asked.encoder) from error
    except Exception as error:
        tell_of(error, form.opened.entry)


def _told_what_fits(serving: Service, asked: Weighed, excess: SluiceError) -> SluiceError:
    return with_fitting(excess, what_fits(serving, asked), led_on(asked))


async def _make(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> bytes | LongBody:
    """The body: at once if it is small and of what is in memory, else when there is room for it.

    The former is not counted: it waits for nobody and takes no memory to speak of.
    """
    if asked.encoder.stored:
        asked = replace(asked, plan=asked.plan.as_stored())
    inline_bytes = serving.encoding.inline_bytes
    # A hop to a thread costs more than a few values do.
    if asked.result_bytes <= inline_bytes:
        with phases.recording():
            result = _cached(asked.plan, form.opened.entry)
        if isinstance(result, Plan):
            asked = replace(asked, plan=result)
        elif (
            not asked.unmeasured
            or await _counted_texts(result, asked, serving.limits) <= inline_bytes
        ):
            return _encode(result, asked, form, phases)
    # Texts that nobody has read yet may take all that one answer may have.
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    cost = memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)
    make = partial(_read_and_encode, asked, form, phases, serving, texts)
    work = serving.admission.run(caller(request), cost, make)
    return await cancellable(request, work, partial(led_on, asked))


async def _read_and_encode(
    asked: Weighed, form: Representation, phases: Phases, serving: Service, likely_texts: int
) -> bytes | LongBody:
    """The body; memory was taken for `likely_texts` bytes of texts, and is for what they are."""
    meter = meter_of(asked, serving.limits)
    with phases.recording():
        result = await _read(asked, form.opened.entry, meter)
    texts = await _counted_texts(result, asked, serving.limits)
    encoding = serving.encoding
    if asked.cells >= _SOME_CELLS and not asked.encoder.stored:
        await form.opened.learned.see_values(asked.plan, result.variables)
    if asked.result_bytes <= encoding.inline_bytes and texts <= encoding.inline_bytes:
        return _encode(result, asked, form, phases, was_read=True)
    began, counted = perf_counter(), Counted()
    more = asked.encoder.forms * max(0, texts - likely_texts)
    with serving.admission.budget.charged(more):
        content = await encoding.writer.write(form.pieces(result, asked.plan.form, counted))
    ended = phases.since("encode", began)
    learned, format_name = form.opened.learned, asked.encoder.name
    learned.see_size(form.plain_tag(asked.key), counted.nbytes)
    learned.see_pace(format_name, counted.nbytes, ended - began)
    learned.see_reading(asked.plan, phases)
    return content


async def _counted_texts(result: xr.Dataset, asked: Weighed, limits: RequestLimits) -> int:
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


def _encode(
    result: xr.Dataset,
    asked: Weighed,
    form: Representation,
    phases: Phases,
    *,
    was_read: bool = False,
) -> bytes:
    began = perf_counter()
    content = form.encoder.encode(result, form.opened.fragments, asked.plan.form)
    if was_read or asked.cells >= _SOME_CELLS:
        form.opened.learned.see_size(form.plain_tag(asked.key), len(content))
    if form.coding is not None:
        content = compress(form.coding, content)
    phases.since("encode", began)
    return content


def _cached(plan: Plan, entry: DatasetEntry) -> xr.Dataset | Plan:
    """The planned answer, if it can be had without asking the store, or what is left to load."""
    try:
        return plan.read_cached()
    except Exception as error:
        tell_of(error, entry)


async def _read(asked: Weighed, entry: DatasetEntry, meter: TextMeter | None) -> xr.Dataset:
    """The planned answer; values that xarray cannot decode are the store's fault, not ours."""
    try:
        return await asked.plan.load(meter)
    except LimitError as error:
        raise told_of_texts(error, asked.encoder) from error
    except Exception as error:
        tell_of(error, entry)


async def told(work: Awaitable[T], entry: DatasetEntry) -> T:
    """What is read of a dataset; raises what may be told of a failure."""
    try:
        return await work
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
