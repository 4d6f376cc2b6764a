"""What a planned answer counts for in its format, and which limit it exceeds, for every door alike.

Memory is what is in flight at once; work has limits of its own. What is made whole counts as it is,
what is sent while it is read has a window in memory, however long it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping
from typing import Final

import xarray as xr

from sluice.aliases import record
from sluice.arrays.texts import TextMeter, text_bytes
from sluice.datasets import ResultSchema
from sluice.encoders.encoder import Encoder, with_package
from sluice.encoders.formats import ENCODERS
from sluice.encoders.tables import RowFormat
from sluice.engine import (
    MOST_DECIDING_CELLS,
    Costs,
    Fitting,
    Plan,
    RowAnswer,
    cells_excess,
    file_costs,
    fitting,
    memory_excess,
    rows_of,
    times_excess,
)
from sluice.errors import LimitError, SelectionError, SluiceError

from .representations import SelectionKey
from .state import RequestLimits, Service

# What reads more is sent while it is read, where its format can be.
_WHOLE_CHUNK_BYTES: Final = 256 * 2**20
# Larger tables are sent in slabs of rows.
_WHOLE_TABLE_BYTES: Final = 2**20
# So many texts are counted in half a millisecond.
_FEW_TEXTS: Final = 4096


@record
class Weighed:
    """A plan in a format: what the answer counts for, and what it exceeds, if anything.

    Texts that are still in the store count only once they are read: some are `unmeasured`. `cells`
    is how many values the answer has; `options` are what else a door was asked for, by name. What
    may not be made `whole` is within its limits as a stream, whose `costs` are known then; what has
    `rows` is sent in them.
    """

    plan: Plan
    encoder: Encoder
    cells: int
    result_bytes: int
    unmeasured: bool
    excess: SluiceError | None
    whole: bool
    options: tuple[tuple[str, object], ...] = ()
    rows: RowAnswer | None = None
    costs: Costs | None = None

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
    if encoder.package:
        encoder = with_package(encoder)
    reading, limits = plan.reading, serving.limits
    schema, texts = reading.schema, reading.texts
    # Of variants there may be any number: nothing is kept of them.
    weight: int | None = None if encoder.variant else schema.notes.get(encoder.name)
    if weight is None:
        encoder.check(schema)
        weight = encoder.value_bytes(schema)
        if not encoder.variant:
            schema.notes[encoder.name] = weight
    if texts:
        weight += encoder.text_bytes(schema, texts)
    excess: SluiceError | None
    excess, whole, costs = _judged(limits, plan, encoder, weight)
    rows = None
    large = weight > _WHOLE_TABLE_BYTES or reading.chunk_bytes > _WHOLE_CHUNK_BYTES
    if large and encoder.rows is not None and plan.keys is not None:
        rows, excess = _rows_within(limits, plan, encoder.rows, weight, excess)
    if excess is None and encoder.file is not None and schema.cells > MOST_DECIDING_CELLS:
        excess = cells_excess(plan, encoder.file)
    too_long = texts_excess(encoder, texts, limits.text_bytes) if texts else None
    unmeasured, excess = bool(schema.unmeasured), excess or too_long
    return Weighed(
        *(plan, encoder, schema.cells, weight, unmeasured, excess),
        whole=whole,
        options=options,
        rows=rows,
        costs=costs,
    )


def _judged(
    limits: RequestLimits, plan: Plan, encoder: Encoder, weight: int
) -> tuple[LimitError | None, bool, Costs | None]:
    """What an answer of this `weight` exceeds, whether it may be made whole, and else its costs."""
    excess, chunk_bytes = limits.whole.excess(plan.reading, weight), plan.reading.chunk_bytes
    if excess is None and chunk_bytes > limits.memory_bytes:
        excess = memory_excess(plan.working_bytes, limits.memory_bytes)
    if excess is None and encoder.file is None and weight < plan.schema.result_bytes:
        needed = memory_bytes(plan, weight, encoder.forms)
        excess = memory_excess(needed, limits.memory_bytes)
    if excess is None and chunk_bytes <= _WHOLE_CHUNK_BYTES:
        return None, True, None
    if encoder.file is None or not plan.reading.divisible:
        return excess, True, None
    # What comes before the values of a file is in memory as a whole.
    if plan.schema.attribute_bytes > limits.whole.result_bytes:
        return excess, False, None
    costs = None
    excess = limits.streaming.reading.excess(plan.reading, weight)
    if excess is None:
        costs = file_costs(plan, encoder.file)
        excess = memory_excess(costs.window_bytes, limits.memory_bytes)
        if encoder.file.chunked is False:
            excess = times_excess(costs) or excess
    return excess, False, costs


def costs_when_read(asked: Weighed) -> Costs:
    """What it costs to read the answer as it will be read: whole, or in parts as it is sent."""
    plan, file_format = asked.plan, asked.encoder.file
    if asked.rows is not None:
        return asked.rows.costs
    if asked.whole or file_format is None or not plan.reading.divisible:
        return plan.whole_costs
    return asked.costs or file_costs(plan, file_format)


def format_advice(asked: Weighed) -> str:
    """A sentence for who asks for too much of a format; empty where no other one helps.

    It names those that are sent while they are read, or one that needs less memory.
    """
    file, excess = asked.encoder.file, asked.excess
    by_rows = asked.encoder.rows is not None or (file is not None and file.chunked is False)
    if by_rows and excess and excess.facts.get("limited") == "memory_bytes":
        return " A file with chunks of its own takes less memory: f=netcdf."
    if asked.encoder.streams or not asked.plan.reading.divisible:
        return ""
    streams = (f"f={name}" for name, other in ENCODERS.items() if other.streams)
    others = asked.encoder.instead or ", ".join(streams)
    return f" What is sent while it is read may be larger and take longer: {others}."


def what_fits(serving: Service, asked: Weighed) -> Fitting | None:
    """The largest part of what was asked that is within limits; plans a few times."""

    def fits(less: Plan) -> bool:
        return weigh(serving, less, asked.encoder).excess is None

    return fitting(asked.plan, fits)


def texts_excess(
    encoder: Encoder, texts: Mapping[Hashable, int], most_bytes: int
) -> SluiceError | None:
    """What is raised where `texts`, by variable, have more than `most_bytes` together."""
    found = sum(texts.values())
    if found <= most_bytes:
        return None
    longest = max(texts, key=texts.__getitem__)
    error = LimitError(
        f"The texts of variable length would take {found} bytes; one answer may have {most_bytes}."
        " Ask for a smaller part.",
        limited="text_bytes",
        estimate=found,
        limit=most_bytes,
        variable=str(longest),
    )
    return text_refusal(error, encoder)


def text_refusal(error: LimitError, encoder: Encoder) -> SluiceError:
    """A refusal of texts, as the format has it: a file cannot have a variable of so long texts."""
    name = error.facts.get("variable")
    if encoder.file is None or name is None or error.facts.get("limited") != "text_bytes":
        return error
    detail = f"The texts of {name} are too long for f={encoder.name}. {error.detail}"
    return SelectionError(detail, **error.facts)


def memory_bytes(plan: Plan, result_bytes: int, forms: int) -> int:
    """The memory that a planned answer takes while it is made whole: an estimate from above.

    So often is it in memory at once: as values, packed or decoded, as text or a file, compressed.
    Values can take more than what is made of them.
    """
    return plan.working_bytes + forms * max(result_bytes, plan.schema.result_bytes)


def meter_of(asked: Weighed, limits: RequestLimits) -> TextMeter | None:
    """What counts the texts of an answer while they are read; None where it will read none."""
    if not asked.unmeasured:
        return None
    plan, whole = asked.plan, limits.whole
    known = sum(plan.reading.texts.values())
    # The values of a file need not be in memory; its texts are.
    streamed = limits.streaming.reading.result_bytes
    most = whole.result_bytes if asked.encoder.file is None else streamed
    return TextMeter(
        asked.result_bytes, most, plan.chunk_bytes, whole.chunk_bytes, known, limits.text_bytes
    )


def slab_meter(limits: RequestLimits) -> TextMeter:
    """What counts the texts of a part of an answer that is in memory by itself.

    Each part may have as many as an answer that is in memory as a whole.
    """
    whole = limits.whole
    return TextMeter(0, whole.result_bytes, 0, whole.chunk_bytes, 0, limits.text_bytes)


async def texts_of(schema: ResultSchema, result: xr.Dataset) -> dict[Hashable, int]:
    """The bytes of the texts that `result` was read with, by variable."""
    found: dict[Hashable, int] = {}
    for name in schema.unmeasured:
        values = result.variables[name].values
        few = values.size <= _FEW_TEXTS
        found[name] = text_bytes(values) if few else await asyncio.to_thread(text_bytes, values)
    return found


def _rows_within(
    limits: RequestLimits, plan: Plan, rows: RowFormat, weight: int, excess: LimitError | None
) -> tuple[RowAnswer | None, LimitError | None]:
    """The planned answer as slabs of rows; without it what it exceeds, or that it is made whole.

    `excess` is what it exceeds as a whole; `weight` what it counts for.
    """
    of_rows: LimitError | None = limits.streaming.reading.excess(plan, weight)
    if of_rows is None:
        answer = rows_of(plan, rows)
        of_rows = times_excess(answer.costs)
        of_rows = of_rows or memory_excess(answer.memory_bytes, limits.memory_bytes)
        if of_rows is None:
            return answer, None
    return None, of_rows if excess is not None else None
