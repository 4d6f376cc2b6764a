"""What an answer counts for in bytes: before it is read, and with its texts once it is."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final

import xarray as xr

from sluice.arrays.texts import TextMeter, text_bytes
from sluice.datasets import Outline
from sluice.encoders.table import Encoder
from sluice.engine import Plan, ReadLimits

# So many texts are counted in half a millisecond.
_FEW_TEXTS: Final = 4096


def weighed(encoder: Encoder, plan: Plan) -> int:
    """What the answer counts for, but for texts that are still in the store.

    Raises what its format has against it.
    """
    outline = plan.schema
    texts = plan.reading.texts
    weight: int | None = outline.notes.get(encoder.name)
    if weight is None:
        encoder.check(outline)
        weight = outline.notes[encoder.name] = encoder.value_bytes(outline)
    return weight + encoder.text_bytes(outline, texts) if texts else weight


def meter_of(plan: Plan, result_bytes: int, limits: ReadLimits) -> TextMeter | None:
    """What counts the texts of `plan` while they are read; None where it will read none."""
    if not plan.schema.unmeasured:
        return None
    return TextMeter(result_bytes, limits.result_bytes, plan.chunk_bytes, limits.chunk_bytes)


async def text_weight(encoder: Encoder, outline: Outline, result: xr.Dataset) -> int:
    """What the texts that `result` was read with add to its weight."""
    if not outline.unmeasured:
        return 0
    found: dict[Hashable, int] = {}
    for name in outline.unmeasured:
        values = result.variables[name].values
        few = values.size <= _FEW_TEXTS
        found[name] = text_bytes(values) if few else await asyncio.to_thread(text_bytes, values)
    return encoder.text_bytes(outline, found)
