"""Which addresses lie inside this network, and connections that never lead there.

A reference or a redirect is text from somebody else: followed blindly, it would let whoever wrote
it read what this service alone can reach.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

from yarl import URL

from sluice.errors import ReferenceRefused, shown

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.connector import AddrInfoType

# In the message of a refused connection: by it the refusal is found again inside a library's error.
INSIDE: Final = "lies inside this network"

# Networks whose addresses carry an IPv4 address in their last 32 bits: NAT64 (RFC 6052, 2.1).
_NAT64: Final = IPv6Network("64:ff9b::/96")
# What `inet_aton` takes for an address beside four decimal numbers: 127.1, 0x7f.1, 2130706433.
_NUMBERS: Final = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*", re.IGNORECASE)


def is_inner(address: str) -> bool:
    """Whether an IP address is loopback, link-local, private, or else no public host's.

    By the registries of special-purpose addresses (RFC 6890), an IPv4 address inside an IPv6 one
    by itself. Anything that is no address in its usual form counts as inner.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(ip, IPv6Address):
        within = _within(ip)
        if within is None:
            return not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_site_local
        ip = within
    return not ip.is_global or ip.is_multicast


def _within(ip: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that `ip` stands for."""
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


def names_inside(host: str) -> bool:
    """Whether `host` is inner by its text alone: an inner IP address, or a name of this machine.

    Other names have to be resolved first.
    """
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    return bool(":" in name or _NUMBERS.fullmatch(name)) and is_inner(name)


def outer_socket(address: AddrInfoType) -> socket.socket:
    """A socket for an entry of `getaddrinfo`; raises OSError for an inner address.

    aiohttp asks for one for each address that it is about to connect to, whatever name or redirect
    led there: what is refused here gets no connection.
    """
    family, kind, protocol, _, where = address
    if is_inner(str(where[0])):
        raise OSError(errno.EACCES, f"{where[0]} {INSIDE}")
    return socket.socket(family, kind, protocol)


def outward_redirects() -> aiohttp.TraceConfig:
    """Makes a session refuse redirects from a public host to an inner address.

    Whoever serves a store from outside could answer with what this service alone can reach. A
    store whose own host lies inside may redirect anywhere.
    """
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_inward)
    trace.freeze()
    return trace


async def _refuse_inward(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    params: aiohttp.TraceRequestRedirectParams,
) -> None:
    headers = params.response.headers
    location = headers.get("Location") or headers.get("URI") or ""
    try:
        target = params.url.join(URL(location))
    except ValueError:
        return  # aiohttp has its own words for an address that is none
    if target.host == params.url.host or await _leads_inside(params.url.host):
        return
    if await _leads_inside(target.host):
        params.response.close()
        raise ReferenceRefused(
            f"{shown(str(params.url))} redirects to {shown(str(target))}, which {INSIDE}: it is "
            "not followed there from outside."
        )


async def _leads_inside(host: str | None) -> bool:
    if not host or names_inside(host):
        return True
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False  # then nobody connects to it, unless a proxy does
    return any(is_inner(str(address[4][0])) for address in found)
