"""One thing that is wrong with a dataset, or worth knowing about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters: an error keeps something from being read at all."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` names a variable or dimension (empty: the dataset); `text` says how to mend it."""

    severity: Severity
    where: str
    text: str
