"""The Dataset with `_sel` and `_isel`: xarray's own, plus two coroutines that read the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import xarray as xr
from xarray.namedarray.utils import either_dict_or_kwargs

from sluice.datasets.labels import plan_sel
from sluice.datasets.plan import MissingDims, plan_isel
from sluice.datasets.repeated import isel_along_all
from sluice.datasets.unusable import Unusable


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
            if name in self._coord_names
            and name not in self._indexes
            and self._variables[name].ndim == 1
            and not self._variables[name]._in_memory
        ]
        if not unread:
            return self
        loaded = await plan_isel(self, {}, keep=unread).read()
        variables = {name: loaded._variables[name] for name in unread}
        return self._replace({**self._variables, **variables})
