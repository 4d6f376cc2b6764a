"""How many file descriptors the process may have, and what that leaves for connections."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from .connections import ConnectionLimits
from .settings import Settings

# More of them help nobody, and some systems name no bound at all.
_MOST_DESCRIPTORS: Final = 2**16
_MOST_CONNECTIONS: Final = 10_000


def raise_descriptor_limit() -> int:
    """Take as many descriptors as this process may give itself; their number, for each worker."""
    try:
        import resource
    except ImportError:  # Windows counts otherwise, and far
        return _MOST_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have a smaller bound that they do not tell.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return _MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def connection_limits(settings: Settings, descriptors: int) -> ConnectionLimits:
    """What connections may take, by the settings; stores and files need some `descriptors` too."""
    connections = settings.connections or min(descriptors * 3 // 4, _MOST_CONNECTIONS)
    return ConnectionLimits(
        connections=max(connections, 1),
        reserved_connections=min(settings.reserved_connections, connections - 1),
        head_bytes=settings.head_bytes,
        head_seconds=settings.head_seconds,
        answer_bytes_per_second=settings.answer_bytes_per_second,
        body_bytes_per_second=settings.body_bytes_per_second,
        rate_seconds=settings.rate_seconds,
    )
