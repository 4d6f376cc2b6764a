"""TiTiler's application for multidimensional data, as it is installed."""

from __future__ import annotations

from fastapi import FastAPI


def create_app() -> FastAPI:
    """``/point/{lon},{lat}`` over any store that the request names."""
    from titiler.xarray.main import app

    found: FastAPI = app
    return found
