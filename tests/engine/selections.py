"""Selections of every kind from any dataset, and slabs put together again."""

from __future__ import annotations

import asyncio
from typing import Any

import xarray as xr
from hypothesis import assume
from hypothesis import strategies as st

from sluice.arrays.reader import Reader
from sluice.datasets import AsyncDataset, open_dataset
from sluice.engine import Plan
from sluice.engine.slabs import Order, Rows, Slab
from sluice.selection import Along, Position, Positions, PositionSlice, Selection
from tests.stores import StoreSpec, documents_of, fs_map


def opened_of(runner: asyncio.Runner, spec: StoreSpec) -> AsyncDataset:
    """The dataset of an example's store, opened; examples that do not open are passed over."""
    try:
        return runner.run(open_dataset(fs_map(documents_of(spec)), reader=Reader()))
    except Exception:
        assume(False)
        raise


async def all_slabs(planned: Plan, most_bytes: int, order: Order) -> list[Slab]:
    """Every slab, in its order."""
    return [slab async for slab in planned.slabs(most_bytes, order)]


def together(slabs: list[Slab]) -> dict[Any, xr.Variable]:
    """The variables of all slabs."""
    parts: dict[Any, list[Slab]] = {}
    for slab in slabs:
        for name in slab.variables:
            parts.setdefault(name, []).append(slab)
    return {name: _together(name, several) for name, several in parts.items()}


def _together(name: Any, slabs: list[Slab], depth: int = 0) -> xr.Variable:
    """The variable of slabs that are the same along the dimensions that are cut before."""
    cut = slabs[0].cut
    dims = [] if name in cut.whole else list(cut.ranges)
    if depth == len(dims):
        # Those that lack a dimension are read for each of its positions.
        first, *others = [slab.variables[name] for slab in slabs]
        assert all(first.identical(other) for other in others)
        return first
    groups: dict[range, list[Slab]] = {}
    for slab in slabs:
        groups.setdefault(slab.cut.ranges[dims[depth]], []).append(slab)
    found = [_together(name, group, depth + 1) for group in groups.values()]
    along = dims[depth] in found[0].dims
    return xr.Variable.concat(found, dims[depth]) if along and len(found) > 1 else found[0]


def orders(planned: Plan) -> st.SearchStrategy[Order]:
    """The orders of slabs, and windows of any size for rows along several dimensions."""
    variables = planned.schema.variables.values()
    most: tuple[Any, ...] = max((v.dims for v in variables), key=len, default=())
    dims = tuple(dim for dim in most if all(v.dims.count(dim) < 2 for v in variables))
    rows = st.builds(
        Rows,
        st.just(dims),
        st.just(tuple(planned.schema.variables)),
        st.sampled_from([1, 8, 100, 10_000]),
        st.sampled_from([0, 20, 1000]),
    )
    return st.one_of(st.sampled_from(["variable", "row"]), rows)


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
