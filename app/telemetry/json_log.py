"""The log as programs read it: one JSON object a line, whoever wrote it, tracebacks inside."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple

log = logging.getLogger(__name__)


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
