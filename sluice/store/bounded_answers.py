"""Answers of aiohttp whose bodies end in an error beyond the bound of the read (see `bounds`)."""

from __future__ import annotations

from typing import Any

import aiohttp

from sluice.store.bodies import Bound, OversizedBody, bound_of_answers


class BoundedAnswer(aiohttp.ClientResponse):
    """An answer whose body is bounded where the read that asked for it is."""

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        """As aiohttp's own, with a body that counts."""
        await super().start(connection)
        bound = bound_of_answers.get()
        if bound is not None:
            body: Any = _CountedBody(self.content, bound)
            self.content = body
        return self


class _CountedBody:
    """aiohttp's body, whose pieces are counted as they are read."""

    def __init__(self, body: aiohttp.StreamReader, bound: Bound) -> None:
        self._body = body
        self._bound = bound
        self._seen = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)

    async def read(self, n: int = -1) -> bytes:
        """As aiohttp's own, until there is too much."""
        if n >= 0:
            return self._counted(await self._body.read(n))
        pieces = []
        while piece := self._counted(await self._body.readany()):
            pieces.append(piece)
        return b"".join(pieces)

    def _counted(self, piece: bytes) -> bytes:
        self._seen += len(piece)
        if self._seen > self._bound.most_bytes:
            self._bound.exceeded = True
            raise OversizedBody(self._bound.most_bytes)
        return piece


def session_class(of_library: type[Any]) -> type[Any]:
    """A class like aiobotocore's of sessions, `of_library`, that makes such answers."""

    class BoundedSession(of_library):  # type: ignore[misc]
        async def _get_session(self, proxy_url: Any) -> Any:
            session = await super()._get_session(proxy_url)
            session._response_class = BoundedAnswer
            return session

    return BoundedSession
