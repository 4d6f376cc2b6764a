"""HTTP/1.1 on a connection: uvicorn's own protocol, but with our refusals and a softer end."""

from __future__ import annotations

import asyncio
import uuid
from http import HTTPStatus
from typing import Any, ClassVar, Final

from httptools import HttpParserError, HttpParserUpgrade
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
    number, and nobody else how long they may take. It hangs up too on clients that stop taking
    their answer, which would keep its memory.

    Nobody upgrades: what follows a request that asks for it is HTTP/1.1 as before (RFC 9110,
    section 7.8).

    When the server stops, a connection is not closed under a client that believes in it: its next
    answer says that it is the last one (RFC 9112, section 9.6), and only where no request comes
    within `LINGER_SECONDS` it ends without a word, as it would have for being idle.
    """

    # How long a client may take for what the connection's buffer holds.
    STALLED_SECONDS: ClassVar[float] = 60.0
    # How long it may take for a request's line and headers, from the connection or their beginning.
    HEAD_SECONDS: ClassVar[float] = 30.0

    _in_head = False
    _head_bytes = 0
    _chunk_bytes = 0
    _refusal = b""
    _stalled: asyncio.TimerHandle | None = None
    _late: asyncio.TimerHandle | None = None

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
        self._holding: list[JoinedWrites] = app_state.setdefault("holding", [])

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(JoinedWrites(transport, self.loop, self._holding))
        self._expect_head()
        if self._drain.began:
            self._linger()

    def on_message_begin(self) -> None:
        # Where in the chunk it begins is not told: what came with it may be of requests before.
        self._in_head, self._head_bytes = True, -self._chunk_bytes
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget_head()
        flaw = self._flaw()
        if flaw:
            self._refuse(400, flaw)
            raise HttpParserError
        super().on_headers_complete()
        if self._drain.began:
            self.cycle.keep_alive = False

    def _flaw(self) -> str:
        """What is wrong with the head that was read, in words; nothing where it is right."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            return "HTTP/1.1 and HTTP/1.0 are spoken here."
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and version == "1.1"):
            # RFC 9112, section 3.2.
            return "A request names the host that it is for once, in a Host header."
        if self.parser.should_upgrade() and self._has_body():
            # Its body would be parsed as if it were the next request.
            return "A request with a body cannot ask for another protocol."
        return ""

    def _has_body(self) -> bool:
        """Whether the head that is being read announces one (RFC 9112, section 6.3)."""
        headers = dict(self.headers)
        return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

    def data_received(self, data: bytes) -> None:
        if self._refusal:
            return
        self._unset_keepalive_if_required()
        self._chunk_bytes = len(data)
        try:
            self._parse(memoryview(data))
        except HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(400, "This is not an HTTP request, or a part of it is malformed.")
            return
        if self.transport.is_closing():
            return
        if not self._in_head:
            if self.cycle is None or self.cycle.response_complete:
                # Of no request, or the rest of a body that nobody wants: it has ended the wait for
                # the next head that uvicorn bounds.
                self._expect_head()
            return
        self._expect_head()
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_BYTES:
            long_url = len(self.url) > HEAD_BYTES // 2
            what = "URL is" if long_url else "headers are"
            self._refuse(414 if long_url else 431, f"The {what} longer than {HEAD_BYTES} bytes.")

    def _parse(self, data: memoryview) -> None:
        """Feed the parser, which stops after every request that asks for another protocol."""
        while data:
            try:
                self.parser.feed_data(data)
            except HttpParserUpgrade as stop:
                data = data[stop.args[0] :]
            else:
                return

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

    def _expect_head(self) -> None:
        """Wait for the end of a request's head; whoever does so already goes on."""
        if self._late is None:
            self._late = self.loop.call_later(self.HEAD_SECONDS, self._end_wait)

    def _forget_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_wait(self) -> None:
        """Hang up, with a word where a request has begun."""
        self._late = None
        if self._in_head:
            seconds = f"{self.HEAD_SECONDS:g} seconds"
            self._refuse(408, f"The request's headers did not arrive within {seconds}.")
        else:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.STALLED_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_stall()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_stall()
        self._forget_head()

    def _forget_stall(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse(self, status: int, detail: str) -> None:
        """Read no more, say why in the order of requests (RFC 9112, section 9.3.2), and hang up."""
        if self._refusal:
            return
        self._refusal = _refusal(status, detail)
        if self.cycle is None or self.cycle.response_complete:
            self._hang_up(self._refusal)
        elif self.cycle.more_body and self.pipeline:
            # This is the request that goes wrong, the newest: it never begins.
            self.pipeline.popleft()
        elif self.cycle.more_body:
            self._hang_up(b"" if self.cycle.response_started else self._refusal)

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if self._refusal and last and not self.transport.is_closing():
            self._hang_up(self._refusal)

    def _hang_up(self, last_words: bytes) -> None:
        self.transport.write(last_words)
        self.transport.close()


def _refusal(status: int, detail: str) -> bytes:
    headers = {"X-Request-ID": uuid.uuid4().hex, "Connection": "close"}
    answer = plain_problem(status, detail, {}, headers)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])
