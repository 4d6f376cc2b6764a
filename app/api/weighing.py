"""What an answer counts for in bytes: before it is read, and with its texts once it is."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

import xarray as xr

from sluice.arrays.texts import TextMeter
from sluice.datasets import ResultSchema
from sluice.encoders.table import Encoder
from sluice.engine import Plan, ReadLimits
from sluice.sizes import text_bytes

# So many texts are counted in half a millisecond.
_FEW_TEXTS: Final = 4096


def weighed(encoder: Encoder, plan: Plan) -> int:
    """What the answer counts for, but for texts that are still in the store.

    Raises what its format has against it.
    """
    schema = plan.schema
    texts = plan.reading.texts
    weight: int | None = schema.notes.get(encoder.name)
    if weight is None:
        encoder.check(schema)
        weight = schema.notes[encoder.name] = encoder.value_bytes(schema)
    return weight + encoder.text_bytes(schema, texts) if texts else weight


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
