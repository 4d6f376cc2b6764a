"""What a request asks: a selection, in which format, or what it would cost."""

from __future__ import annotations

from sluice.record import record
from sluice.selection import Selection


@record
class Query:
    """A parsed request; `explain` asks what the answer would cost instead."""

    selection: Selection
    format: str | None = None
    explain: bool = False
