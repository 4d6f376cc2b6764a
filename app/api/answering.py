"""From a plan to its answer: weigh it, refuse what costs too much, read, encode, or give up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Hashable
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final, NoReturn, TypeVar

import xarray as xr
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

from sluice.arrays.texts import TextMeter, text_bytes
from sluice.datasets import ResultSchema
from sluice.encoders.formats import Encoder
from sluice.engine import Plan, ReadLimits, fitting, with_fitting
from sluice.errors import LimitError, SluiceError, StoreError
from sluice.phases import Phases
from sluice.record import record
from sluice.wording import plain_words

from ..catalog.entry import DatasetEntry, redact_error
from ..catalog.opened import Opened
from ..errors import DeadlineExceeded
from .access import caller
from .representations import Representation, SelectionKey, accepted_coding, respond
from .response_bodies import LongBody
from .state import RequestLimits, Service, service

T = TypeVar("T")

log = logging.getLogger(__name__)


@record
class Weighed:
    """A plan in a format: what the answer counts for, and the limit that it exceeds, if any.

    Texts that are still in the store count only once they are read: some are `unmeasured`. `cells`
    is how many values the answer has; `options` are what else a door was asked for, by name.
    """

    plan: Plan
    encoder: Encoder
    cells: int
    result_bytes: int
    unmeasured: bool
    excess: LimitError | None
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
    weight: int | None = schema.notes.get(encoder.name)
    if weight is None:
        encoder.check(schema)
        weight = schema.notes[encoder.name] = encoder.value_bytes(schema)
    if texts:
        weight += encoder.text_bytes(schema, texts)
    excess = serving.limits.reading.excess(plan, weight)
    unmeasured = bool(schema.unmeasured)
    return Weighed(plan, encoder, schema.cells, weight, unmeasured, excess, options)


async def answer(
    request: Request, serving: Service, opened: Opened, asked: Weighed, phases: Phases
) -> Response:
    """The response; raises LimitError, before anything is read, where a limit is exceeded."""
    if asked.excess is not None:
        work = asyncio.to_thread(_told_what_fits, serving, asked, asked.excess)
        raise await cancellable(request, work)
    large = asked.result_bytes >= serving.encoding.compress_bytes
    coding = accepted_coding(request) if large else None
    form = Representation(opened, asked.encoder, coding)
    make = partial(_make, request, serving, asked, form, phases)
    return await respond(request, serving, form, asked.key, phases, make)


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


# Where the first wait of a request leaves the time by which it must be answered.
_DEADLINE: Final = "sluice.deadline"


async def cancellable(request: Request, work: Coroutine[object, object, T]) -> T:
    """What `work` brings; it is cancelled when the deadline comes or the client leaves before.

    So everything is awaited that may take long. The deadline is that of the request, however many
    parts of it are awaited so. The body of the request must have been read. Raises
    DeadlineExceeded, and Starlette's ClientDisconnect.
    """
    admission = service(request).admission
    loop = asyncio.get_running_loop()
    deadline: float = request.scope.setdefault(_DEADLINE, loop.time() + admission.seconds)
    scope = asyncio.timeout_at(deadline)
    left = False

    async def watch() -> None:
        nonlocal left
        while (await request.receive())["type"] != "http.disconnect":
            pass
        left = True
        scope.reschedule(loop.time())

    try:
        async with scope:
            watching = asyncio.create_task(watch())
            try:
                return await work
            finally:
                watching.cancel()
    except TimeoutError as error:
        # A store that times out raises a kind of its own, which is not ours to explain.
        if type(error) is not TimeoutError or not scope.expired():
            raise
        if left:
            raise ClientDisconnect from None
        admission.refuse("deadline")
        raise DeadlineExceeded(
            f"There was no answer within {admission.seconds:g} seconds, the most that a request may"
            " take: ask for a smaller part.",
            limit_seconds=admission.seconds,
        ) from None
