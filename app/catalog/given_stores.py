"""What is said at once of stores that a command line names and that are not on the disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from sluice.errors import shown
from sluice.store.addresses import split_url
from sluice.store.protocols import LOCAL

from .checking.stores import HEAD_BYTES, kind_of_file
from .globs import has_wildcards

# Where a Zarr store of version 3 or 2 says that it is one; a lone array is served as well.
_DOCUMENTS: Final = ("zarr.json", ".zmetadata", ".zgroup", ".zarray")
_LOOKED_AT: Final = 1000
_NAMED: Final = 3


def doubts(urls: Iterable[str]) -> Iterator[str]:
    """A sentence for each local path at which there is no store now.

    It may be written later, so that it is served all the same. A file is none: references have
    addresses of their own. Patterns, and addresses of the network, are not looked at.
    """
    for url in urls:
        protocol, path = split_url(url)
        if protocol in LOCAL and not has_wildcards(url):
            yield from _doubt(Path(path).expanduser())


def _doubt(place: Path) -> Iterator[str]:
    name = shown(str(place))
    try:
        if not place.exists():
            yield f"{name}: there is nothing there now; it is served once it is written"
        elif place.is_dir() and not _is_store(place):
            yield f"{name}: this folder has no Zarr metadata{_stores_in(place)}"
        elif place.is_file():
            yield f"{name}: {_said_of_file(place)}"
    except OSError as error:
        yield f"{name} cannot be looked at: {error.strerror}"


def _said_of_file(place: Path) -> str:
    with place.open("rb") as file:
        what, way = kind_of_file(file.read(HEAD_BYTES), str(place))
    said = f"this is {what} and no Zarr store, which is a folder: {way}"
    in_catalog = "storage_options" in way
    return f"{said}; these are fields of an entry in a catalog" if in_catalog else said


def _is_store(place: Path) -> bool:
    return any((place / name).exists() for name in _DOCUMENTS)


def _stores_in(place: Path) -> str:
    """The first stores one level below, as what to write instead."""
    inside = (path for path in islice(place.iterdir(), _LOOKED_AT) if path.is_dir())
    names = sorted(path.name for path in islice(filter(_is_store, inside), _NAMED))
    if not names:
        return ""
    each = ", ".join(shown(str(place / name)) for name in names)
    return f"; stores in it: {each}"
