"""A whole HTTP answer to a request that no application sees."""

from __future__ import annotations

import uuid
from http import HTTPStatus

from .problems import plain_problem


def refusal(status: int, detail: str) -> bytes:
    """A problem document of this status as HTTP/1.1 sends it, after which the connection ends."""
    headers = {"X-Request-ID": uuid.uuid4().hex, "Connection": "close"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "1"
    answer = plain_problem(status, detail, {}, headers)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
