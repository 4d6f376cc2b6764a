"""Which addresses lie inside this network, and that nobody outside can lead there."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from loadtests.attack.references import SECRET, web
from sluice.errors import ReferenceRefused
from sluice.store.inner_network import (
    INSIDE,
    is_inner,
    names_inside,
    outer_socket,
    outward_redirects,
)

INNER = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
]


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses(address: str) -> None:
    """Loopback, link-local, private and the like, also inside an IPv6 address."""
    assert is_inner(address)
    assert names_inside(f"[{address}]" if ":" in address else address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(OSError, match=INSIDE):
        outer_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80)))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1", "::ffff:8.8.8.8"])
def test_outer_addresses(address: str) -> None:
    """Those of public hosts, and an IPv4 one inside an IPv6 one, are none."""
    assert not is_inner(address)
    assert not names_inside(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    outer_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))).close()


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "a.localhost", "2130706433", "0x7f000001", "0x7f.1", "127.1",
     "017700000001", "127.0.0.1.", "0"],
)  # fmt: skip
def test_texts_that_say_inside(host: str) -> None:
    """The name of this machine, and the older forms of numbers, are inner without being asked."""
    assert names_inside(host)


@pytest.mark.parametrize("host", ["example.org", "1e100.net", "0xfood.example", "a.b"])
def test_names_that_the_resolver_knows(host: str) -> None:
    """Of a name nothing is known before it is resolved."""
    assert not names_inside(host)


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
