"""The sink that writes: one line per answer, in fields that programs read (logfmt, or JSON)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from .admin_log import write_action
from .events import Event, RequestServed
from .json_log import Entry, Structured, moment

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
        if type(event) is not RequestServed:
            return
        if event.method == "POST":
            write_action(event)
        if not log.isEnabledFor(logging.INFO):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        self._waiting.append(event)

    def flush(self) -> None:
        """Write the lines that are waiting."""
        if self._waiting:
            served, self._waiting = self._waiting, []
            log.info(Answers(served))


class Answers(Structured):
    """Answers of one moment, each a line; written as text or as JSON, whichever the log is."""

    def __init__(self, served: Sequence[RequestServed]) -> None:
        self._served = served

    def __str__(self) -> str:
        return "\n".join(map(line_of, self._served))

    def entries(self) -> Iterable[Entry]:
        """One for each."""
        for event in self._served:
            message = f"{event.method} {event.path[:_LONGEST]} {event.status}"
            yield Entry(event.ended, message, fields_of(event))


def line_of(event: RequestServed) -> str:
    """An answer as one line of ``name=value`` fields, which no client's text can break or forge.

    Times are in milliseconds; ``cpu_ms`` is the time in which the request did not wait. The query
    is left out, which can be long.
    """
    line = (
        f"time={moment(event.ended)} level=info id={event.id} client={_field(event.client)}"
        f"{f' key={event.key}' if event.key else ''} method={_field(event.method)}"
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


def fields_of(event: RequestServed) -> dict[str, object]:
    """The same fields by name, numbers as numbers; what a client sent is cut as in a line."""
    fields: dict[str, object] = {
        "id": event.id,
        "client": event.client[:_LONGEST],
        **({"key": event.key} if event.key else {}),
        "method": event.method[:_LONGEST],
        "path": event.path[:_LONGEST],
        "status": event.status,
        "ms": round(1000 * event.seconds, 1),
        "bytes": event.sent_bytes,
    }
    done = event.phases
    if done is not None:
        fields |= {"dataset": event.dataset, "cells": done.cells}
        fields |= {"hits": done.hits, "misses": done.misses}
        fields["store_ms"] = round(1000 * done.seconds.get("fetch", 0.0), 1)
        fields["cpu_ms"] = round(1000 * done.working, 1)
    return fields


def _field(text: str) -> str:
    """A client's text as one field: quoted where it has blanks or signs of its own, and cut."""
    return _short_field(text[: _LONGEST + 1])


# Most lines say again what others said; finding that out takes longer than remembering it.
@lru_cache(maxsize=1024)
def _short_field(text: str) -> str:
    if len(text) <= _LONGEST and _BARE.fullmatch(text):
        return text
    return '"' + ascii(text[:_LONGEST])[1:-1].replace('"', '\\"') + '"'
