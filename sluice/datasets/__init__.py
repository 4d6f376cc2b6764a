"""Arrays to xarray: open a store, select from it by awaiting. The library ends here."""

from sluice.datasets.dataset import AsyncDataset
from sluice.datasets.describe import describe
from sluice.datasets.entrypoint import AsyncZarrBackendEntrypoint
from sluice.datasets.explain import explain
from sluice.datasets.layout import Layout
from sluice.datasets.outline import Outline
from sluice.datasets.pending import DatasetPlan
from sluice.datasets.plan import plan_isel, plan_positions
from sluice.datasets.pointwise import together
from sluice.datasets.relabel import relabel

open_dataset = AsyncZarrBackendEntrypoint().open_dataset

__all__ = [
    "AsyncDataset",
    "AsyncZarrBackendEntrypoint",
    "DatasetPlan",
    "Layout",
    "Outline",
    "describe",
    "explain",
    "open_dataset",
    "plan_isel",
    "plan_positions",
    "relabel",
    "together",
]
