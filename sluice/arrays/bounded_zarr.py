"""zarr-python's own reading, which takes what comes, within the bounds of an array's metadata."""

from __future__ import annotations

from typing import Any

from sluice.store.zarr_store import SourceStore


def bounded_array(array: Any, most_bytes: int) -> Any:
    """The zarr-python array over a store of which no object has more than `most_bytes`."""
    from zarr.core.array import AsyncArray
    from zarr.storage import StorePath

    store = array.store_path.store
    if not isinstance(store, SourceStore):
        return array
    return AsyncArray(array.metadata, StorePath(store.bounded(most_bytes), array.store_path.path))
