"""Arrays to xarray: open a store, select from it by awaiting. The library ends here."""

from app.datasets.dataset import AsyncDataset
from app.datasets.describe import describe
from app.datasets.entrypoint import AsyncZarrBackendEntrypoint
from app.datasets.explain import explain
from app.datasets.layout import Layout
from app.datasets.outline import Outline
from app.datasets.pending import DatasetPlan
from app.datasets.plan import plan_isel, plan_positions
from app.datasets.pointwise import together
from app.datasets.relabel import relabel

__all__ = [
    "AsyncDataset",
    "AsyncZarrBackendEntrypoint",
    "DatasetPlan",
    "Layout",
    "Outline",
    "describe",
    "explain",
    "plan_isel",
    "plan_positions",
    "relabel",
    "together",
]
