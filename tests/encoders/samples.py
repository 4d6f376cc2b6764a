"""Datasets of every kind that the encoders must hold, drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import cftime
import numpy as np
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

FLOATS = ["f2", "f4", ">f4", "f8", ">f8"]
INTEGERS = ["i1", ">i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]
OTHERS = ["U3", "S3", "O", "M8[s]", "M8[ms]", "M8[us]", "M8[ns]", "m8[s]", "m8[ns]", "cftime"]
DTYPES = FLOATS + INTEGERS + OTHERS

words = st.text(st.characters(exclude_characters="\0"), max_size=5)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=4),
    st.complex_numbers(),
    st.datetimes(),
    npst.arrays(npst.scalar_dtypes(), npst.array_shapes(max_dims=2, min_side=0, max_side=3)),
)
attributes = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=4,
    ),
    max_size=4,
)


def cells(dtype: str, shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """Arrays of the dtype; times stay within what datetime64[ns] can hold."""
    match np.dtype("O" if dtype == "cftime" else dtype):
        case np.dtype(kind="M" | "m") as time:
            ticks = st.integers(-(10**9), 10**9).map(lambda n: n * 10**9 // _nanoseconds(time))
            items: Any = st.one_of(ticks, st.just(np.iinfo("i8").min))
            return npst.arrays("i8", shape, elements=items).map(lambda a: a.view(time))
        case np.dtype(kind="O"):
            return npst.arrays("O", shape, elements=_dates() if dtype == "cftime" else words)
        case np.dtype(kind="U"):
            return npst.arrays(dtype, shape, elements=st.text("aé☃", max_size=3))
        case plain:
            return npst.arrays(plain, shape)


def _nanoseconds(dtype: np.dtype[Any]) -> int:
    return {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[np.datetime_data(dtype)[0]]


def _dates() -> st.SearchStrategy[cftime.datetime]:
    return st.builds(
        cftime.Datetime360Day,
        st.integers(1700, 2200),
        st.integers(1, 12),
        st.integers(1, 30),
        st.integers(0, 23),
    )


@st.composite
def datasets(draw: st.DrawFn) -> xr.Dataset:
    """A dataset of a few variables of any dtype, any shape and any attributes."""
    sizes = {"x": draw(st.integers(0, 3)), "y": draw(st.integers(1, 3))}
    dataset = xr.Dataset(attrs=draw(attributes))
    for name in draw(st.lists(st.sampled_from("abcxy"), unique=True, max_size=4)):
        dims = (name,) if name in sizes else draw(st.sampled_from([(), ("x",), ("y", "x")]))
        dtype = draw(st.sampled_from(DTYPES))
        values = draw(cells(dtype, tuple(sizes[dim] for dim in dims)))
        variable = xr.Variable(dims, values, draw(attributes))
        coords = xr.Coordinates({name: variable}, indexes={})
        is_coord = name in sizes or draw(st.booleans())
        dataset = dataset.assign_coords(coords) if is_coord else dataset.assign({name: variable})
    return dataset
