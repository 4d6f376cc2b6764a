"""The sink that writes of stores: one line when a circuit opens, is tried, and closes."""

from __future__ import annotations

import logging

from sluice.events import CircuitChanged

from .events import Event

log = logging.getLogger(__name__)


def write_circuit(event: Event) -> None:
    """Log that a store's circuit changed, with the datasets behind it."""
    if isinstance(event, CircuitChanged):
        severity = logging.WARNING if event.state == "open" else logging.INFO
        log.log(severity, "store of %s: circuit %s", ", ".join(event.datasets), event.state)
