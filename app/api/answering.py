"""From a plan to its answer: weigh it, refuse what costs too much, read, encode, or give up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

import xarray as xr
from fastapi import Request, Response

from sluice.encoders.formats import compress
from sluice.engine import Plan, file_size, with_fitting
from sluice.errors import SluiceError
from sluice.instrumentation import Phases

from ..catalog.entry import DatasetEntry
from ..catalog.opened import Opened
from .reading import (
    counted_texts,
    open_file,
    open_rows,
    open_spooled,
    raise_redacted,
    read,
    spooled_size,
)
from .representations import Representation, accepted_coding, respond
from .requests import caller, cancellable, lines_of
from .response_bodies import ByteCounter, LongBody
from .state import Service
from .weighing import Weighed, format_advice, memory_bytes, meter_of, what_fits

# Larger files are sent while they are read; larger ones still have no content coding.
_WHOLE_BYTES: Final = 2**20
_UNCODED_BYTES: Final = 16 * 2**20
# Fewer values are answered in less time than it takes to remember how long they were.
_SOME_CELLS: Final = 16


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
    representation = Representation(
        opened, asked.encoder, accepted_coding(request) if coded else None
    )
    if asked.encoder.spooled:
        whole = partial(open_spooled, request, serving, asked, representation, phases)
        made = partial(spooled_size, request, serving, asked, representation, phases)
        return await respond(request, serving, representation, asked.key, phases, whole, made)
    make = partial(
        _make if asked.rows is None else open_rows, request, serving, asked, representation, phases
    )
    size = None if asked.encoder.sized is None else partial(_size, serving, asked, representation)
    return await respond(request, serving, representation, asked.key, phases, make, size)


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
    representation = Representation(
        opened, asked.encoder, accepted_coding(request) if coded else None
    )
    whole = asked.whole and (
        asked.result_bytes <= _WHOLE_BYTES or representation.coding is not None
    )
    streams = representation.coding is None and (ranged or not whole)
    streams = streams and (only or asked.plan.reading.divisible)
    making = open_spooled if asked.encoder.file.deflated else open_file if streams else _make
    make = partial(making, request, serving, asked, representation, phases)
    return await respond(
        request,
        serving,
        representation,
        asked.key,
        phases,
        make,
        partial(_size, serving, asked, representation),
    )


async def _size(serving: Service, asked: Weighed, representation: Representation) -> int | None:
    """The length of a file, where it can be told before anything is read, or was answered."""
    file = asked.encoder.file or asked.encoder.sized
    assert file is not None
    if file.deflated:
        return serving.spool.size(representation.tag(asked.key))
    size = await file_size(asked.plan, file, representation.opened.fragments)
    if size is None and not representation.opened.entry.rewritten:
        return representation.opened.learned.size(representation.tag(asked.key))
    return size


def _told_what_fits(serving: Service, asked: Weighed, excess: SluiceError) -> SluiceError:
    return with_fitting(excess, what_fits(serving, asked), format_advice(asked))


async def _make(
    request: Request,
    serving: Service,
    asked: Weighed,
    representation: Representation,
    phases: Phases,
) -> bytes | LongBody:
    """The body: at once if it is small and of what is in memory, else when there is room for it.

    The former is not counted: it waits for nobody and takes no memory to speak of.
    """
    if asked.encoder.stored and not asked.plan.reading.stored:
        asked = replace(asked, plan=asked.plan.as_stored())
    # What takes a moment to load is not loaded by the loop.
    inline_bytes = -1 if asked.encoder.package else serving.encoding.inline_bytes
    # A hop to a thread costs more than a few values do.
    if asked.result_bytes <= inline_bytes:
        with phases.recording():
            result = _cached(asked.plan, representation.opened.entry)
        if isinstance(result, Plan):
            asked = replace(asked, plan=result)
        elif (
            not asked.unmeasured
            or await counted_texts(result, asked, serving.limits) <= inline_bytes
        ):
            return _encode(result, asked, representation, phases)
    # Texts that nobody has read yet may take all that one answer may have.
    texts = min(asked.plan.text_bytes, serving.limits.text_bytes)
    cost = memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)
    make = partial(_read_and_encode, asked, representation, phases, serving, texts)
    work = serving.admission.run(caller(request), cost, make)
    return await cancellable(request, work, partial(format_advice, asked))


async def _read_and_encode(
    asked: Weighed,
    representation: Representation,
    phases: Phases,
    serving: Service,
    likely_texts: int,
) -> bytes | LongBody:
    """The body; memory was taken for `likely_texts` bytes of texts, and is for what they are."""
    meter = meter_of(asked, serving.limits)
    with phases.recording():
        result = await read(asked, representation.opened.entry, meter)
    texts = await counted_texts(result, asked, serving.limits)
    encoding = serving.encoding
    inline_bytes = -1 if asked.encoder.package else encoding.inline_bytes
    if asked.cells >= _SOME_CELLS and not asked.encoder.stored:
        await representation.opened.learned.see_values(asked.plan, result.variables)
    if asked.result_bytes <= inline_bytes and texts <= inline_bytes:
        return _encode(result, asked, representation, phases, was_read=True)
    began, counted = perf_counter(), ByteCounter()
    more = asked.encoder.forms * max(0, texts - likely_texts)
    with serving.admission.budget.charged(more):
        content = await encoding.writer.write(
            representation.pieces(result, asked.plan.form, counted)
        )
    ended = phases.since("encode", began)
    learned, format_name = representation.opened.learned, asked.encoder.name
    learned.see_size(representation.plain_tag(asked.key), counted.nbytes)
    learned.see_pace(format_name, counted.nbytes, ended - began)
    learned.see_reading(asked.plan, phases)
    return content


def _encode(
    result: xr.Dataset,
    asked: Weighed,
    representation: Representation,
    phases: Phases,
    *,
    was_read: bool = False,
) -> bytes:
    began = perf_counter()
    content = representation.encoder.encode(
        result, representation.opened.fragments, asked.plan.form
    )
    if was_read or asked.cells >= _SOME_CELLS:
        representation.opened.learned.see_size(representation.plain_tag(asked.key), len(content))
    if representation.coding is not None:
        content = compress(representation.coding, content)
    phases.since("encode", began)
    return content


def _cached(plan: Plan, entry: DatasetEntry) -> xr.Dataset | Plan:
    """The planned answer, if it can be had without asking the store, or what is left to load."""
    try:
        return plan.read_cached()
    except Exception as error:
        raise_redacted(error, entry)
