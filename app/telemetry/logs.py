"""The log: a line per answer, per action of an admin, per change of a store, as text or JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Final, NamedTuple

from sluice.instrumentation import CircuitChanged

from .events import Event, RequestServed

# Each kind of line has a logger of its own, by which an operator turns it on and off.
log = logging.getLogger(__name__)
request_log = logging.getLogger(f"{__package__}.request_log")
admin_log = logging.getLogger(f"{__package__}.admin_log")
store_log = logging.getLogger(f"{__package__}.store_log")


class Entry(NamedTuple):
    """One line of the log: when (seconds since 1970), what, and its fields."""

    created: float
    message: str
    fields: Mapping[str, object]


class Structured:
    """What a logger is given in place of a text, where a line has fields; its text is ``str``."""

    def entries(self) -> Iterable[Entry]:
        """The lines that it makes."""
        raise NotImplementedError


class JsonLines(logging.Formatter):
    """Each record as JSON objects with `time`, `level`, `logger`, `message` and its fields.

    A traceback is the field `exception`. Times are UTC (RFC 3339).
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, or its lines."""
        if isinstance(record.msg, Structured):
            return "\n".join([_line(record, entry) for entry in record.msg.entries()])
        fields = {}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        return _line(record, Entry(record.created, record.getMessage(), fields))


def _line(record: logging.LogRecord, entry: Entry) -> str:
    level = record.levelname.lower()
    return json_line(entry.created, level, record.name, entry.message, entry.fields)


def json_line(
    created: float, level: str, logger: str, message: str, fields: Mapping[str, object]
) -> str:
    """One line of the log."""
    head = {"time": moment(created), "level": level, "logger": logger, "message": message}
    return json.dumps({**head, **fields}, default=str)


def moment(since_1970: float) -> str:
    """The time in UTC, to the millisecond."""
    return f"{_second(int(since_1970))}.{int(since_1970 % 1 * 1000):03}Z"


@lru_cache(maxsize=2)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


def say(line: str, *, as_json: bool = False, level: str = "error") -> None:
    """Tell the operator something before there is a log: why the service does not start."""
    told = json_line(time.time(), level, "sluice", line, {}) if as_json else f"sluice: {line}"
    sys.stderr.write(f"{told}\n")


def log_what_nobody_caught() -> None:
    """Have Python's own words (uncaught errors, warnings) go through the log of this process."""
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_ended_thread
    sys.unraisablehook = _log_unraisable


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    log.critical("an error that nobody caught", exc_info=(kind, error, traceback))


def _log_ended_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        told = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        log.error("a thread ended by an error", exc_info=told)


def _log_unraisable(raised: sys.UnraisableHookArgs) -> None:
    message = raised.err_msg or "an error that could not be raised"
    if raised.exc_value is not None:
        log.error(message, exc_info=(raised.exc_type, raised.exc_value, raised.exc_traceback))


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
        """Keep the line of an answer, and write of circuits; other events are counted elsewhere."""
        if type(event) is not RequestServed:
            write_circuit(event)
            return
        if event.method == "POST":
            write_action(event)
        if not request_log.isEnabledFor(logging.INFO):
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)
        self._waiting.append(event)

    def flush(self) -> None:
        """Write the lines that are waiting."""
        if self._waiting:
            served, self._waiting = self._waiting, []
            request_log.info(AnswerLines(served))


class AnswerLines(Structured):
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


# By the routes of those who may change the service.
ACTIONS: Final = {
    "/catalog/reload": "reload",
    "/datasets/{dataset_id}/refresh": "refresh",
}


class Action(Structured):
    """One thing that somebody did or tried: the status says whether it was done."""

    def __init__(self, created: float, action: str, **fields: object) -> None:
        self._created = created
        self._fields = {"action": action, **{name: v for name, v in fields.items() if v}}

    def entries(self) -> Iterable[Entry]:
        """The one line."""
        yield Entry(self._created, f"admin: {self._fields['action']}", self._fields)

    def __str__(self) -> str:
        words = [f"{name}={_field(str(value))}" for name, value in self._fields.items()]
        return " ".join([f"time={moment(self._created)}", "level=info", *words])


def write_action(event: RequestServed) -> None:
    """Log the request, if it came by a route of admins; the id finds its line among the others."""
    action = ACTIONS.get(event.route)
    if action is not None:
        admin_log.info(
            Action(
                event.ended,
                action,
                dataset=event.dataset,
                key=event.key,
                client=event.client,
                status=event.status,
                id=event.id,
            )
        )


def write_signalled(action: str) -> None:
    """Log what whoever may signal the process asked for."""
    admin_log.info(Action(time.time(), action, by="SIGHUP"))


def write_circuit(event: Event) -> None:
    """Log that a store's circuit changed, with the datasets behind it."""
    if isinstance(event, CircuitChanged):
        severity = logging.WARNING if event.state == "open" else logging.INFO
        store_log.log(severity, "store of %s: circuit %s", ", ".join(event.datasets), event.state)
