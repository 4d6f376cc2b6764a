"""Sluice: slices of Zarr stores over HTTP, read on one event loop from the socket to the chunk."""

__version__ = "0.1.0"
