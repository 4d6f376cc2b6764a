"""The log: its lines as text and as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import Any

import pytest

from app.telemetry.events import LoopLag, RequestServed
from app.telemetry.logs import (
    GATHER_SECONDS,
    Action,
    AnswerLines,
    JsonLines,
    RequestLog,
    line_of,
    log_what_nobody_caught,
    say,
    write_circuit,
)
from sluice.instrumentation import CircuitChanged, Phases

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


def test_a_client_cannot_forge_a_field_of_an_admins_line() -> None:
    """Which client it is may be what a proxy was told."""
    line = str(Action(0.0, "refresh", client='x status=200 "y"', status=401, id="a"))
    assert line.endswith(' action=refresh client="x status=200 \\"y\\"" status=401 id=a')


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


def written(message: object, *args: object, **options: Any) -> list[dict[str, Any]]:
    record = logging.LogRecord(
        "a.logger", logging.WARNING, "file.py", 1, message, args, options.get("exc_info")
    )
    return [json.loads(line) for line in JsonLines().format(record).split("\n")]


def test_a_sentence_is_one_object() -> None:
    """Line breaks and whatever else stands in it make no other line."""
    (line,) = written("a %s\nb", '"x"\u2028\x1b')
    assert line["message"] == 'a "x"\u2028\x1b\nb'
    assert (line["level"], line["logger"]) == ("warning", "a.logger")


def test_a_traceback_is_a_field() -> None:
    """In the same line as its message."""
    try:
        raise ValueError("the\nreason")
    except ValueError:
        (line,) = written("it failed", exc_info=sys.exc_info())
    assert line["message"] == "it failed"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: the\nreason")


def test_answers_are_a_line_each() -> None:
    """Numbers are numbers; what a client sent cannot forge a line, and is cut."""
    done = Phases()
    done.cells, done.hits, done.seconds = 24, 2, {"fetch": 0.03}
    path = '/x\n{"level": "error"}' + "y" * 5000
    who = (1764082213.9741, "abc", "192.0.2.1", "GET")
    served = [
        RequestServed(*who, asked, "", "a", 200, 0.0042, 7, phases, key)
        for asked, phases, key in ((path, None, ""), ("/b", done, "team"))
    ]
    first, second = written(AnswerLines(served))
    assert first["time"] == "2025-11-25T14:50:13.974Z"
    assert first["path"] == path[:200]
    assert "key" not in first
    assert (second["key"], second["status"], second["ms"], second["bytes"]) == ("team", 200, 4.2, 7)
    assert (second["cells"], second["hits"], second["store_ms"]) == (24, 2, 30.0)
    assert second["message"] == "GET /b 200"


def test_what_nobody_caught_goes_through_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors of the main thread, of others, and those that Python cannot raise."""
    for module, name in ((sys, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.setattr("threading.excepthook", __import__("threading").excepthook)
    log_what_nobody_caught()
    logging.captureWarnings(False)
    error = ValueError("lost")
    sys.excepthook(ValueError, error, None)
    assert caplog.records[-1].exc_info == (ValueError, error, None)


def test_before_there_is_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence for people, or an object for programs."""
    say("it does not start")
    say("it does not start", as_json=True)
    plain, line = capsys.readouterr().err.splitlines()
    assert plain == "sluice: it does not start"
    assert json.loads(line)["message"] == "it does not start"


def test_a_change_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """It names the datasets; that a store is left alone is a warning."""
    with caplog.at_level(logging.INFO, "app.telemetry.store_log"):
        write_circuit(CircuitChanged("s3://a", ("a", "b"), "open"))
        write_circuit(CircuitChanged("s3://a", ("a", "b"), "closed"))
        write_circuit(LoopLag(1.0))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "store of a, b: circuit open"),
        ("INFO", "store of a, b: circuit closed"),
    ]
