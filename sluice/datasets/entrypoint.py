"""Open a Zarr store as a Dataset without blocking, and select from it by awaiting.

The Dataset is xarray's own, plus two coroutines that read the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import xarray as xr
import zarr.abc.store

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
from sluice.errors import MetadataError
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
    """Raise MetadataError for the variables that are left out of `opened`, or note them there."""
    if not unusable:
        return
    if on_unusable == "leave_out":
        opened.encoding["unusable"] = unusable
        return
    told = "; ".join(f"{name!r}: {one.reason}" for name, one in unusable.items())
    raise MetadataError(f"variables that cannot be used: {told}")


def _awaitable(opened: xr.Dataset) -> AsyncDataset:
    """The parts of `opened` under the class that has the coroutines."""
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
        indexers: Mapping[Any, Any] | None = None,
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
        indexers: Mapping[Any, Any] | None = None,
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
        indexers: Mapping[Any, Any] | None = None,
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

    async def _with_labels(self, indexers: Mapping[Any, Any]) -> xr.Dataset:
        """This dataset, with the 1-D coordinates that are asked without an index in memory."""
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
