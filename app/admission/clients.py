"""Who counts as one client, and how many requests of each run at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network

from ..errors import TooManyRequests

RETRY_SECONDS = 1
# What one subscriber gets at least, and picks addresses from at will (RFC 4291, section 2.5.4;
# RFC 6177).
_SUBSCRIBER_BITS = 64


def client_at(address: str) -> str:
    """Who asks from this address: all of an IPv6 subscriber's addresses are one client.

    What is no address, as under some servers, is a client of that name.
    """
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((found, _SUBSCRIBER_BITS), strict=False))


class ClientLimit:
    """Counts what runs for each client, `most` at once (0: any number); forgets who has nothing."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: dict[str, int] = {}

    def __len__(self) -> int:
        """How many clients have something running."""
        return len(self._running)

    def fits(self, client: str) -> bool:
        """Whether one more of this client may run now."""
        return not self._most or self._running.get(client, 0) < self._most

    def enter(self, client: str) -> None:
        """One more of this client runs, until it leaves; raises TooManyRequests."""
        if not self.fits(client):
            raise TooManyRequests(
                f"{self._most} requests of yours run already, which is the most at once."
                " Ask again when one of them is answered.",
                limit=self._most,
                retry_after=RETRY_SECONDS,
            )
        self._count(client)

    def leave(self, client: str) -> None:
        """One less of this client runs."""
        left = self._running[client] - 1
        if left:
            self._running[client] = left
        else:
            del self._running[client]

    @contextmanager
    def counted(self, client: str) -> Iterator[None]:
        """The block counts as one more of this client, which is not refused."""
        self._count(client)
        try:
            yield
        finally:
            self.leave(client)

    def _count(self, client: str) -> None:
        self._running[client] = self._running.get(client, 0) + 1
