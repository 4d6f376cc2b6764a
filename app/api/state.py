"""What lives as long as the server does, and how a route gets at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, cast

from fastapi import Request

from app.api.limits import RequestLimits
from app.catalog.catalog import Catalog
from app.catalog.opened import OpenedDatasets


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that routes work with; made by the lifespan, which also closes what they hold."""

    catalog: Catalog
    opened: OpenedDatasets
    limits: RequestLimits
    inline_encode_bytes: int


class State(TypedDict):
    """What the lifespan yields: Starlette copies it to every request's state."""

    service: Service


def service(request: Request) -> Service:
    """The service that this request came to."""
    return cast(Service, request.state.service)
