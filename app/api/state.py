"""What lives as long as the server does, and how a route gets at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, cast

from fastapi import Request
from starlette.types import Scope

from app.admission import Admission
from app.api.limits import RequestLimits
from app.catalog.catalog import Catalog
from app.catalog.opened import OpenedDatasets
from app.catalog.readiness import Readiness
from app.telemetry.metrics import Metrics
from app.telemetry.phases import Phases

# Where a selection leaves, in its request's scope, what it cost.
_PHASES = "sluice.phases"


@dataclass(frozen=True, slots=True)
class Encoding:
    """From which result sizes on, in bytes, an answer leaves the loop, and is compressed."""

    inline_bytes: int
    compress_bytes: int


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that routes work with; made by the lifespan, which also closes what they hold."""

    catalog: Catalog
    opened: OpenedDatasets
    readiness: Readiness
    ready_strictly: bool
    limits: RequestLimits
    encoding: Encoding
    admission: Admission
    metrics: Metrics


class State(TypedDict):
    """What the lifespan yields: Starlette copies it to every request's state."""

    service: Service


def service(request: Request) -> Service:
    """The service that this request came to."""
    return cast(Service, request.state.service)


def knows(scope: Scope, dataset_id: str) -> bool:
    """Whether the catalog of the service behind `scope`, if it has started, has this dataset."""
    serving: Service | None = scope.get("state", {}).get("service")
    return serving is not None and dataset_id in serving.catalog.entries


def begin_phases(scope: Scope) -> Phases:
    """The record of what the request behind `scope` costs, for `phases_of` to find."""
    phases = scope[_PHASES] = Phases()
    return phases


def phases_of(scope: Scope) -> Phases | None:
    """What the request behind `scope` cost, if it was a selection."""
    return scope.get(_PHASES)
