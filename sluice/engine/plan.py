"""The plan of a selection: what the answer will be and cost, and how it is read."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import xarray as xr
from numpy.typing import NDArray

from sluice.arrays.texts import TextMeter
from sluice.axes.resolve import Resolved, resolve
from sluice.datasets import DatasetPlan, Outline, plan_isel, plan_positions, relabel, together
from sluice.engine.prepared import PreparedDataset
from sluice.record import record
from sluice.selection import Selection


@record
class Plan:
    """All that is known of an answer before anything is read.

    `found` are the positions that the selection means, and the labels under which the answer shows
    them; `reading` is what the store is asked for.
    """

    variables: tuple[str, ...] | None
    found: Resolved
    reading: DatasetPlan

    @property
    def schema(self) -> Outline:
        """The variables of the answer: their dimensions, shapes, types and sizes."""
        return self.reading.outline

    @property
    def form(self) -> Outline | None:
        """What answers with the same text around their values have in common; None if unknown."""
        # Other labels bring other attributes.
        return None if self.found.labels else self.reading.outline

    @property
    def labels(self) -> Mapping[str, NDArray[Any]]:
        """Labels by dimension where they are not the stored ones: they wrap round the globe."""
        return self.found.labels

    @property
    def key(self) -> tuple[Hashable, str]:
        """What tells this answer from every other one of the dataset, however it was asked for.

        First what many answers share (variables and dimensions), then where that leads this one.
        """
        names, places = self.found.places
        return (self.variables, names), places

    @property
    def chunks(self) -> int:
        """How many chunks must be decoded."""
        return self.reading.chunks

    @property
    def chunk_bytes(self) -> int:
        """Decoded bytes of the touched chunks."""
        return self.reading.chunk_bytes

    @property
    def working_bytes(self) -> int:
        """The most decoded bytes of chunks that reading has in memory at once."""
        return self.reading.working_bytes

    @property
    def text_bytes(self) -> int:
        """The likely bytes of the texts that are still to be read; the most if unknown."""
        return self.reading.text_bytes

    def read_cached(self) -> xr.Dataset | None:
        """What `read` brings, if it is small and all of it is in memory just now."""
        result = self.reading.at_once()
        return None if result is None else self._labelled(result)

    async def read(self, meter: TextMeter | None = None) -> xr.Dataset:
        """The answer as a plain Dataset in memory; `meter` counts its texts as they come.

        Raises a StoreError where the store does not do its part, LimitError from the `meter`.
        """
        return self._labelled(await self.reading.read(meter))

    def _labelled(self, result: xr.Dataset) -> xr.Dataset:
        return relabel(result, self.found.labels) if self.found.labels else result


def plan(prepared: PreparedDataset, selection: Selection) -> Plan:
    """How `selection` is read from a dataset; reads nothing.

    Raises `QueryError` for a label that an axis cannot hold, `SelectionError` for what is not
    there.
    """
    found = resolve(selection, prepared.axes, prepared.sizes)
    if not found.pointwise:
        reading = plan_positions(prepared.layout, found.positions, selection.variables)
    else:
        indexers = together(prepared.dataset, found.positions, found.pointwise)
        reading = plan_isel(prepared.layout, indexers, keep=selection.variables)
    return Plan(selection.variables, found, reading)
