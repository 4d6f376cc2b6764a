"""What a group inherits: what it does in xarray's DataTree, for any arrangement of coordinates."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from sluice.datasets import AsyncDataset
from sluice.datasets.entrypoint import with_inherited
from sluice.datasets.unusable import Unusable
from sluice.errors import MisalignedGroup

Levels = dict[str, xr.Dataset]


def level(dataset: xr.Dataset) -> AsyncDataset:
    """The dataset under the class that stores are opened as."""
    return AsyncDataset(dataset.variables, attrs=dataset.attrs).set_coords(list(dataset.coords))


X = xr.Variable("x", [1, 2, 3], {"of": "root"})
TREES: list[Levels] = [
    {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset({"v": ("x", [1, 2, 3])})},
    # One that has no dimension of it, one in between without anything.
    {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset(), "a/b": xr.Dataset({"w": ("y", [1])})},
    # The same again, with other attributes: those of the group above.
    {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset({"v": ("x", [1, 2, 3])}, {"x": [1, 2, 3]})},
    # Without an index nothing is inherited, and sizes are compared all the same.
    {
        "": xr.Dataset({"z": ("q", [1, 2])}, {"s": 1, "m": ("q", [5, 6])}),
        "a": xr.Dataset({"v": ("q", [3, 4])}),
    },
    # A variable of its own under the name of a coordinate above it.
    {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset({"x": ((), 7)})},
    # From several groups above.
    {
        "": xr.Dataset(coords={"x": X}),
        "a": xr.Dataset(coords={"t": xr.date_range("2020", periods=2)}),
        "a/b": xr.Dataset({"v": (("t", "x"), np.ones((2, 3)))}, {"k": ("t", ["p", "q"])}),
    },
]


@pytest.mark.parametrize("levels", TREES)
def test_a_group_has_what_it_has_in_a_datatree(levels: Levels) -> None:
    """Variables, coordinates, dimensions and indexes, on each level."""
    tree = xr.DataTree.from_dict({f"/{path}": one for path, one in levels.items()})
    for depth, path in enumerate(levels, 1):
        found = with_inherited({name: level(levels[name]) for name in list(levels)[:depth]})
        expected = tree[f"/{path}"].to_dataset()
        assert expected.identical(found)
        assert isinstance(found, AsyncDataset)
        assert dict(found.sizes) == dict(expected.sizes)


def test_a_coordinate_without_an_index_is_its_own() -> None:
    """A DataTree shows the same, and an index that does not go with it."""
    levels = {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset({"v": ("y", [1])}, {"x": 7})}
    tree = xr.DataTree.from_dict({"/": levels[""], "/a": levels["a"]})
    found = with_inherited({path: level(one) for path, one in levels.items()})
    assert tree["/a"].to_dataset().drop_indexes("x").identical(found)


def test_labels_that_cannot_be_used_are_told_of_below() -> None:
    """Where they are those of a dimension that the group has, and there alone."""
    root = level(xr.Dataset())
    why = Unusable("its codec is not known", "Write it again.", passing=False)
    root.encoding["unusable"] = {"x": why, "height": why}
    found = with_inherited({"": root, "a": level(xr.Dataset({"v": ("x", [1, 2])}))})
    assert found.unusable == {"x": why}
    assert with_inherited({"": root, "a": level(xr.Dataset())}).unusable == {}


MISALIGNED: list[Levels] = [
    {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset({"v": ("x", [1, 2])})},
    {"": xr.Dataset(coords={"x": X}), "a": xr.Dataset(coords={"x": [1, 2, 4]})},
    {"": xr.Dataset({"z": ("q", [1, 2])}), "a": xr.Dataset({"v": ("q", [1])})},
    {"": xr.Dataset({"z": ("q", [1, 2])}), "b": xr.Dataset(), "a": xr.Dataset({"v": ("q", [1])})},
]


@pytest.mark.parametrize("levels", MISALIGNED)
def test_what_a_datatree_refuses_is_misaligned(levels: Levels) -> None:
    """And the error says which group."""
    paths = {path: "/" + "/".join(list(levels)[1 : n + 1]) for n, path in enumerate(levels)}
    with pytest.raises(ValueError, match="not aligned"):
        xr.DataTree.from_dict({paths[path]: one for path, one in levels.items()})
    with pytest.raises(MisalignedGroup, match="the group 'a' is not aligned") as caught:
        with_inherited({path: level(one) for path, one in levels.items()})
    assert caught.value.facts == {"group": "a"}
