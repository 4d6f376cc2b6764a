"""The service: slices of Zarr stores over HTTP. Installed it is `sluice.app`."""
