"""Bytes to arrays: metadata, plan, decode, read. Knows neither xarray nor HTTP."""
