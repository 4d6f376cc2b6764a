"""Where a person finds the pages of the server that starts: said in the log, opened on request.

`sluice serve URL` is the whole way from an installation to a map of one's own store.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ..settings import Settings

# Addresses that stand for every interface, and where such a server is met from its own machine.
LOOPBACK: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}

# What engines leave in the containers that they run.
_CONTAINER_SIGNS: Final = ("/.dockerenv", "/run/.containerenv")
_DISPLAYS: Final = ("DISPLAY", "WAYLAND_DISPLAY")
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1

log = logging.getLogger(__name__)


def page_address(settings: Settings, host: str, port: int, ids: Sequence[str]) -> str:
    """The address of the page of the one dataset, or else of the list of them.

    Without pages it is that of the API's.
    """
    name = LOOPBACK.get(host, host)
    base = f"http://{f'[{name}]' if ':' in name else name}:{port}{settings.root_path}"
    if not settings.explorer:
        return f"{base}/docs"
    return f"{base}/explore/{quote(ids[0])}" if len(ids) == 1 else f"{base}/"


def announce(
    settings: Settings, listener: socket.socket, ids: Sequence[str], *, opening: bool
) -> None:
    """Tell where the pages are; where `opening` is wanted, a browser shows them once they answer.

    A server on a socket without a port is somebody else's to find.
    """
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host, port = listener.getsockname()[:2]
    address = page_address(settings, host, port, ids)
    log.info("the page: %s", address)
    if not opening:
        return
    if (reason := why_no_browser()) is not None:
        log.warning("no browser is opened %s; open %s", reason, address)
        return
    health = page_address(settings, host, port, ()).rpartition("/")[0] + "/healthz"
    threading.Thread(target=_show, args=(address, health), daemon=True).start()


def why_no_browser() -> str | None:
    """Why no browser of a person can be opened from here; None where one can, or is named."""
    if os.environ.get("BROWSER"):
        return None
    if any(Path(sign).exists() for sign in _CONTAINER_SIGNS):
        return "in a container"
    # Text browsers would take the terminal that the log is written to.
    if sys.platform.startswith("linux") and not any(map(os.environ.get, _DISPLAYS)):
        return "without a display"
    return None


def _show(address: str, health: str) -> None:
    """Open the address in a browser, once the server answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    give_up = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < give_up:
        try:
            opener.open(health, timeout=_PATIENCE_SECONDS).close()
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(_PAUSE_SECONDS)
        else:
            break
    if not webbrowser.open(address):
        log.warning("no browser could be opened; open %s", address)
