"""Arrays to xarray: open a store, select from it by awaiting. The library ends here."""

from sluice.datasets.entrypoint import AsyncDataset, AsyncZarrBackendEntrypoint
from sluice.datasets.indexers import pointwise_indexers
from sluice.datasets.layout import Layout, ResultSchema
from sluice.datasets.read_parts import plan_parts
from sluice.datasets.read_plan import DatasetReadPlan, plan_isel, plan_positions
from sluice.datasets.relabel import relabel

open_dataset = AsyncZarrBackendEntrypoint().open_dataset

__all__ = [
    "AsyncDataset",
    "AsyncZarrBackendEntrypoint",
    "DatasetReadPlan",
    "Layout",
    "ResultSchema",
    "open_dataset",
    "plan_isel",
    "plan_parts",
    "plan_positions",
    "pointwise_indexers",
    "relabel",
]
