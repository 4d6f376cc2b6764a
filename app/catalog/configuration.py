"""What an operator's files say: which datasets there are, and who may read them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

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
    """The catalog's file, that of the keys if there is one, and the keys of the environment."""

    catalog: Path
    keys: Path | None = None
    more_keys: str = field(default="", repr=False)

    def read(self) -> Texts:
        """What they say now; raises CatalogError where one cannot be read."""
        return Texts(read_text(self.catalog), read_keys(self.keys) if self.keys else "")

    def parse(self, texts: Texts) -> Configuration:
        """What these `texts` mean; raises CatalogError where they are wrong, or do not fit."""
        catalog = parse_catalog(self.catalog, texts.catalog)
        keys = parse_keys(texts.keys, str(self.keys)) + parse_keys(self.more_keys, "SLUICE_KEYS")
        check_holders(catalog, keys)
        return Configuration(catalog, keys)
