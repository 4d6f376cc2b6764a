"""The sink that writes: one line per answer, in fields that programs read (logfmt)."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from functools import lru_cache
from typing import Final

from .events import Event, RequestServed

log = logging.getLogger(__name__)

# Lines wait so long to be written together: one by one, they cost as much as a warm point.
GATHER_SECONDS: Final = 0.1
_LONGEST = 200
_BARE = re.compile(r"[!#-<>-~]+")


class RequestLog:
    """Keeps a line for each answer and writes those of a tenth of a second as one log record.

    `flush` writes what is waiting: call it before the process ends. It belongs to one event loop.
    """

    def __init__(self) -> None:
        self._waiting: list[RequestServed] = []

    def record(self, event: Event) -> None:
        """Keep the line of an answer; other events are counted elsewhere and not written."""
        if type(event) is not RequestServed or not log.isEnabledFor(logging.INFO):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        self._waiting.append(event)

    def flush(self) -> None:
        """Write the lines that are waiting."""
        if self._waiting:
            served, self._waiting = self._waiting, []
            log.info("\n".join(map(line_of, served)))


def line_of(event: RequestServed) -> str:
    """An answer as one line of ``name=value`` fields, which no client's text can break or forge.

    Times are in milliseconds; ``cpu_ms`` is the time in which the request did not wait. The query
    is left out, which can be long.
    """
    line = (
        f"time={_second(int(event.ended))}.{int(event.ended % 1 * 1000):03}Z level=info"
        f" id={event.id} client={_field(event.client)} method={_field(event.method)}"
        f" path={_field(event.path)} status={event.status} ms={1000 * event.seconds:.1f}"
        f" bytes={event.sent_bytes}"
    )
    done = event.phases
    if done is None:
        return line
    return (
        f"{line} dataset={event.dataset} cells={done.cells} hits={done.hits} misses={done.misses}"
        f" store_ms={1000 * done.seconds.get('fetch', 0.0):.1f} cpu_ms={1000 * done.working:.1f}"
    )


@lru_cache(maxsize=2)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


def _field(text: str) -> str:
    """A client's text as one field: quoted where it has blanks or signs of its own, and cut."""
    return _short_field(text[: _LONGEST + 1])


# Most lines say again what others said; finding that out takes longer than remembering it.
@lru_cache(maxsize=1024)
def _short_field(text: str) -> str:
    if len(text) <= _LONGEST and _BARE.fullmatch(text):
        return text
    return '"' + ascii(text[:_LONGEST])[1:-1].replace('"', '\\"') + '"'
