"""Datasets as Zarr stores, of format 2 and 3."""
