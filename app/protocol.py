"""HTTP/1.1 on a connection: uvicorn's own protocol, but nothing is answered outside our forms."""

from __future__ import annotations

import asyncio
import uuid
from http import HTTPStatus
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.problems import plain_problem

# What is read of a request's line and headers; longer URLs than the setting allows fit in.
HEAD_BYTES: Final = 64 * 2**10


class HttpProtocol(HttpToolsProtocol):
    """Refuses what is not HTTP, or has no end, as a problem document, and hangs up.

    The application never sees such a request. The parser itself bounds neither a header nor their
    number. It hangs up too on clients that stop taking their answer, which would keep its memory.
    """

    # How long a client may take for what the connection's buffer holds.
    STALLED_SECONDS: ClassVar[float] = 60.0

    _in_head = False
    _head_bytes = 0
    _stalled: asyncio.TimerHandle | None = None

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            long_url = len(self.url) > HEAD_BYTES // 2
            what = "URL is" if long_url else "headers are"
            self._refuse(414 if long_url else 431, f"The {what} longer than {HEAD_BYTES} bytes.")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_stall()

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "This is not an HTTP request, or a part of it is malformed.")

    def _refuse(self, status: int, detail: str) -> None:
        headers = {"X-Request-ID": uuid.uuid4().hex, "Connection": "close"}
        answer = plain_problem(status, detail, {}, headers)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()
