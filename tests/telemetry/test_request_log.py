"""One line per answer, which no client can forge."""

from __future__ import annotations

import logging

from app.telemetry.events import LoopLag, RequestServed
from app.telemetry.request_log import write_request


def served(path: str) -> RequestServed:
    return RequestServed(
        "abc", "192.0.2.1", "GET", path, "/datasets/{dataset_id}/sel", "a", 200, 0.0042, 737
    )


def test_an_answer_is_one_line(caplog):
    """Client, method, path, status, time, size and id stand in it; the query does not."""
    with caplog.at_level(logging.INFO, "app.telemetry.request_log"):
        write_request(served("/datasets/a/sel"))
        write_request(LoopLag(1.0))
    assert caplog.messages == ["192.0.2.1 GET /datasets/a/sel 200 4.2 ms 737 bytes id=abc"]


def test_a_path_cannot_forge_a_line(caplog):
    """Line breaks and escapes in a path are written as such, and a long one is cut."""
    with caplog.at_level(logging.INFO, "app.telemetry.request_log"):
        write_request(served("/x\nGET /admin 200\x1b[2J" + "y" * 5000))
    (message,) = caplog.messages
    assert message.isprintable()
    assert len(message) < 400
