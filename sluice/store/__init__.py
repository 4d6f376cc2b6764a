"""Key -> bytes. The only package that knows fsspec and obstore.

`AsyncFSMap`, `ObstoreMap` and `ZarrStoreSource` are three ways to be a `ByteSource`; `Filesystems`
makes them from URLs and owns the connections. Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sluice.store.filesystems import Filesystems
    from sluice.store.fsmap import AsyncFSMap
    from sluice.store.obstore_map import ObstoreMap
    from sluice.store.source import ByteSource
    from sluice.store.zarr_store import SourceStore, ZarrStoreSource

__all__ = [
    "AsyncFSMap",
    "ByteSource",
    "Filesystems",
    "ObstoreMap",
    "SourceStore",
    "ZarrStoreSource",
]

_HOMES = {
    "AsyncFSMap": "fsmap",
    "ByteSource": "source",
    "Filesystems": "filesystems",
    "ObstoreMap": "obstore_map",
    "SourceStore": "zarr_store",
    "ZarrStoreSource": "zarr_store",
}


def __getattr__(name: str) -> object:
    """The public class `name`, from the module that holds it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    public: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return public
