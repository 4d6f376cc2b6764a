"""A box of a dataset that is opened as a Zarr store: examples/box_xarray.py [ADDRESS].

Nothing but metadata and coordinates is read before it is needed; then the chunks of the box are.
"""

import sys

import numpy as np
import xarray as xr

address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"

with xr.open_zarr(f"{address}/zarr/v3/sample", chunks=None) as ds:
    box = ds.t.sel(level=850, latitude=slice(60, 40), longitude=slice(0, 20), time="2024-01-02")
    weights = np.cos(np.deg2rad(box.latitude))
    mean = box.weighted(weights).mean(["latitude", "longitude"])
    print(dict(box.sizes))
    print(mean.round(3).values[::6])
