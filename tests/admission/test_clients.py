"""The count of what runs for each client."""

from __future__ import annotations

import pytest

from app.admission import ClientLimit, client_at
from app.errors import TooManyRequests


def test_one_client_is_refused_and_others_are_not() -> None:
    """The most is of each client; who leaves makes room, and is forgotten in the end."""
    clients = ClientLimit(2)
    clients.enter("a")
    clients.enter("a")
    with pytest.raises(TooManyRequests) as refused:
        clients.enter("a")
    assert refused.value.facts == {"limit": 2, "retry_after": 1}
    clients.enter("b")
    clients.leave("a")
    clients.enter("a")
    for client in "aab":
        clients.leave(client)
    assert len(clients) == 0


def test_what_counts_without_being_refused_counts() -> None:
    """An answer that is being sent keeps its client from beginning another."""
    clients = ClientLimit(1)
    with clients.counted("a"), clients.counted("a"):
        assert not clients.fits("a")
    assert clients.fits("a")


def test_none_is_any_number() -> None:
    """Zero does not limit."""
    clients = ClientLimit(0)
    for _ in range(100):
        clients.enter("a")
    assert clients.fits("a")


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1::7", "2001:db8:0:1::/64"),
        ("2001:DB8:0:1:ffff::", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::7", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::1", "::/64"),
        ("unix:socket", "unix:socket"),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_client(address: str, client: str) -> None:
    """However it is spelled; an IPv4 address is one by itself, also inside an IPv6 one."""
    assert client_at(address) == client
