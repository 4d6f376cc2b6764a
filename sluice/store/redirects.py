"""Redirects of web servers: from outside none leads inside."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace

import aiohttp
from yarl import URL

from sluice.errors import ReferenceRefused
from sluice.store.inner_addresses import INSIDE, is_inner, names_inside
from sluice.store.reference_roots import shown


def outward_redirects() -> aiohttp.TraceConfig:
    """Makes a session refuse redirects from a public host to an inner address.

    Whoever serves a store from outside could answer with what this service alone can reach. A
    store whose own host lies inside may redirect anywhere.
    """
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_look)
    trace.freeze()
    return trace


async def _look(
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
