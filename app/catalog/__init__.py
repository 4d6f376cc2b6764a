"""Which datasets there are, and which of them are open."""

from app.catalog.catalog import Catalog, DatasetEntry, load_catalog
from app.catalog.opened import Opened, OpenedDatasets
from app.catalog.opening import open_entry

__all__ = ["Catalog", "DatasetEntry", "Opened", "OpenedDatasets", "load_catalog", "open_entry"]
