"""Open a Zarr store as a Dataset without blocking, and select from it by awaiting.

The Dataset is xarray's own, plus two coroutines that read the answer.

A group of a hierarchy has coordinates from the groups it lies in, too, as xarray's DataTree has
them: index coordinates alone are inherited, by every group below; one that a group has itself, too,
is that of the group above. A group has to be aligned with those that it lies in.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
import xarray as xr
import zarr.abc.store

from sluice.aliases import Named
from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.group_metadata import open_group
from sluice.arrays.member_documents import DEFAULT_LIMITS, OpeningLimits
from sluice.arrays.reader import Reader
from sluice.arrays.store_reader import StoreReader
from sluice.datasets._xarray import (
    LazilyIndexedArray,
    coord_names_of,
    data_of,
    dataset_of,
    either_dict_or_kwargs,
    indexes_of,
    variables_of,
    with_variables,
)
from sluice.datasets.group_opening import names_of, open_variables
from sluice.datasets.read_plan import MissingDims, plan_isel, plan_sel
from sluice.datasets.relabel import isel_along_all
from sluice.datasets.unusable import Unusable
from sluice.errors import MetadataError, MisalignedGroup
from sluice.store.source import ByteSource
from sluice.store.zarr_store import SourceStore, ZarrStoreSource


class AsyncZarrBackendEntrypoint:
    """Opens what `xarray.open_zarr` opens, over any `ByteSource` or zarr-python `Store`."""

    async def open_dataset(
        self,
        store: ByteSource | zarr.abc.store.Store,
        *,
        group: str | None = None,
        zarr_format: int | None = None,
        consolidated: bool | None = None,
        mask_and_scale: bool = True,
        decode_times: Any = True,
        concat_characters: bool = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: bool | None = None,
        decode_timedelta: Any = None,
        on_unusable: Literal["raise", "leave_out"] = "raise",
        documents: GroupDocuments | None = None,
        reader: Reader | None = None,
        store_id: str | None = None,
        limits: OpeningLimits = DEFAULT_LIMITS,
    ) -> AsyncDataset:
        """The group as a Dataset: index coordinates in memory, the rest lazy.

        The first keywords are xarray's, with xarray's meanings. Whoever has read the group's
        `documents` already hands them over, and none is read again.

        Chunks are fetched, decoded and kept by the `reader`, which many datasets share; without one
        the dataset has one of its own that keeps none. Kept chunks are found again by those who
        open the same version of the store under the same `store_id`, whose meaning is the caller's;
        without one each opening is on its own. What is rewritten in place, under the same metadata,
        is not noticed while it is kept.

        A variable that cannot be used (no dimensions, an unknown codec, times that do not decode)
        is an error that names it, as in xarray; with ``on_unusable="leave_out"`` it is left out,
        and ``ds.unusable`` says why (and dates that are missing in another calendar are None, which
        xarray refuses or takes for the reference date). `drop_variables` are not even parsed.
        Coordinates beyond the `limits` cannot be used; whatever else is beyond them is a
        StoreTooLarge.

        Whoever made `store` closes it. Raises a StoreError if the store cannot be opened (see
        `sluice.arrays.group_metadata.open_group`), a MetadataError for what cannot be decoded.
        """
        source = _source(store)
        lenient = on_unusable == "leave_out"
        if documents is None:
            asked: dict[str, Any] = {"group": group, "zarr_format": zarr_format}
            asked["limits"] = replace(limits, dropped=frozenset(names_of(drop_variables)))
            documents = await open_group(source, consolidated=consolidated, **asked)
        identity = object() if store_id is None else (store_id, documents.version)
        shared = Reader(cache_bytes=0) if reader is None else reader
        chunks = StoreReader.of(source, shared, identity)
        options = {
            "mask_and_scale": mask_and_scale,
            "decode_times": decode_times,
            "concat_characters": concat_characters,
            "decode_coords": decode_coords,
            "drop_variables": drop_variables,
            "use_cftime": use_cftime,
            "decode_timedelta": decode_timedelta,
        }
        opened, unusable = await open_variables(
            chunks, documents, SourceStore(source), options, limits, lenient=lenient
        )
        _refuse_or_note(opened, unusable, on_unusable)
        return _awaitable(opened)


def _refuse_or_note(opened: xr.Dataset, unusable: Mapping[str, Unusable], on_unusable: str) -> None:
    """Raise MetadataError for variables left out of `opened`, or note them in its encoding."""
    if not unusable:
        return
    if on_unusable == "leave_out":
        opened.encoding["unusable"] = unusable
        return
    told = "; ".join(f"{name!r}: {one.reason}" for name, one in unusable.items())
    raise MetadataError(f"variables that cannot be used: {told}")


def _awaitable(opened: xr.Dataset) -> AsyncDataset:
    """The same Dataset as an `AsyncDataset`."""
    return dataset_of(
        AsyncDataset,
        variables_of(opened),
        coord_names_of(opened),
        dict(opened.sizes),
        opened.attrs,
        indexes_of(opened),
        opened.encoding,
    )


def _source(store: ByteSource | zarr.abc.store.Store) -> ByteSource:
    if isinstance(store, zarr.abc.store.Store):
        return ZarrStoreSource(store)
    if not callable(getattr(store, "getitems", None)):
        raise TypeError(
            f"open_dataset takes a byte source or a zarr Store, not {type(store).__name__}: "
            "wrap a path as AsyncFSMap(path, filesystem)"
        )
    return store


class AsyncDataset(xr.Dataset):
    """An opened store: index coordinates in memory, everything else read by awaiting.

    A plain xarray Dataset otherwise; what xarray derives from it (``ds[["t2m"]]``) keeps the
    coroutines. It may be shared: neither coroutine changes it.
    """

    __slots__ = ()

    def isel(
        self,
        indexers: Named | None = None,
        drop: bool = False,
        missing_dims: MissingDims = "raise",
        **indexers_kwargs: Any,
    ) -> Self:
        """As in xarray, which loses a dimension that a variable has twice; here it stays."""
        indexers = either_dict_or_kwargs(indexers, indexers_kwargs, "isel")
        return isel_along_all(self, indexers, drop, missing_dims)

    @property
    def unusable(self) -> Mapping[str, Unusable]:
        """The variables of the store that are left out, by name: the reason, and what to do.

        They stand in ``encoding["unusable"]``, so what xarray derives from the dataset has them.
        """
        found: Mapping[str, Unusable] = self.encoding.get("unusable", {})
        return found

    async def _isel(
        self,
        indexers: Named | None = None,
        drop: bool = False,
        missing_dims: MissingDims = "raise",
        **indexers_kwargs: Any,
    ) -> xr.Dataset:
        """``self.isel(...).load()`` without blocking: positions along dimensions.

        Returns a plain `xarray.Dataset` in memory. Raises what xarray raises, and a StoreError
        if the store fails.
        """
        indexers = either_dict_or_kwargs(indexers, indexers_kwargs, "isel")
        return await plan_isel(self, indexers, drop=drop, missing_dims=missing_dims).read()

    async def _sel(
        self,
        indexers: Named | None = None,
        method: str | None = None,
        tolerance: Any = None,
        drop: bool = False,
        **indexers_kwargs: Any,
    ) -> xr.Dataset:
        """``self.sel(...).load()`` without blocking: labels along coordinates.

        `tolerance` is in the units of the coordinate. Returns a plain `xarray.Dataset` in memory.
        Raises what xarray raises (KeyError for absent labels), and a StoreError if the store fails.
        """
        indexers = either_dict_or_kwargs(indexers, indexers_kwargs, "sel")
        known = await self._with_labels(indexers)
        plan = plan_sel(known, indexers, method=method, tolerance=tolerance, drop=drop)
        return await plan.read()

    async def _with_labels(self, indexers: Named) -> xr.Dataset:
        """This dataset with coordinates in memory that have no index, but labels to select by."""
        unread = [
            name
            for name in indexers
            if name in self.coords
            and name not in self.xindexes
            and self.variables[name].ndim == 1
            and isinstance(data_of(self.variables[name]), LazilyIndexedArray)
        ]
        if not unread:
            return self
        loaded = await plan_isel(self, {}, keep=unread).read()
        variables = {name: loaded.variables[name] for name in unread}
        return with_variables(self, {**variables_of(self), **variables})


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
    """What groups inherit from that at `path`: what it inherits, and its own coordinates."""
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
    """What the last one leaves out, and the coordinates of its dimensions left out above it."""
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
