"""What stores are read with, imported and connected before anybody asks for one of them.

The first client of S3 in a process takes 0.3 s of imports and service models, which the first
request would have to wait for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sluice.aliases import Document
from sluice.concurrency import map_concurrently
from sluice.errors import SluiceError
from sluice.store.addresses import Engine, split_document, split_url
from sluice.store.filesystems import Filesystems
from sluice.store.protocols import KIND_OF, OBSTORE_MODULES, REFERENCE, import_modules
from sluice.store.references import is_table

log = logging.getLogger(__name__)

# A client takes memory: of a catalog with more sets of options, the others connect when asked for.
_MOST_CONNECTED: Final = 16


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a store, and how it is read."""

    url: str
    storage_options: Document
    engine: Engine = "s3fs"


def import_engines(addresses: Iterable[Address]) -> None:
    """Import what these stores are read with; an extra that is not installed is passed over.

    It takes up to a second: call it before anybody waits, or in a thread.
    """
    wanted: dict[str, None] = {}
    for address in addresses:
        if address.engine == "obstore":
            wanted |= dict.fromkeys(OBSTORE_MODULES)
            continue
        protocols = [split_url(address.url)[0], *(p for p, _ in _targets(address))]
        for protocol in protocols:
            if protocol in KIND_OF:
                wanted |= dict.fromkeys(KIND_OF[protocol].modules)
    import_modules(wanted)


async def connect_all(
    filesystems: Filesystems, addresses: Iterable[Address], *, seconds: float
) -> None:
    """Connect what these stores are read with, in `seconds` at most; no store is read.

    What cannot be connected is left for whoever opens it, and is told then.
    """

    async def connect(address: tuple[str, Document]) -> None:
        protocol, options = address
        with suppress(SluiceError):
            await filesystems.connect(protocol, options)

    try:
        async with asyncio.timeout(seconds):
            await map_concurrently(list(_different(addresses)), connect, workers=4)
    except TimeoutError:
        log.warning("some stores take longer than %g s to be connected: they go on later", seconds)


def _different(addresses: Iterable[Address]) -> Iterator[tuple[str, Document]]:
    """The different filesystems of these stores, by protocol and options; so many at most."""
    seen: set[str] = set()
    for address in addresses:
        for protocol, options in _filesystems(address):
            name = f"{protocol} {sorted(map(repr, options.items()))}"
            if name in seen:
                continue
            if len(seen) == _MOST_CONNECTED:
                return
            seen.add(name)
            yield protocol, options


def _filesystems(address: Address) -> Iterator[tuple[str, Document]]:
    if address.engine == "obstore":
        return  # its stores connect with their first request, and cost a millisecond
    protocol = split_url(address.url)[0]
    if protocol == REFERENCE:
        yield from _targets(address)
    else:
        yield protocol, address.storage_options


def _targets(address: Address) -> Iterator[tuple[str, Document]]:
    """Where the document of references is, and what it is said to refer to."""
    if split_url(address.url)[0] != REFERENCE:
        return
    options = address.storage_options
    document, remote = options.get("fo"), options.get("remote_protocol")
    if isinstance(document, str) and not is_table(document):
        given = dict(options.get("target_options") or {})
        given.pop("compression", None)
        yield split_url(split_document(document)[0])[0], given
    if isinstance(remote, str) and remote:
        yield remote, options.get("remote_options") or {}
