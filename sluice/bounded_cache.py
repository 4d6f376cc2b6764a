"""A cache of values by key, bounded in bytes: first in, first out."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

# An entry of more than this share of the bound would push out too many others.
_LARGEST_SHARE: Final = 8


class BoundedCache(Generic[K, V]):
    """Values by key, of at most `most_bytes` together; callers of `put` say what each takes.

    The oldest go first; an entry of more than an eighth of the bound is not cached. `get` is the
    dictionary's own, and costs no more. Any thread may `put`.
    """

    __slots__ = ("_held", "_lock", "_most", "_sizes", "get", "values")

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._lock = Lock()
        self._sizes: dict[K, int] = {}
        self.values: dict[K, V] = {}
        # The value of a key, or None. Bound once: the hot path looks here.
        self.get = self.values.get

    @property
    def held_bytes(self) -> int:
        """The bytes of all that is cached."""
        return self._held

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Cache `value`, of `nbytes` with its key; a key that is there keeps its value."""
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
