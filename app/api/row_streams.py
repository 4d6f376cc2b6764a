"""Tables that are sent while they are read: which are, what they may take, and how they are made.

A table has no length before its last row, so it is sent in chunks, whole and under any coding.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Final, NoReturn

from fastapi import Request

from sluice.arrays.texts import TextMeter
from sluice.encoders.content_coding import CODINGS
from sluice.encoders.tables import RowFormat
from sluice.engine import Plan, RowAnswer, rows_of
from sluice.errors import LimitError
from sluice.instrumentation import Phases

from .representations import Representation
from .requests import caller
from .response_bodies import BodyWriter
from .state import RequestLimits, Service
from .streaming import Held, StreamedRows, cancellable

# How often a chunk may be decoded: slabs of rows go across chunks that are long along them.
MOST_DECODED: Final = 4


def within_limits(
    limits: RequestLimits, plan: Plan, rows: RowFormat, weight: int, excess: LimitError | None
) -> tuple[RowAnswer | None, LimitError | None]:
    """The planned answer as slabs of rows; without it what it exceeds, or that it is made whole.

    `excess` is what it exceeds as a whole; `weight` what it counts for.
    """
    told: LimitError | None = limits.streaming.reading.excess(plan, weight)
    if told is None:
        answer = rows_of(plan, rows)
        told = _excess(answer, limits.memory_bytes)
        if told is None:
            return answer, None
    return None, told if excess is not None else None


def _excess(answer: RowAnswer, most_bytes: int) -> LimitError | None:
    cure = "Nothing was read: ask for f=netcdf, which lies as the chunks do, or for a smaller part."
    if answer.most_times > MOST_DECODED:
        return LimitError(
            "The chunks of the store are so long along the rows that some would be decoded"
            f" {answer.most_times} times; rows are sent where that is at most {MOST_DECODED}."
            f" {cure}",
            limited="times_decoded",
            estimate=answer.most_times,
            limit=MOST_DECODED,
        )
    if answer.memory_bytes > most_bytes:
        return LimitError(
            f"The rows that must be in memory at once take {answer.memory_bytes} bytes; there are"
            f" {most_bytes} for them. {cure}",
            limited="memory_bytes",
            estimate=answer.memory_bytes,
            limit=most_bytes,
        )
    return None


async def open_rows(
    request: Request,
    serving: Service,
    answer: RowAnswer,
    rows: RowFormat,
    form: Representation,
    phases: Phases,
    tell: Callable[[Exception], NoReturn],
) -> StreamedRows:
    """The table, for which there is memory: it is read as it is sent.

    What fails is told by `tell`.
    """
    limits = serving.limits
    async with AsyncExitStack() as stack:
        held = serving.admission.held(caller(request), answer.memory_bytes)
        await cancellable(request, stack.enter_async_context(held))
        stack.callback(form.opened.learned.see_reading, answer.plan, phases)
        pieces = _pieces(answer, rows, form, serving.encoding.writer, limits)
        kept = Held(stack.pop_all(), phases, limits.streaming, tell)
        return StreamedRows(pieces, kept)


async def _pieces(
    answer: RowAnswer,
    rows: RowFormat,
    form: Representation,
    writer: BodyWriter,
    limits: RequestLimits,
) -> AsyncGenerator[memoryview, None]:
    """The text in this coding, written where long answers are: the next slab is read meanwhile."""

    def meter() -> TextMeter | None:
        # Each slab has what an answer may have that is in memory as a whole.
        if not answer.plan.schema.unmeasured:
            return None
        whole = limits.whole
        return TextMeter(0, whole.result_bytes, 0, whole.chunk_bytes, 0, limits.text_bytes)

    compressor = None if form.coding is None else CODINGS[form.coding](-1)
    see = form.opened.learned.see_values
    async with aclosing(answer.pieces(rows, meter, see)) as slabs:
        async for slab in slabs:
            text = slab if compressor is None else map(compressor.compress, slab)
            async with aclosing(writer.steps(text)) as steps:
                async for step in steps:
                    yield memoryview(step)
    if compressor is not None:
        yield memoryview(compressor.flush())
