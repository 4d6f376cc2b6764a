"""What every selection needs of a dataset, found out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import xarray as xr

from sluice.axes.axis import Axis
from sluice.axes.roles import Role, roles_of
from sluice.datasets import AsyncDataset, Layout


@dataclass(frozen=True, slots=True, eq=False)
class PreparedDataset:
    """An opened dataset with its `layout`, the axes of its index coordinates, what these stand
    for, and its sizes.

    Nothing of it changes: requests share it.
    """

    dataset: AsyncDataset
    layout: Layout
    axes: Mapping[str, Axis]
    roles: Mapping[str, Role]
    sizes: Mapping[str, int]


def prepare(dataset: AsyncDataset) -> PreparedDataset:
    """`dataset`, which must not change from here on; costs a pass over its labels."""
    sizes = {str(name): size for name, size in dataset.sizes.items()}
    axes = _axes(dataset)
    return PreparedDataset(
        dataset,
        Layout.of(dataset),
        MappingProxyType(axes),
        MappingProxyType(roles_of(axes)),
        MappingProxyType(sizes),
    )


def _axes(dataset: xr.Dataset) -> dict[str, Axis]:
    """An `Axis` for every one-dimensional index coordinate, by name."""
    indexed = {str(name): dataset.variables[name] for name in dataset.xindexes}
    return {
        name: Axis.of(name, variable.values, variable.attrs)
        for name, variable in indexed.items()
        if variable.dims == (name,)
    }
