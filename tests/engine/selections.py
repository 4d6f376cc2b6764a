"""Selections of every kind from any dataset, and slabs put together again."""

from __future__ import annotations

from typing import Any

import xarray as xr
from hypothesis import strategies as st

from sluice.engine import Plan
from sluice.engine.slabs import Order, Slab
from sluice.selection import Along, Position, Positions, PositionSlice, Selection


async def all_slabs(planned: Plan, most_bytes: int, order: Order) -> list[Slab]:
    """Every slab, in its order."""
    return [slab async for slab in planned.slabs(most_bytes, order)]


def together(slabs: list[Slab]) -> dict[Any, xr.Variable]:
    """The variables of all slabs."""
    parts: dict[Any, list[xr.Variable]] = {}
    dims: dict[Any, Any] = {}
    for slab in slabs:
        for name, variable in slab.variables.items():
            parts.setdefault(name, []).append(variable)
            dims[name] = slab.cut.dim
    return {
        name: several[0] if len(several) == 1 else xr.Variable.concat(several, dims[name])
        for name, several in parts.items()
    }


def along(size: int) -> st.SearchStrategy[Along]:
    """What a dimension of this size may be asked for."""
    places = st.integers(-size, size - 1)
    ends = st.one_of(st.none(), st.integers(-size - 1, size + 1))
    return st.one_of(
        st.builds(Position, places),
        st.builds(Positions, st.lists(places, min_size=1, max_size=6).map(tuple)),
        st.builds(PositionSlice, ends, ends, st.sampled_from([None, 1, 2, 3, -1, -2])),
    )


@st.composite
def selections(draw: st.DrawFn, dataset: xr.Dataset) -> Selection:
    """Positions of any kind, some of them read together, of some variables or all."""
    sizes = {str(name): size for name, size in dataset.sizes.items() if size}
    asked = draw(st.sets(st.sampled_from(sorted(sizes)))) if sizes else set()
    chosen = {name: draw(along(sizes[name])) for name in sorted(asked)}
    points = sorted(asked) if len(asked) > 1 and draw(st.integers(0, 2)) == 0 else []
    for name in points:
        places = st.tuples(*[st.integers(0, sizes[name] - 1)] * 4)
        chosen[name] = Positions(draw(places))
    names = sorted(map(str, dataset.data_vars))
    wanted: list[str] = (
        draw(st.lists(st.sampled_from(names), min_size=1, unique=True)) if names else []
    )
    some = draw(st.booleans())
    variables = tuple(wanted) if wanted and some else None
    return Selection(chosen, variables, tuple(points))
