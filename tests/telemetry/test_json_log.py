"""Lines of JSON: what each kind of record becomes."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from app.telemetry.events import RequestServed
from app.telemetry.json_log import JsonLines, log_what_nobody_caught, say
from app.telemetry.request_log import Answers
from sluice.phases import Phases


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
    first, second = written(Answers(served))
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
