"""From a plan to its answer: weigh it, refuse what costs too much, read, encode, or give up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Hashable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final, NoReturn, TypeVar

import xarray as xr
from fastapi import Request, Response

from sluice.aliases import record
from sluice.arrays.texts import TextMeter, text_bytes
from sluice.datasets import ResultSchema
from sluice.encoders.encoder import Encoder
from sluice.engine import (
    FileAnswer,
    Plan,
    ReadLimits,
    file_of,
    file_size,
    fitting,
    stream_memory,
    with_fitting,
)
from sluice.errors import LimitError, SluiceError, StoreError, plain_words
from sluice.instrumentation import Phases

from ..catalog.entry import DatasetEntry, redact_error
from ..catalog.opened import Opened
from .representations import Representation, SelectionKey, accepted_coding, respond
from .requests import caller, lines_of
from .response_bodies import LongBody
from .state import RequestLimits, Service
from .streaming import StreamedFile, cancellable

T = TypeVar("T")

# Larger files are sent while they are read; larger ones still have no content coding.
_WHOLE_BYTES: Final = 2**20
_UNCODED_BYTES: Final = 16 * 2**20

log = logging.getLogger(__name__)


@record
class Weighed:
    """A plan in a format: what the answer counts for, and the limit that it exceeds, if any.

    Texts that are still in the store count only once they are read: some are `unmeasured`. `cells`
    is how many values the answer has; `options` are what else a door was asked for, by name. What
    may not be made `whole` is within its limits as a stream.
    """

    plan: Plan
    encoder: Encoder
    cells: int
    result_bytes: int
    unmeasured: bool
    excess: LimitError | None
    whole: bool
    options: tuple[tuple[str, object], ...] = ()

    @property
    def key(self) -> SelectionKey:
        """What tells this answer from every other one of the dataset, but for its form."""
        if not self.options:
            return self.plan.key
        chosen, own = self.plan.key
        return (chosen, self.options), own


def weigh(
    serving: Service, plan: Plan, encoder: Encoder, options: tuple[tuple[str, object], ...] = ()
) -> Weighed:
    """The planned answer in this format; raises what the format has against it."""
    schema, texts = plan.schema, plan.reading.texts
    # Of variants there may be any number: nothing is kept of them.
    weight: int | None = None if encoder.variant else schema.notes.get(encoder.name)
    if weight is None:
        encoder.check(schema)
        weight = encoder.value_bytes(schema)
        if not encoder.variant:
            schema.notes[encoder.name] = weight
    words = encoder.text_bytes(schema, texts) if texts else 0
    weight += words
    limits = serving.limits
    excess = limits.reading.excess(plan, weight)
    whole = excess is None or encoder.file is None or plan.keys is None
    # What comes before the values of a file is in memory as a whole.
    if not whole and words + schema.attribute_bytes <= limits.reading.result_bytes:
        excess = limits.streaming.excess(plan, weight)
    unmeasured = bool(schema.unmeasured)
    return Weighed(plan, encoder, schema.cells, weight, unmeasured, excess, whole, options)


async def answer(
    request: Request, serving: Service, opened: Opened, asked: Weighed, phases: Phases
) -> Response:
    """The response; raises LimitError, before anything is read, where a limit is exceeded."""
    if asked.excess is not None:
        work = asyncio.to_thread(_told_what_fits, serving, asked, asked.excess)
        raise await cancellable(request, work)
    coded = asked.result_bytes >= serving.encoding.compress_bytes
    if asked.encoder.file is not None:
        return await _answer_file(request, serving, opened, asked, phases, coded=coded)
    form = Representation(opened, asked.encoder, accepted_coding(request) if coded else None)
    make = partial(_make, request, serving, asked, form, phases)
    return await respond(request, serving, form, asked.key, phases, make)


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
    ranged = bool(lines_of(request, b"range")) and request.method == "GET"
    coded = coded and asked.whole and not ranged and asked.result_bytes <= _UNCODED_BYTES
    form = Representation(opened, asked.encoder, accepted_coding(request) if coded else None)
    whole = asked.whole and (asked.result_bytes <= _WHOLE_BYTES or form.coding is not None)
    streams = form.coding is None and asked.plan.keys is not None and (ranged or not whole)
    make = partial(_open if streams else _make, request, serving, asked, form, phases)
    return await respond(
        request, serving, form, asked.key, phases, make, partial(_size, asked, form)
    )


async def _size(asked: Weighed, form: Representation) -> int | None:
    """The length of a file, where it can be told before anything is read."""
    assert asked.encoder.file is not None
    return await file_size(asked.plan, asked.encoder.file, form.opened.fragments)


async def _open(
    request: Request, serving: Service, asked: Weighed, form: Representation, phases: Phases
) -> StreamedFile:
    """The file, for which there is memory: it is read as it is sent."""
    file_format, entry = asked.encoder.file, form.opened.entry
    assert file_format is not None
    limits, meter = serving.limits, None
    if asked.unmeasured:
        meter = TextMeter(0, limits.reading.result_bytes, 0, limits.reading.chunk_bytes)

    async def read() -> FileAnswer:
        try:
            return await file_of(asked.plan, file_format, form.opened.fragments, meter)
        except Exception as error:
            _tell(error, entry)

    async with AsyncExitStack() as stack:
        memory = stream_memory(asked.plan)
        held = serving.admission.held(caller(request), memory)
        await cancellable(request, stack.enter_async_context(held))
        with phases.recording():
            file = await cancellable(request, read())
        tell = partial(_tell, entry=entry)
        return StreamedFile(file, stack.pop_all(), phases, limits.streaming, tell)


def _told_what_fits(serving: Service, asked: Weighed, excess: LimitError) -> LimitError:
    def fits(less: Plan) -> bool:
        return weigh(serving, less, asked.encoder).excess is None

    return with_fitting(excess, fitting(asked.plan, fits))


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
    texts = min(asked.plan.text_bytes, serving.limits.reading.result_bytes)
    cost = memory_bytes(asked.plan, asked.result_bytes + texts, asked.encoder.forms)
    make = partial(_read_and_encode, asked, form, phases, serving, texts)
    return await cancellable(request, serving.admission.run(caller(request), cost, make))


async def _read_and_encode(
    asked: Weighed, form: Representation, phases: Phases, serving: Service, likely_texts: int
) -> bytes | LongBody:
    """The body; memory was taken for `likely_texts` bytes of texts, and is for what they are."""
    meter = meter_of(asked.plan, asked.result_bytes, serving.limits.reading)
    with phases.recording():
        result = await _read(asked.plan, form.opened.entry, meter)
    texts = await _counted_texts(result, asked, serving.limits)
    encoding = serving.encoding
    if asked.result_bytes <= encoding.inline_bytes and texts <= encoding.inline_bytes:
        return _encode(result, asked, form, phases)
    began = perf_counter()
    more = asked.encoder.forms * max(0, texts - likely_texts)
    with serving.admission.budget.charged(more):
        content = await encoding.writer.write(form.pieces(result, asked.plan.form))
    phases.since("encode", began)
    return content


def memory_bytes(plan: Plan, result_bytes: int, forms: int) -> int:
    """The memory that a planned answer takes while it is made: an estimate from above.

    So often is it in memory at once: as values, packed or decoded, as text or a file, compressed.
    """
    return plan.working_bytes + forms * result_bytes


async def _counted_texts(result: xr.Dataset, asked: Weighed, limits: RequestLimits) -> int:
    """What the texts of `result` count for; LimitError where that is too much."""
    meter = meter_of(asked.plan, asked.result_bytes, limits.reading)
    if meter is None:
        return 0
    texts = await text_weight(asked.encoder, asked.plan.schema, result)
    meter.take(texts)
    return texts


def _encode(result: xr.Dataset, asked: Weighed, form: Representation, phases: Phases) -> bytes:
    began = perf_counter()
    content = form.body(result, asked.plan.form)
    phases.since("encode", began)
    return content


def _cached(plan: Plan, entry: DatasetEntry) -> xr.Dataset | Plan:
    """The planned answer, if it can be had without asking the store, or what is left to load."""
    try:
        return plan.read_cached()
    except Exception as error:
        _tell(error, entry)


async def _read(plan: Plan, entry: DatasetEntry, meter: TextMeter | None) -> xr.Dataset:
    """The planned answer; values that xarray cannot decode are the store's fault, not ours."""
    try:
        return await plan.load(meter)
    except Exception as error:
        _tell(error, entry)


