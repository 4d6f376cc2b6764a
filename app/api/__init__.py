"""HTTP: the application, its routes and the table from errors to statuses."""

from .app import create_app

__all__ = ["create_app"]
