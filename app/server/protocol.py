"""HTTP/1.1 on a connection: uvicorn's own protocol, but with our refusals and a softer end."""

from __future__ import annotations

import asyncio
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from ..api.problems import connection_problem
from ..api.state import ABORT, LOST
from ..errors import MalformedRequest
from .connections import ConnectionLimits, Connections
from .framing import Body, Heads, body_of, names_chunked
from .transport import Outgoing, Presence, SendingPace, TakingPace

# How long a connection without a request stays open when the server stops.
LINGER_SECONDS: Final = 1
# What is read and dropped of a client that was refused, so that it may see why.
_MOST_DROPPED_BYTES: Final = 2 * 2**20
# What operators ask, and programs that watch the service: answered when nothing else is.
_OPERATORS: Final = frozenset(
    (b"/healthz", b"/readyz", b"/metrics", b"/catalog/reload", b"/catalog/status")
)
_OPERATORS_END: Final = b"/refresh"


class HttpProtocol(HttpToolsProtocol):
    """Refuses what is not HTTP, or has no end, as a problem document, and hangs up.

    The application never sees such a request. Heads and bodies are cut by `framing`, and the
    parser gets one after the other: a request begins when the one before is answered. It hangs up
    too on clients that stop taking their answer, or sending their body, which would keep memory.

    Nobody upgrades: what follows a request that asks for it is HTTP/1.1 as before (RFC 9110,
    section 7.8).

    When the server stops, a connection is not closed under a client that believes in it: its next
    answer says that it is the last one (RFC 9112, section 9.6), and only where no request comes
    within `LINGER_SECONDS` it ends without a word, as it would have for being idle.
    """

    transport: Outgoing

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: ConnectionLimits | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._mates = Connections.among(server_state.connections, app_state, limits)
        self._limits = self._mates.limits
        self._heads = Heads(self._limits.head_bytes)
        self._body: Body | None = None
        # What came while a request is answered that it is no part of.
        self._unread = b""
        self._last = False
        self._dropped_bytes = 0
        self._late: asyncio.TimerHandle | None = None
        self._presence: Presence | None = None  # once the client sends no more
        self._sending, self._taking = self._paces(self._limits)

    def _paces(self, limits: ConnectionLimits) -> tuple[SendingPace, TakingPace]:
        return SendingPace(
            limits.body_bytes_per_second,
            limits.rate_seconds,
            lambda: self.flow.read_paused,
            self._refuse_slow_body,
        ), TakingPace(
            limits.answer_bytes_per_second,
            limits.rate_seconds,
            lambda: self.transport.left_bytes(),
            self._leave_slow_client,
        )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        limits = self._limits
        outgoing = Outgoing(
            transport,
            self.loop,
            self._mates.holding,
            least_rate=limits.answer_bytes_per_second,
            rate_seconds=limits.rate_seconds,
        )
        super().connection_made(outgoing)
        self._mates.add(self)
        self._expect_head()
        if self._mates.draining:
            self._linger()

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._last or self.transport.is_closing():
            self._drop(len(data))
            return
        self._unset_keepalive_if_required()
        self._unread = self._unread + data if self._unread else data
        self._read_on()

    def _drop(self, size: int) -> None:
        """Nobody wants it; who does not stop is not listened to for long."""
        self._dropped_bytes += size
        if self._dropped_bytes > _MOST_DROPPED_BYTES:
            self.transport.release()

    def _read_on(self) -> None:
        """Read on a connection that is not closing, up to what has to wait for its turn."""
        try:
            while self._unread and not self._last:
                if self._body is not None:
                    self._read_body(self._body)
                elif self._answering or self.flow.write_paused:
                    # The next request begins when the last answer was taken.
                    self.flow.pause_reading()
                    return
                else:
                    head, self._unread = self._heads.cut(self._unread)
                    if head:
                        self._read_head(head)
                if self._unread and self.transport.is_closing():
                    break
        except MalformedRequest as error:
            self.logger.warning("refused what %s:%s sent: %s", *self._client, error.detail)
            self._refuse(error.status, error.detail)
        if not (self._answering or self._last):
            # In a head, or in the rest of a body that nobody wants: it has ended the wait for the
            # next head that uvicorn bounds.
            self._expect_head()

    @property
    def _client(self) -> tuple[str, int]:
        return self.client or ("", 0)

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _read_head(self, head: bytes) -> None:
        try:
            self._parse(head)
        except HttpParserError as error:
            # What was raised in `on_headers_complete` comes as its context.
            if isinstance(error.__context__, MalformedRequest):
                raise error.__context__ from None
            detail = "This is not an HTTP request, or a part of it is malformed."
            raise MalformedRequest(detail) from None
        if self._body is not None:
            self.transport.listens = True
            self._sending.begin()

    def _read_body(self, body: Body) -> None:
        plain, self._unread = body.read(self._unread)
        if plain:
            self._sending.came(len(plain))
            self._parse(plain)
        if body.ended:
            self._body, self.transport.listens = None, False
            self._sending.end()

    def _parse(self, data: bytes) -> None:
        """Feed the parser, which stops after every request that asks for another protocol."""
        rest = memoryview(data)
        while rest:
            try:
                self.parser.feed_data(rest)
            except HttpParserUpgrade as stop:
                rest = rest[stop.args[0] :]
            else:
                return

    def on_headers_complete(self) -> None:
        self._forget_head()
        self._check_head([name for name, _ in self.headers])
        crowded = self._mates.answer(self)
        if crowded and not self._is_for_operators():
            detail = "As many requests as there may be are being answered. Ask again in a second."
            raise MalformedRequest(detail, status=503)
        super().on_headers_complete()
        self.scope["state"][ABORT] = self.transport.abort
        if self._mates.draining:
            self.cycle.keep_alive = False

    def _check_head(self, names: list[bytes]) -> None:
        """Learn of the body; raise MalformedRequest where a head means nothing."""
        version = self.parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise MalformedRequest("HTTP/1.1 and HTTP/1.0 are spoken here.")
        hosts = names.count(b"host")
        if hosts > 1 or (not hosts and version == "1.1"):
            # RFC 9112, section 3.2.
            detail = "A request names the host that it is for once, in a Host header."
            raise MalformedRequest(detail)
        if b"te" in names and any(names_chunked(*header) for header in self.headers):
            # RFC 9110, section 10.1.4.
            raise MalformedRequest("TE names codings of answers, and never chunked.")
        if b"content-length" in names or b"transfer-encoding" in names:
            self._body = body_of(self.headers, version, self._limits.head_bytes)
            if self._body is not None and self.parser.should_upgrade():
                # Its body would be parsed as if it were the next request.
                raise MalformedRequest("A request with a body cannot ask for another protocol.")

    def _is_for_operators(self) -> bool:
        path = self.url.partition(b"?")[0].removeprefix(self.root_path.encode())
        return path in _OPERATORS or path.endswith(_OPERATORS_END)

    # What is answered

    def on_response_complete(self) -> None:
        self._mates.wait(self)
        super().on_response_complete()
        self._go_on()

    def _go_on(self) -> None:
        """Begin the next request that has come, or end where none can follow."""
        if self._unread and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._read_on()
        waits = self._unread and self.flow.write_paused
        if self._presence is not None and not self._answering and not waits:
            self.transport.close()

    def shutdown(self) -> None:
        """The server stops: the answer that has not begun is the last one."""
        self._linger()
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def _linger(self) -> None:
        """Wait for a request, or for the one after the answer that has begun, but not for long."""
        self.timeout_keep_alive = LINGER_SECONDS
        if not self._answering:
            self._unset_keepalive_if_required()
            # Loops read what has arrived before they look at the clock: no request is overlooked.
            self.timeout_keep_alive_task = self.loop.call_later(
                LINGER_SECONDS, self.timeout_keep_alive_handler
            )

    def make_room(self) -> None:
        """Somebody else connects: end, with a word where a request has begun."""
        if self.transport.is_closing():
            self.transport.release()
            return
        if self._heads.begun:
            self._last = True
            detail = "Others wait for this connection, whose request does not end. Ask again."
            self.transport.write(connection_problem(503, detail))
        self.transport.release()

    # Who is waited for, and for how long

    def _expect_head(self) -> None:
        """Wait for the end of a request's head; whoever does so already goes on."""
        if self._late is None:
            self._late = self.loop.call_later(self._limits.head_seconds, self._end_wait)

    def _forget_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end_wait(self) -> None:
        """Hang up, with a word where a request has begun."""
        self._late = None
        if self._heads.begun:
            seconds = f"{self._limits.head_seconds:g} seconds"
            self._refuse(408, f"The request's headers did not arrive within {seconds}.")
        else:
            self.transport.close()

    def _refuse_slow_body(self) -> None:
        if not self._answering:
            self.transport.close()
            return
        limits = self._limits
        rate = f"{limits.body_bytes_per_second} bytes a second over {limits.rate_seconds:g} seconds"
        self._refuse(408, f"The body came more slowly than {rate}.")

    def _leave_slow_client(self, taken: int) -> None:
        told = (*self._client, taken, self._limits.rate_seconds)
        self.logger.warning("hung up on %s:%s, which took %d bytes in %g seconds", *told)
        self.transport.abort()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._taking.wait()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taking.go_on()
        if not self._answering:
            self.flow.resume_reading()
            self._go_on()

    # How it ends

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether the connection stays: who has said all may still take the answers to it."""
        if self._body is not None and self._answering:
            return False  # the rest of its request will not come
        if not self._answering:
            self.transport.close()
        elif self._presence is None:
            self._presence = Presence(self.transport, self._may_ask, self.transport.abort)
        return True

    def _may_ask(self) -> bool:
        old = self.scope["http_version"] == "1.0"  # it knows of no answers but the last
        return self._answering and not self.cycle.response_started and not old

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answering:
            self.cycle.scope["state"][LOST] = True
        self._mates.discard(self)
        self.transport.lost()
        if self._presence is not None:
            self._presence.end()
        self._taking.end()
        self._sending.end()
        self._forget_head()
        super().connection_lost(exc)

    def _refuse(self, status: int, detail: str) -> None:
        """Read no more, say why where that is an answer, and hang up."""
        if self._last:
            return
        answered = self.cycle is not None and self.cycle.response_started
        in_vain = answered and (self._answering or self._body is not None)
        self._last, self._unread, self._body = True, b"", None
        self._sending.end()
        self._forget_head()
        self.transport.listens = True
        if self._answering and answered:
            self.cycle.keep_alive = False
            return
        if self._answering:
            # Nobody is there for another answer.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._mates.wait(self)
        if not in_vain:
            self.transport.write(connection_problem(status, detail))
        self.transport.close()
