"""What one request may cost, judged from the plan before anything is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.errors import LimitError


class Costs(Protocol):
    """What a plan knows of its costs: decoded bytes of the touched chunks, bytes of the result."""

    @property
    def chunk_bytes(self) -> int: ...
    @property
    def result_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """The largest costs that one request may have, in bytes."""

    chunk_bytes: int
    result_bytes: int

    def allow(self, costs: Costs) -> bool:
        """Whether `costs` exceed neither limit."""
        return costs.result_bytes <= self.result_bytes and costs.chunk_bytes <= self.chunk_bytes

    def check(self, costs: Costs) -> None:
        """Raises LimitError with the estimate and the limit when `costs` exceed one of the two."""
        if costs.result_bytes > self.result_bytes:
            _refuse("The result", "result_bytes", costs.result_bytes, self.result_bytes)
        if costs.chunk_bytes > self.chunk_bytes:
            what = "Decoding the chunks that the selection touches"
            _refuse(what, "chunk_bytes", costs.chunk_bytes, self.chunk_bytes)


def _refuse(what: str, limited: str, estimate: int, limit: int) -> None:
    raise LimitError(
        f"{what} would take {estimate} bytes; one request may take {limit}. Nothing was read:"
        " ask for fewer variables or a smaller part.",
        limited=limited,
        estimate=estimate,
        limit=limit,
    )
