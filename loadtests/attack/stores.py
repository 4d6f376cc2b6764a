"""Small stores for attacks that are not about stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr


def line_store(path: Path, values: int = 4) -> Path:
    """A variable ``t`` of so many float64 `values` along ``x``, in chunks of at most 1 MiB."""
    if not path.exists():
        chunk = min(values, 2**17)
        # Noise does not shrink: what is sent has the size that it seems to have.
        noise = np.random.default_rng(0).random(values)
        dataset = xr.Dataset({"t": ("x", noise)})
        dataset.to_zarr(path, consolidated=False, encoding={"t": {"chunks": (chunk,)}})
    return path
