"""Stores that are served by their addresses alone, without a catalog's file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from sluice.errors import CatalogError
from sluice.store.addresses import split_url
from sluice.store.protocols import LOCAL, WEB
from sluice.wording import redacted

from .catalog import Catalog, parse_catalog
from .entry import DATASET_ID, stem_of
from .globs import has_wildcards

# Where errors say that such an address was found; local paths start in the working directory.
PLACE: Final = Path("the command line")
_STEM: Final = "{stem}"
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_SIGNS: Final = "._-"


def catalog_of_addresses(urls: Sequence[str]) -> Catalog:
    """The catalog of these stores, each by the id that `ids_of` gives it.

    An address with a ``*`` is a glob. Storage options are those that the libraries find in the
    environment. Raises CatalogError for an address that is wrong.
    """
    single = [url for url in dict.fromkeys(urls) if not has_wildcards(url)]
    globs = [url for url in dict.fromkeys(urls) if has_wildcards(url)]
    found = _catalog(ids_of(single)) if single else Catalog({})
    catalogs = [_catalog({_STEM: url}) for url in globs]
    return Catalog(found.entries, tuple(glob for one in catalogs for glob in one.globs))


def ids_of(urls: Iterable[str]) -> dict[str, str]:
    """The addresses by the ids that they get: the stem of the store's name.

    What no id has in it becomes a hyphen; of several stores of one stem the second is ``STEM-2``.
    Raises CatalogError for a store without a name.
    """
    found: dict[str, str] = {}
    for url in urls:
        stem = _id_of(url)
        number, name = 1, stem
        while name in found:
            number += 1
            name = f"{stem}-{number}"
        found[name] = url
    return found


def _id_of(url: str) -> str:
    protocol, path = split_url(url)
    path = path.partition("?")[0] if protocol in WEB else path
    if protocol in LOCAL:
        # `.` is called as the folder is.
        path = str(Path(path).expanduser().absolute().resolve())
    stem = stem_of(path.rstrip("/").rpartition("/")[2])
    name = _STRANGE.sub("-", stem).strip(_SIGNS)[:100]
    if not DATASET_ID.fullmatch(name):
        words = f"no id can be made of {redacted(url)}: name the store in a catalog's file"
        raise CatalogError(f"{PLACE}: {words}", field="url")
    return name


def _catalog(urls: Mapping[str, str]) -> Catalog:
    """Through the text of a catalog, so that what is wrong is found and said as there.

    It is no place for variables of the environment: whoever wrote an address had a shell.
    """
    entries = {name: {"url": url.replace("${", "$${")} for name, url in urls.items()}
    return parse_catalog(PLACE, json.dumps({"datasets": entries}))
