"""Variables made of parts are those that xarray's constructor makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

from sluice.datasets._xarray import stored_of, variable_of, with_stored

CASES: list[tuple[tuple[str, ...], np.ndarray[Any, Any], dict[str, Any], dict[str, Any]]] = [
    ((), np.array(1.5), {"units": "K"}, {"dtype": "int16"}),
    (("x",), np.arange(3), {}, {}),
    (("x", "y"), np.array([["a", "b"]], dtype="T"), {"a": [1, 2]}, {"chunks": (1, 1)}),
    ((), np.array("2020-01-01", "M8[ns]"), {}, {"units": "days since 2000-01-01"}),
]


@pytest.mark.parametrize(("dims", "data", "attrs", "encoding"), CASES)
def test_a_variable_of_parts_is_xarrays_own(
    dims: tuple[str, ...],
    data: np.ndarray[Any, Any],
    attrs: dict[str, Any],
    encoding: dict[str, Any],
) -> None:
    """Every slot that xarray's constructor fills holds the same, and nothing of the caller's."""
    made, expected = variable_of(dims, data, attrs, encoding), xr.Variable(dims, data)
    expected.attrs, expected.encoding = dict(attrs), dict(encoding)
    assert type(made) is xr.Variable
    assert made.identical(expected)
    assert made.encoding == expected.encoding
    assert made.dtype == expected.dtype
    assert {*xr.Variable.__slots__} == {"_attrs", "_data", "_dims", "_encoding"}
    made.attrs["mine"] = made.encoding["mine"] = 1
    assert "mine" not in {**attrs, **encoding}


def test_labels_as_stored_stay_with_their_coordinate() -> None:
    """A shallow copy knows them, what is selected does not; nothing else can be seen of them."""
    plain = xr.Dataset(coords={"x": [1, 2, 3]}).variables["x"]
    known = with_stored(plain, "as stored")
    assert (stored_of(known), stored_of(plain)) == ("as stored", None)
    assert stored_of(known.copy(deep=False)) == "as stored"
    assert stored_of(known[1:]) is None
    assert known.identical(plain)
    assert type(known) is type(plain)
    assert known.copy(deep=True).identical(plain)
