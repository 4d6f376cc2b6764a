"""What one read may cost, judged from its plan before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sluice.errors import LimitError


class Costs(Protocol):
    """What a plan knows of its costs: the touched chunks, and their decoded bytes."""

    @property
    def chunks(self) -> int: ...
    @property
    def chunk_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The most that one read may have: chunks, their decoded bytes, bytes of the result."""

    chunks: int
    chunk_bytes: int
    result_bytes: int

    def excess(self, costs: Costs, result_bytes: int) -> LimitError | None:
        """The first limit that a plan exceeds, or None.

        `result_bytes` is what its encoder writes, which can be more than the plan's own.
        """
        chunks, chunk_bytes = costs.chunks, costs.chunk_bytes
        if result_bytes > self.result_bytes:
            return _excess("The result", "bytes", "result_bytes", result_bytes, self.result_bytes)
        if chunks > self.chunks:
            return _excess("The selection", "chunks", "chunks", chunks, self.chunks)
        if chunk_bytes > self.chunk_bytes:
            decoding = "Decoding the chunks that the selection touches"
            return _excess(decoding, "bytes", "chunk_bytes", chunk_bytes, self.chunk_bytes)
        return None


def _excess(what: str, unit: str, limited: str, estimate: int, limit: int) -> LimitError:
    return LimitError(
        f"{what} would take {estimate} {unit}; one request may take {limit}."
        " Nothing was read: ask for fewer variables or a smaller part.",
        limited=limited,
        estimate=estimate,
        limit=limit,
    )
