"""The sink that writes: one line per answer."""

from __future__ import annotations

import logging

from app.telemetry.events import Event, RequestServed

log = logging.getLogger(__name__)


def write_request(event: Event) -> None:
    """Log an answer: client, method, path, status, time, size and id.

    The query is left out, which can be long. Other events are counted and not written.
    """
    if isinstance(event, RequestServed) and log.isEnabledFor(logging.INFO):
        log.info(
            "%s %s %s %d %.1f ms %d bytes id=%s",
            _quoted(event.client),
            event.method,
            _quoted(event.path),
            event.status,
            1000 * event.seconds,
            event.sent_bytes,
            event.id,
        )


def _quoted(text: str) -> str:
    """A client's text without line breaks and other characters that could forge a line."""
    return text if text.isprintable() and len(text) <= 200 else ascii(text[:200])
