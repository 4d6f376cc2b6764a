"""Headers as they come and go: Starlette's object around them costs more than a look."""

from __future__ import annotations

from typing import TypeAlias

from fastapi import Request

# Names in small letters, as ASGI has them (specification, "HTTP Connection Scope").
RawHeader: TypeAlias = tuple[bytes, bytes]
RawHeaders: TypeAlias = list[RawHeader]


def lines_of(request: Request, name: bytes) -> list[str]:
    """All lines of the header of this `name`, which is in small letters."""
    return [str(value, "latin-1") for key, value in request.scope["headers"] if key == name]


def header_of(request: Request, name: bytes) -> str | None:
    """The header of this `name` as if it were one line (RFC 9110, section 5.3); None without."""
    lines = lines_of(request, name)
    return ", ".join(lines) if lines else None
