"""A cache of what was made once and is likely to be asked for again, bounded in bytes."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# One entry that took more of it would push out too many others.
_LARGEST_SHARE: Final = 8


class BoundedCache(Generic[K, V]):
    """Values by key, at most `most_bytes` of both as those who put them there estimate it.

    The oldest go first; what is longer than an eighth of all is not cached. Looking costs what a
    dictionary's look costs. Any thread may put something.
    """

    __slots__ = ("_held", "_lock", "_most", "_sizes", "get", "values")

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._lock = Lock()
        self._sizes: dict[K, int] = {}
        self.values: dict[K, V] = {}
        # The value of a key, or None: bound once, since whoever is in a hurry asks here.
        self.get = self.values.get

    @property
    def held_bytes(self) -> int:
        """The bytes of all that is cached."""
        return self._held

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Cache `value`, which takes so many bytes together with its key."""
        if nbytes > self._most // _LARGEST_SHARE:
            return
        with self._lock:
            if key in self._sizes:
                return
            while self._held + nbytes > self._most:
                oldest = next(iter(self._sizes))
                self._held -= self._sizes.pop(oldest)
                del self.values[oldest]
            self.values[key] = value
            self._sizes[key] = nbytes
            self._held += nbytes
