"""Who is asking."""

from __future__ import annotations

from fastapi import Request


def caller(request: Request) -> str:
    """The client's address, which the server has taken from proxies that it trusts."""
    return request.client.host if request.client else ""
