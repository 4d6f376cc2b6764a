"""What an operator's files say: which datasets there are, and who may read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .addresses import PLACE, catalog_of_addresses
from .catalog import Catalog, parse_catalog
from .document import read_text
from .keys import Key, check_holders, parse_keys, read_keys


@dataclass(frozen=True, slots=True)
class Texts:
    """What the files said when they were read."""

    catalog: str
    keys: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The catalog and the keys, which fit each other."""

    catalog: Catalog
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """The catalog's file, that of the keys if there is one, and the keys of the environment.

    Where there are `urls`, the stores there are served, and the catalog's file is not read.
    """

    catalog: Path
    keys: Path | None = None
    more_keys: str = field(default="", repr=False)
    urls: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """What tells which datasets there are."""
        return str(PLACE if self.urls else self.catalog)

    def read(self) -> Texts:
        """What they say now; raises CatalogError where one cannot be read."""
        return Texts(self._text(), read_keys(self.keys) if self.keys else "")

    def read_catalog(self) -> Catalog:
        """The catalog as it is now, whatever the keys are; raises as `parse`."""
        return self._catalog(self._text())

    def parse(self, texts: Texts) -> Configuration:
        """What these `texts` mean; raises CatalogError where they are wrong, or do not fit."""
        catalog = self._catalog(texts.catalog)
        keys = parse_keys(texts.keys, str(self.keys)) + parse_keys(self.more_keys, "SLUICE_KEYS")
        check_holders(catalog, keys)
        return Configuration(catalog, keys)

    def _text(self) -> str:
        return "" if self.urls else read_text(self.catalog)

    def _catalog(self, text: str) -> Catalog:
        if self.urls:
            return catalog_of_addresses(self.urls)
        return parse_catalog(self.catalog, text)