def _tell(error: Exception, entry: DatasetEntry) -> NoReturn:
    """Raise what is told of a failure: the store's own words may repeat secrets it was sent."""
    told = redact_error(error, entry)
    if told is not error:
        raise told from None
    if isinstance(error, SluiceError):
        raise error
    log.error("values that do not decode", exc_info=error)
    raise StoreError(f"values do not decode: {plain_words(str(error))}") from error


# So many texts are counted in half a millisecond.
_FEW_TEXTS: Final = 4096


def meter_of(plan: Plan, result_bytes: int, limits: ReadLimits) -> TextMeter | None:
    """What counts the texts of `plan` while they are read; None where it will read none."""
    if not plan.schema.unmeasured:
        return None
    return TextMeter(result_bytes, limits.result_bytes, plan.chunk_bytes, limits.chunk_bytes)


async def text_weight(encoder: Encoder, schema: ResultSchema, result: xr.Dataset) -> int:
    """What the texts that `result` was read with add to its weight."""
    if not schema.unmeasured:
        return 0
    found: dict[Hashable, int] = {}
    for name in schema.unmeasured:
        values = result.variables[name].values
        few = values.size <= _FEW_TEXTS
        found[name] = text_bytes(values) if few else await asyncio.to_thread(text_bytes, values)
    return encoder.text_bytes(schema, found)
