"""Redirects of web servers that serve stores."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from loadtests.attack.references import SECRET, web
from sluice.errors import ReferenceRefused
from sluice.store.redirects import outward_redirects


class Elsewhere(aiohttp.abc.AbstractResolver):
    """Finds every name on this machine, as a name server in an attacker's hands may."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[Any]:
        return [
            {"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0,
             "flags": socket.AI_NUMERICHOST}
        ]  # fmt: skip

    async def close(self) -> None:
        """Nothing is open."""


@asynccontextmanager
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(resolver=Elsewhere())
    trace = outward_redirects()
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as opened:
        yield opened


async def test_no_redirect_leads_inside_from_outside() -> None:
    """A public name's server sends to an inner address: refused before that is asked."""
    with web() as outer, web() as inner:
        inner.values["/secret"] = SECRET
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            outer.redirects["/x"] = f"http://{host}:{inner.port}/secret"
            async with session() as asking:
                # The resolver of the system knows no such name: it counts as outside.
                with pytest.raises(ReferenceRefused, match="redirects to"):
                    await asking.get(f"http://store.invalid:{outer.port}/x")
        assert inner.asked == []


async def test_redirects_on_the_same_side_are_followed() -> None:
    """On one host, from an inner host, and from outside to outside."""
    with web() as server:
        server.values["/data"] = SECRET
        for first, then in (
            ("store.invalid", "store.invalid"),
            ("127.0.0.1", "localhost"),
            ("store.invalid", "other.invalid"),
        ):
            server.redirects["/x"] = f"http://{then}:{server.port}/data"
            async with (
                session() as asking,
                asking.get(f"http://{first}:{server.port}/x") as answer,
            ):
                assert await answer.read() == SECRET
