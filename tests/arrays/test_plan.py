"""Plans against NumPy: what a plan places is what NumPy's indexing gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.arrays.plan import ReadPlan, plan_element, plan_orthogonal, plan_pointwise


def execute(plan: ReadPlan, array: np.ndarray, chunks: list[int]) -> np.ndarray:
    """Follow a plan over an array in memory, chunk by chunk."""
    out = np.full(plan.buffer_shape, -1)
    seen = set()
    for read in plan.reads():
        assert read.coords not in seen
        seen.add(read.coords)
        chunk = array[
            tuple(slice(c * n, (c + 1) * n) for c, n in zip(read.coords, chunks, strict=True))
        ]
        if plan.points is not None:
            chunk = chunk.transpose(plan.order)
        out[read.into] = chunk[read.take]
    assert len(seen) == plan.chunks
    return plan.finish(out)


slices = st.builds(
    slice,
    st.none() | st.integers(-12, 12),
    st.none() | st.integers(-12, 12),
    st.none() | st.sampled_from([1, 2, 3, 7, -1, -2, -5]),
)


@st.composite
def grids(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    shape = draw(st.lists(st.integers(0, 9), max_size=4))
    return shape, [draw(st.integers(1, 10)) for _ in shape]


@given(grids(), st.data())
def test_orthogonal_plan_places_what_numpy_selects(
    grid: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    """Every axis on its own: integers, slices of any step and lists, each chunk read once."""
    shape, chunks = grid
    array = np.arange(math.prod(shape)).reshape(shape)
    key, expected, axis = [], array, 0
    for size in shape:
        positions = st.integers(-size, size - 1)
        lists = st.lists(positions, max_size=6).map(lambda p: np.array(p, dtype=np.int64))
        part = data.draw(slices if not size else slices | positions | lists)
        key.append(part)
        expected = expected[(slice(None),) * axis + (part,)]
        axis += not isinstance(part, int)
    actual = execute(plan_orthogonal(shape, chunks, key), array, chunks)
    np.testing.assert_array_equal(actual, expected)


@given(grids(), st.data())
def test_pointwise_plan_places_what_numpy_selects(
    grid: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    """Arrays are read element by element, the other axes stay whole, points come first."""
    shape, chunks = grid
    pointed = [i for i, size in enumerate(shape) if size and data.draw(st.booleans())]
    if not pointed:
        return
    count = data.draw(st.integers(0, 5))
    key = [
        np.array(data.draw(st.lists(st.integers(-n, n - 1), min_size=count, max_size=count)), int)
        if i in pointed
        else data.draw(slices)
        for i, n in enumerate(shape)
    ]
    array = np.arange(math.prod(shape)).reshape(shape)
    order = pointed + [i for i in range(len(shape)) if i not in pointed]
    expected = array.transpose(order)[tuple(key[i] for i in order)]
    actual = execute(plan_pointwise(shape, chunks, key), array, chunks)
    np.testing.assert_array_equal(actual, expected)


def test_cost_of_a_huge_plan_is_known_without_spelling_it_out() -> None:
    """Counting chunks takes no time that grows with their number."""
    plan = plan_orthogonal([10**9] * 3, [1] * 3, [slice(None)] * 3)
    assert plan.chunks == 10**27


@pytest.mark.parametrize("position", [5, -6])
def test_position_outside_the_axis_is_an_index_error(position: int) -> None:
    """Neither an integer nor a listed position may leave its axis."""
    with pytest.raises(IndexError):
        plan_orthogonal([5], [2], [position])
    with pytest.raises(IndexError):
        plan_orthogonal([5], [2], [np.array([0, position])])


def test_points_of_any_shape_give_their_shape() -> None:
    """A grid of points answers as a grid."""
    rows = np.array([[0, 1], [2, 3]])
    plan = plan_pointwise([4, 6], [2, 2], [rows, slice(1, 4)])
    assert plan.shape == (2, 2, 3)


@given(grids(), st.data())
def test_an_element_is_found_as_by_its_axes(
    grid: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    """One chunk, and the value's place in it; negative numbers count from the end."""
    shape, chunks = [max(size, 1) for size in grid[0]], grid[1]
    array = np.arange(math.prod(shape)).reshape(shape)
    key = [data.draw(st.integers(-size, size - 1)) for size in shape]
    plan = plan_element(shape, chunks, key)
    chunk = array[
        tuple(slice(c * n, (c + 1) * n) for c, n in zip(plan.coords, chunks, strict=True))
    ]
    assert chunk[plan.place] == array[tuple(key)]
    assert execute(plan, array, chunks) == array[tuple(key)]
    assert (plan.chunks, plan.shape) == (1, ())


@pytest.mark.parametrize("position", [3, -4])
def test_no_element_lies_outside(position: int) -> None:
    """A position beyond either end is an IndexError, never a neighbour."""
    with pytest.raises(IndexError):
        plan_element([5, 3], [2, 2], [0, position])
