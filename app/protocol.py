"""HTTP/1.1 on a connection: uvicorn's own protocol, but with our refusals and a softer end."""

from __future__ import annotations

import asyncio
import uuid
from http import HTTPStatus
from typing import Any, ClassVar, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from app.api.problems import plain_problem
from app.transport import JoinedWrites

# What is read of a request's line and headers; longer URLs than the setting allows fit in.
HEAD_BYTES: Final = 64 * 2**10

# How long a connection without a request stays open when the server stops.
LINGER_SECONDS: Final = 1


class _Drain:
    """Stands among a server's connections, and so learns that the server begins to stop.

    Connections that are made after that are told nothing by uvicorn: they ask here.
    """

    def __init__(self, connections: set[Any]) -> None:
        self.began = False
        self._connections = connections
        connections.add(self)

    def shutdown(self) -> None:
        self.began = True
        self._connections.discard(self)


class HttpProtocol(HttpToolsProtocol):
    """Refuses what is not HTTP, or has no end, as a problem document, and hangs up.

    The application never sees such a request. The parser itself bounds neither a header nor their
    number. It hangs up too on clients that stop taking their answer, which would keep its memory.

    When the server stops, a connection is not closed under a client that believes in it: its next
    answer says that it is the last one (RFC 9112, section 9.6), and only where no request comes
    within `LINGER_SECONDS` it ends without a word, as it would have for being idle.
    """

    # How long a client may take for what the connection's buffer holds.
    STALLED_SECONDS: ClassVar[float] = 60.0

    _in_head = False
    _head_bytes = 0
    _stalled: asyncio.TimerHandle | None = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if "drain" not in app_state:
            app_state["drain"] = _Drain(server_state.connections)
        self._drain: _Drain = app_state["drain"]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoinedWrites(transport, self.loop))
        if self._drain.began:
            self._linger()

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        if self._drain.began:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            long_url = len(self.url) > HEAD_BYTES // 2
            what = "URL is" if long_url else "headers are"
            self._refuse(414 if long_url else 431, f"The {what} longer than {HEAD_BYTES} bytes.")

    def shutdown(self) -> None:
        """The server stops: the answer that has not begun is the last one."""
        self._linger()
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def _linger(self) -> None:
        """Wait for a request, or for the one after the answer that has begun, but not for long."""
        self.timeout_keep_alive = LINGER_SECONDS
        if self.cycle is None or self.cycle.response_complete:
            self._unset_keepalive_if_required()
            # Loops read what has arrived before they look at the clock: no request is overlooked.
            self.timeout_keep_alive_task = self.loop.call_later(
                LINGER_SECONDS, self.timeout_keep_alive_handler
            )

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
