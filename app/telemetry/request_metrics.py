"""What is counted of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.telemetry.events import RequestServed

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram


class RequestMetrics:
    """Times and sizes of answers, counted in `registry`; times fall into `buckets` of seconds."""

    def __init__(self, registry: CollectorRegistry, buckets: Sequence[float]) -> None:
        from prometheus_client import Counter, Histogram

        self._requests = Histogram(
            "sluice_request_seconds",
            "Time from a request to the last byte of its answer",
            ("route", "dataset", "status"),
            buckets=buckets,
            registry=registry,
        )
        self._sent = Counter(
            "sluice_sent_bytes_total",
            "Bytes of answers' bodies",
            ("route", "dataset"),
            registry=registry,
        )
        self._alike: dict[tuple[str, str, int], tuple[Histogram, Counter]] = {}

    def record(self, event: RequestServed) -> None:
        """Count one answer."""
        seconds, sent = self._like(event)
        seconds.observe(event.seconds)
        sent.inc(event.sent_bytes)

    def _like(self, event: RequestServed) -> tuple[Histogram, Counter]:
        """Where answers like this one are counted; finding it by labels takes longer than that."""
        kind = (event.route, event.dataset, event.status)
        found = self._alike.get(kind)
        if found is None:
            seconds = self._requests.labels(event.route, event.dataset, str(event.status))
            found = seconds, self._sent.labels(event.route, event.dataset)
            self._alike[kind] = found
        return found
