"""Bodies of HTTP answers that are wanted whole: nobody reads a part of one."""

from __future__ import annotations

from typing import Final

import aiohttp

# aiohttp asks a connection to pause when twice as much waits to be read, and to go on when some of
# it was. Who wants the whole body would be woken up for each piece to say so, and read no less.
# Its parser takes no larger number: bodies of 4 GiB would pause, and wait until their deadline.
UNPAUSED_BYTES: Final = 2**31 - 1


async def whole_body(response: aiohttp.ClientResponse) -> bytes:
    """The body of `response`, joined once; raises aiohttp.ClientError where it breaks off.

    The request was made with a `read_bufsize` of `UNPAUSED_BYTES`.
    """
    content = response.content
    if content.exception() is None:
        await content.wait_eof()
    return content.read_nowait()
