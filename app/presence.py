"""Whether a client that sends no more is still there for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .transport import Outgoing

LOOK_SECONDS: Final = 0.5
# Clients pass over it (RFC 9110, section 15.2); the kernel of one that has gone refuses it.
_ASIDE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Presence:
    """Watches a client that has closed its own direction, and may have closed both.

    The two look alike (RFC 9293, section 3.6) until something is sent: where an answer takes long
    and `may_ask` says that none has begun, a word is sent that means nothing. `on_gone` is called
    once the connection turns out to be over.
    """

    def __init__(
        self,
        transport: Outgoing,
        may_ask: Callable[[], bool],
        on_gone: Callable[[], object],
    ) -> None:
        self._transport = transport
        self._may_ask = may_ask
        self._on_gone = on_gone
        self._asked = False
        self._timer = self._later()

    def _later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self._transport.is_over():
            self._on_gone()
            return
        if not self._asked and self._may_ask():
            self._asked = True
            self._transport.write(_ASIDE)
        self._timer = self._later()

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._timer.cancel()
