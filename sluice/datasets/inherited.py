"""Coordinates that a group of a hierarchy has from the groups it lies in.

As xarray's DataTree has them: index coordinates alone are inherited, by every group below; one
that a group has itself, too, is that of the group above. A group has to be aligned with those that
it lies in.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import xarray as xr

from sluice.datasets._xarray import coord_names_of, dataset_of, variables_of
from sluice.datasets.entrypoint import AsyncDataset
from sluice.datasets.unusable import Unusable
from sluice.errors import MisalignedGroup


def with_inherited(levels: Mapping[str, AsyncDataset]) -> AsyncDataset:
    """The last of these datasets with what it inherits from those before it.

    `levels` are those of a path, by their groups' paths: the root (``""``), a group in it, one in
    that, and so on. Nothing is read: index coordinates are in memory.

    Raises MisalignedGroup for a group that is not aligned with those it lies in.
    """
    paths = list(levels)
    own = levels[paths[-1]]
    if len(paths) == 1:
        return own
    above = _skeleton(levels[paths[0]])
    for _, path in pairwise(paths):
        above = _below(above, _skeleton(levels[path]), path)
    return _joined(own, above, _unusable([levels[path] for path in paths]))


def _skeleton(dataset: xr.Dataset) -> xr.Dataset:
    """The index coordinates of a dataset, and the sizes of its other dimensions, without values."""
    indexes = {name: dataset.variables[name] for name in dataset.xindexes}
    bare = {
        _stand_in(dim): xr.Variable((dim,), np.broadcast_to(np.int8(0), (size,)))
        for dim, size in dataset.sizes.items()
        if dim not in indexes
    }
    coords = xr.Coordinates(indexes, dict(dataset.xindexes))
    return xr.Dataset(bare, coords)


def _stand_in(dim: Hashable) -> Hashable:
    return ("size of", dim)


def _below(above: xr.Dataset, own: xr.Dataset, path: str) -> xr.Dataset:
    """What the group at `path` hands down: all that it inherits, and what it has itself."""
    try:
        xr.align(own, above, join="exact", copy=False)
    except ValueError as error:
        raise MisalignedGroup(
            f"the group {path!r} is not aligned with those that it lies in, whose coordinates it"
            f" would inherit: {error}",
            group=path,
        ) from error
    return own.assign_coords(above.coords).assign(above.data_vars)


def _unusable(levels: Sequence[AsyncDataset]) -> dict[str, Unusable]:
    """What the last one leaves out, and the labels of its dimensions that those above it do."""
    own = levels[-1]
    above = {n: why for one in levels[:-1] for n, why in one.unusable.items() if n in own.sizes}
    return {**above, **own.unusable}


def _joined(
    own: AsyncDataset, handed: xr.Dataset, unusable: Mapping[str, Unusable]
) -> AsyncDataset:
    """The dataset with the index coordinates that its group has and inherits.

    A coordinate without an index stays before an inherited one of its name, a variable does not.
    """
    coords = coord_names_of(own) - {*own.xindexes}
    names: list[Hashable] = [name for name in handed.xindexes if name not in coords]
    inherited = {name: handed.variables[name] for name in names}
    variables: dict[Hashable, xr.Variable] = {**variables_of(own), **inherited}
    sizes = [size for variable in inherited.values() for size in variable.sizes.items()]
    return dataset_of(
        AsyncDataset,
        variables,
        coords | {*inherited},
        {**own.sizes, **dict(sizes)},
        own.attrs,
        {name: handed.xindexes[name] for name in inherited},
        {**own.encoding, **({"unusable": unusable} if unusable else {})},
    )
