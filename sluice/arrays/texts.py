"""Text of variable length counts as it is read: no metadata says how long it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sluice.errors import LimitError


@dataclass(slots=True)
class TextMeter:
    """What one answer's texts have taken so far, on top of all that was known before.

    `result_bytes` is the answer, of at most `most_result_bytes`; `chunk_bytes` are the decoded
    chunks that it touches, of at most `most_chunk_bytes`.
    """

    result_bytes: int
    most_result_bytes: int
    chunk_bytes: int
    most_chunk_bytes: int

    def foresee(self, chunk_bytes: int, part_bytes: Callable[[], int]) -> None:
        """LimitError where a chunk has too many bytes of text, before any text is made of it.

        The answer takes ``part_bytes()`` of its `chunk_bytes`, which takes a while to find out.
        """
        chunks = self.chunk_bytes + chunk_bytes
        if chunks > self.most_chunk_bytes:
            raise self._excess("chunk_bytes", chunks, self.most_chunk_bytes)
        if self.result_bytes + chunk_bytes <= self.most_result_bytes:
            return
        result = self.result_bytes + part_bytes()
        if result > self.most_result_bytes:
            raise self._excess("result_bytes", result, self.most_result_bytes)

    def decode(self, nbytes: int) -> None:
        """A chunk decoded to so many bytes of text: too many are an error once some are taken.

        (Not here, since others may wait for the chunk too.)
        """
        self.chunk_bytes += nbytes

    def take(self, nbytes: int) -> None:
        """So many bytes of text belong to the answer; LimitError where a limit is exceeded."""
        self.result_bytes += nbytes
        if self.result_bytes > self.most_result_bytes:
            raise self._excess("result_bytes", self.result_bytes, self.most_result_bytes)
        if self.chunk_bytes > self.most_chunk_bytes:
            raise self._excess("chunk_bytes", self.chunk_bytes, self.most_chunk_bytes)

    def _excess(self, limited: str, found: int, limit: int) -> LimitError:
        what = "The result" if limited == "result_bytes" else "The texts of the touched chunks"
        return LimitError(
            f"{what} would take {found} bytes or more; one request may take {limit}. How long"
            " texts are is known only once they are read: ask for a smaller part.",
            limited=limited,
            estimate=found,
            limit=limit,
        )


@dataclass(slots=True)
class TextSize:
    """How long the texts of one array have been so far: the largest mean of any chunk, in bytes.

    None before any was read.
    """

    mean_bytes: float | None = None

    def see(self, nbytes: int, values: int) -> None:
        """A chunk of so many values has so many bytes of text."""
        self.mean_bytes = max(self.mean_bytes or 0.0, nbytes / max(1, values))
