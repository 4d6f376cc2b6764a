"""One line per answer, which no client can forge."""

from __future__ import annotations

import asyncio
import logging

import pytest

from app.telemetry.events import LoopLag, RequestServed
from app.telemetry.request_log import GATHER_SECONDS, RequestLog, line_of
from sluice.phases import Phases

LOGGER = "app.telemetry.request_log"


def served(path: str, phases: Phases | None = None) -> RequestServed:
    return RequestServed(
        1764082213.9741,
        "abc",
        "192.0.2.1",
        "GET",
        path,
        "/datasets/{dataset_id}/sel",
        "a",
        200,
        0.0042,
        737,
        phases,
    )


def test_an_answer_is_one_line_of_fields() -> None:
    """When, who, what, how it went, its time and its size; the query is not there."""
    assert line_of(served("/datasets/a/sel")) == (
        "time=2025-11-25T14:50:13.974Z level=info id=abc client=192.0.2.1 method=GET"
        " path=/datasets/a/sel status=200 ms=4.2 bytes=737"
    )


def test_a_selection_says_what_it_cost() -> None:
    """The dataset, the values, the chunks in memory and others, and the time in store and CPU."""
    phases = Phases()
    phases.cells, phases.hits, phases.misses = 24, 2, 1
    phases.seconds = {"open": 0.5, "plan": 0.001, "fetch": 0.03, "encode": 0.0025}
    assert line_of(served("/datasets/a/sel", phases)).endswith(
        " dataset=a cells=24 hits=2 misses=1 store_ms=30.0 cpu_ms=3.5"
    )


def test_a_path_cannot_forge_a_line_or_a_field() -> None:
    """Line breaks, blanks, quotes and escapes in a path are written as such; a long one is cut."""
    line = line_of(served('/x\nGET /a" status=500\x1b[2J\u2028' + "y" * 5000))
    assert line.isprintable()
    assert len(line) < 400
    assert ' path="/x\\nGET /a\\" status=500\\x1b[2J\\u2028yyy' in line


async def test_lines_are_written_together(caplog: pytest.LogCaptureFixture) -> None:
    """What is served within a moment is one record; other events have no line."""
    request_log = RequestLog()
    with caplog.at_level(logging.INFO, LOGGER):
        for path in ("/a", "/b"):
            request_log.record(served(path))
        request_log.record(LoopLag(1.0))
        assert caplog.messages == []
        await asyncio.sleep(2 * GATHER_SECONDS)
    assert caplog.messages == [f"{line_of(served('/a'))}\n{line_of(served('/b'))}"]


async def test_nothing_is_lost_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """What is waiting when the process ends is written by a last flush, and only once."""
    request_log = RequestLog()
    with caplog.at_level(logging.INFO, LOGGER):
        request_log.record(served("/a"))
        request_log.flush()
        request_log.flush()
    assert caplog.messages == [line_of(served("/a"))]


async def test_a_quiet_log_keeps_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Where the level leaves the lines out, none is made."""
    request_log = RequestLog()
    with caplog.at_level(logging.WARNING, LOGGER):
        request_log.record(served("/a"))
    with caplog.at_level(logging.INFO, LOGGER):
        request_log.flush()
    assert caplog.messages == []
