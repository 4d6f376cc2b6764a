"""Headers as they come and go: Starlette's object around them costs more than a look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from fastapi import Request

# Names in small letters, as ASGI has them (specification, "HTTP Connection Scope").
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]


def lines_of(request: Request, name: bytes) -> list[str]:
    """All lines of the header of this `name`, which is in small letters."""
    return [str(value, "latin-1") for key, value in request.scope["headers"] if key == name]


def header_of(request: Request, name: bytes) -> str | None:
    """The header of this `name` as if it were one line (RFC 9110, section 5.3); None without."""
    lines = lines_of(request, name)
    return ", ".join(lines) if lines else None


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """The headers as they are sent."""
    return [(name.lower().encode("latin-1"), v.encode("latin-1")) for name, v in headers.items()]
