"""Where variables are cut for a file: all bytes once, in order, along the chunks of the store."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sluice.aliases import Array
from sluice.encoders.file_values import ValueWriter
from sluice.encoders.netcdf_file import NetcdfVariable, file_layout
from sluice.engine.boxes import WINDOW_BYTES, Box, Grid, chunk_boxes, row_boxes


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=0, max_size=4)))
    ends = []
    for length in shape:
        inner = draw(st.sets(st.integers(1, length - 1))) if length > 1 else set()
        ends.append(np.array([*sorted(inner), length]))
    return Grid(shape, 8, tuple(ends))


def ends_of(grid: Grid) -> list[list[int]]:
    return [[] if ends is None else ends.tolist() for ends in grid.ends]


def values_of(grid: Grid) -> Array:
    return np.arange(math.prod(grid.shape), dtype="i8").reshape(grid.shape)


def taken(values: Array, box: Box) -> Array:
    return values[tuple(slice(a, b) for a, b in zip(box.starts, box.stops, strict=True))]


def check(content: bytes, boxes: Iterable[tuple[Box, bytes]], start: int, stop: int) -> None:
    """The boxes follow each other, cover what is asked for, and say where their bytes lie."""
    end = None
    for box, part in boxes:
        assert content[box.offset : box.offset + len(part)] == part
        assert (end is None and box.offset <= start) or end == box.offset
        end = box.offset + len(part)
    assert end is None if start == stop else end is not None and end >= stop


@given(grids(), st.data())
def test_rows_cover_any_range_in_order(grid: Grid, data: st.DataObject) -> None:
    content = values_of(grid).tobytes()
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, len(content)))
    most = data.draw(st.integers(1, 200))
    soon = data.draw(st.booleans())
    boxes = list(row_boxes(grid, start, stop, most, soon=soon))
    check(content, ((box, taken(values_of(grid), box).tobytes()) for box in boxes), start, stop)
    axis = grid.row_dimension
    for box in boxes[:-1]:
        assert axis is not None
        assert box.stops[axis] in ends_of(grid)[axis]
    if soon and len(boxes) > 1:
        assert axis is not None
        ends = ends_of(grid)[axis]
        assert boxes[0].stops[axis] == min(end for end in ends if end > boxes[0].starts[axis])


@given(grids(), st.data())
def test_chunks_cover_any_range_in_order(grid: Grid, data: st.DataObject) -> None:
    chunks = tuple(data.draw(st.integers(1, length)) for length in grid.shape)
    variable = NetcdfVariable(
        "v", tuple(f"d{n}" for n in range(len(chunks))), grid.shape, np.dtype("i8"), {}, (), chunks
    )
    if not chunks:
        return
    layout = file_layout([variable], {})

    def written(values: Array) -> bytes:
        writer = ValueWriter(layout)
        return b"".join(writer.put("v", values))

    content = written(values_of(grid))
    start = data.draw(st.integers(0, len(content)))
    stop = data.draw(st.integers(start, len(content)))
    most = data.draw(st.integers(1, 400))
    boxes = list(chunk_boxes(grid, chunks, start, stop, most))
    parts = [(box, written(taken(values_of(grid), box))) for box in boxes]
    chunk_bytes = math.prod(chunks) * 8
    assert all(len(part) <= max(most, chunk_bytes) for _, part in parts)
    check(content, parts, start, stop)


def grid_of(shape: tuple[int, ...], chunks: tuple[int, ...]) -> Grid:
    ends = tuple(
        np.append(np.arange(chunk, length, chunk), length)
        for length, chunk in zip(shape, chunks, strict=True)
    )
    return Grid(shape, 4, ends)


def test_maps_are_written_in_one_piece() -> None:
    assert grid_of((10_000, 721, 1440), (1, 721, 1440)).chunks() is None


def test_a_leading_dimension_of_one_position_is_no_row() -> None:
    grid = grid_of((1, 40_000, 1000), (1, 1000, 1000))
    assert grid.chunks() is None
    boxes = list(row_boxes(grid, 0, 160_000_000, WINDOW_BYTES))
    assert [box.stops[1] for box in boxes] == [16_000, 32_000, 40_000]


def test_series_are_written_in_chunks_of_the_store() -> None:
    grid = grid_of((100_000, 721, 1440), (100_000, 4, 4))
    assert grid.chunks() == (100_000, 4, 4)


def test_small_chunks_are_joined() -> None:
    grid = grid_of((10_000, 721, 1440), (10_000, 1, 1))
    assert grid.chunks() == (10_000, 1, 27)
    assert grid_of((100_000, 2000), (100_000, 1)).chunks() == (100_000, 3)


def test_what_is_in_memory_is_cut_anywhere() -> None:
    grid = Grid((100,), 8, (None,))
    assert grid.chunks() is None
    assert [(box.starts, box.stops) for box in row_boxes(grid, 80, 400, 160)] == [
        ((10,), (30,)),
        ((30,), (50,)),
    ]


@given(grids())
def test_no_chunk_of_the_store_lies_in_more_than_two_of_the_file(grid: Grid) -> None:
    for longest, ends in zip(grid.longest, ends_of(grid), strict=True):
        for start, end in zip([0, *ends], ends, strict=False):
            assert (end - 1) // longest - start // longest <= 1
