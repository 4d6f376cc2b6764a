"""A dataset as it is served by DAP, prepared once, and the plan of parts of it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from sluice.encoders.dap_types import Version
from sluice.encoders.dap_variables import DapDataset, DapPart
from sluice.engine import Plan, plan, plan_of_parts
from sluice.selection import Selection

from ...catalog.opened import Opened


def dap2_of(opened: Opened) -> DapDataset:
    """The dataset in the types of DAP2; a pass over the coordinates that are in memory."""
    return _served(opened, 2)


def dap4_of(opened: Opened) -> DapDataset:
    """The dataset in the types of DAP4."""
    return _served(opened, 4)


def _served(opened: Opened, version: Version) -> DapDataset:
    whole = plan(opened.prepared, Selection()).as_stored()
    known, pending = whole.reading.variables, whole.reading.pending
    variables = {n: known[n] if n in known else pending[n] for n in whole.schema.variables}
    coords, attrs = whole.schema.coord_names, whole.reading.attrs
    return DapDataset.of(opened.entry.id, version, variables, known, coords, attrs)


def plan_of(opened: Opened, parts: Sequence[DapPart]) -> Plan:
    """How these parts are read, each variable alone: nothing comes along that was not asked for."""
    return plan_of_parts(opened.prepared, {part.variable.name: _keys(part) for part in parts})


def _keys(part: DapPart) -> dict[Hashable, int | slice]:
    """What is asked of those dimensions of which not all positions are, and of those that have one.

    One position alone is no slice: of single values less is planned, and they are read as such.
    """
    variable = part.variable
    keys: dict[Hashable, int | slice] = {}
    for dim, length, asked in zip(variable.own_dims, variable.shape, part.ranges, strict=True):
        if len(asked) == 1:
            keys[dim] = asked.start
        elif len(asked) < length:
            keys[dim] = slice(asked.start, asked.stop, asked.step)
    return keys


def part_key(parts: Sequence[DapPart]) -> Hashable:
    """What tells these parts from all others of the dataset."""
    return tuple(
        [(p.variable.stored, *[(r.start, r.stop, r.step) for r in p.ranges]) for p in parts]
    )
