"""A dataset as it is served by DAP, prepared once, and the plan of parts of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

from sluice.encoders.dap_types import Version
from sluice.encoders.dap_variables import DapDataset, DapPart
from sluice.engine import Plan, joined, plan
from sluice.selection import Along, PositionSlice, Selection

from ...catalog.opened import Opened

Make: TypeAlias = Callable[[Opened], DapDataset]


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
    """How these parts are read, each variable alone: nothing comes along that was not asked for.

    One plan where all have the same positions along the dimensions that they share, as those have
    that clients ask for together; else it is one of several, and read whole.
    """
    groups: list[tuple[dict[Hashable, range], list[DapPart]]] = []
    for part in parts:
        own = dict(zip(part.variable.own_dims, part.ranges, strict=True))
        for ranges, members in groups:
            if all(ranges.get(dim, asked) == asked for dim, asked in own.items()):
                ranges |= own
                members.append(part)
                break
        else:
            groups.append((own, [part]))
    plans = [_plan(opened, ranges, members) for ranges, members in groups]
    if len(plans) == 1:
        return plans[0]
    return joined(plans, [part.variable.name for part in parts])


def _plan(opened: Opened, ranges: dict[Hashable, range], parts: Sequence[DapPart]) -> Plan:
    sizes = opened.prepared.sizes
    along: dict[str, Along] = {
        str(dim): PositionSlice(asked.start, asked.stop, asked.step)
        for dim, asked in ranges.items()
        if asked != range(sizes[str(dim)])
    }
    names = [part.variable.name for part in parts]
    found = plan(opened.prepared, Selection(along, tuple(map(str, names))))
    return found.only(names)


def part_key(parts: Sequence[DapPart]) -> Hashable:
    """What tells these parts from all others of the dataset."""
    return tuple(
        [(p.variable.stored, *[(r.start, r.stop, r.step) for r in p.ranges]) for p in parts]
    )
