"""Zarr stores as xarray Datasets, read on one event loop from the socket to the chunk.

The library beneath the service: `Filesystems` and `AsyncFSMap` read keys, `open_dataset` and
`AsyncZarrBackendEntrypoint` open stores, which share a `Reader`, and the Datasets are selected from
by awaiting ``_sel`` and ``_isel``. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sluice.arrays.reader import Reader
    from sluice.datasets import AsyncZarrBackendEntrypoint, open_dataset
    from sluice.store import AsyncFSMap, Filesystems

__version__ = "0.2.0"

__all__ = [
    "AsyncFSMap",
    "AsyncZarrBackendEntrypoint",
    "Filesystems",
    "Reader",
    "__version__",
    "open_dataset",
]

_HOMES = {
    "AsyncFSMap": "store",
    "AsyncZarrBackendEntrypoint": "datasets",
    "Filesystems": "store",
    "Reader": "arrays.reader",
    "open_dataset": "datasets",
}


def __getattr__(name: str) -> Any:
    """The public object `name`, from the module that holds it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
