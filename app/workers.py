"""Several worker processes that one parent keeps alive: uvicorn's own, but for SIGHUP."""

from __future__ import annotations

import logging
from collections.abc import Callable
from socket import socket
from typing import Any

from uvicorn import Config
from uvicorn.supervisors import Multiprocess

from app.errors import CatalogError

log = logging.getLogger(__name__)


class Workers(Multiprocess):
    """Calls `reload` on SIGHUP, where uvicorn would start all workers anew.

    Workers follow the news without that, all or none of them, and keep what they have in memory.
    """

    def __init__(self, config: Config, sockets: list[socket], reload: Callable[[], Any]) -> None:
        super().__init__(config, sockets)
        self._reload = reload

    def handle_hup(self) -> None:
        """Reload; what is wrong with the operator's files goes to the log."""
        try:
            self._reload()
        except CatalogError as error:
            log.error("the catalog stays as it was: %s", error)
        else:
            log.info("the catalog was reloaded")
