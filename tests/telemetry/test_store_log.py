"""One line when a store is left alone, and when it is well."""

from __future__ import annotations

import logging

import pytest

from app.telemetry.events import LoopLag
from app.telemetry.store_log import write_circuit
from sluice.events import CircuitChanged


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
