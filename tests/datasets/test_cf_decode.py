"""Unpacking in one pass: bit for bit what xarray's own two functions give."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from xarray.coding.variables import _apply_mask, _scale_offset_decoding

from sluice.datasets.cf_decode import StoredForm, StoredLabels, Unpacking

numbers = st.sampled_from([0.5, -3, 1e300, np.float32(0.1), np.int16(7), 2.0**-1074])


def steps(dtype: str, fills: list[Any], scale: Any, offset: Any) -> list[Any]:
    nan = np.dtype(dtype).type(np.nan)
    mask = partial(
        _apply_mask, encoded_fill_values=fills, decoded_fill_value=nan, dtype=np.dtype(dtype)
    )
    unpack = partial(
        _scale_offset_decoding, scale_factor=scale, add_offset=offset, dtype=np.dtype(dtype)
    )
    return [mask, unpack]


@given(st.data())
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid:RuntimeWarning")
def test_any_values_unpack_as_in_xarray(data: st.DataObject) -> None:
    """Scalars and arrays, integers and floats, no or several fill values, any scale and offset."""
    stored = data.draw(st.sampled_from(["i1", "u2", "i8", "f4", "f8", ">i2"]))
    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=4))
    values = data.draw(hnp.arrays(stored, shape))
    fills = data.draw(
        st.lists(st.sampled_from([0, -1, 255, np.int16(3), np.float64(1)]), max_size=2)
    )
    both = steps(
        data.draw(st.sampled_from(["f4", "f8"])), fills,
        data.draw(st.none() | numbers), data.draw(st.none() | numbers),
    )  # fmt: skip
    unpacking = Unpacking.of(both)
    assert unpacking is not None
    before, expected = values.copy(), both[1](both[0](values))
    actual = unpacking(values)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    assert actual.tobytes() == expected.tobytes() or np.array_equal(
        actual, expected, equal_nan=True
    )
    np.testing.assert_array_equal(values, before)
    assert not np.shares_memory(actual, values)


def test_other_decodings_are_left_to_xarray() -> None:
    """One function alone, another order, other dtypes, odd numbers: none of them is unpacked."""
    mask, unpack = steps("f8", [0], 0.5, 1.0)
    other = steps("f4", [0], 0.5, 1.0)
    odd: tuple[list[Any], ...] = (
        [],
        [mask],
        [unpack],
        [unpack, mask],
        [mask, unpack, unpack],
        [mask, other[1]],
        steps("f8", ["x"], 0.5, 1.0),
        steps("f8", [0], np.array([0.5]), 1.0),
    )
    assert [Unpacking.of(some) for some in odd] == [None] * len(odd)


@given(
    st.sampled_from(["u1", "i2", "i8", "u8"]),
    st.integers(0, 100),
    st.integers(1, 40),
    st.integers(1, 5),
    st.booleans(),
    st.data(),
)
def test_evenly_spaced_labels_are_picked_as_from_their_array(
    dtype: str, first: int, count: int, step: int, falls: bool, data: st.DataObject
) -> None:
    """At a position, a slice or several positions: the same values, in memory of their own."""
    values = np.unique(np.arange(first, first + count * step, step).clip(max=255)).astype(dtype)
    values = values[::-1] if falls else values
    labels = StoredLabels.of(values, StoredForm(np.dtype(dtype), (), {}))
    assert isinstance(labels.values, range) or len(values) < 2 or values[-1] == 255
    end = st.none() | st.integers(-count, count)
    places = st.integers(-len(values), len(values) - 1)
    several = st.lists(places, max_size=5).map(lambda some: np.array(some, "i8"))
    strides = st.sampled_from([None, 1, 3, -1, -2])
    place = data.draw(places | st.builds(slice, end, end, strides) | several)
    found, expected = labels.pick(place), np.asarray(values[place])
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)
    assert not np.shares_memory(found, values)
