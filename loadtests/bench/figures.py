"""What a scenario finds: figures of each contestant, and what the issue's targets say of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Figures: TypeAlias = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure that must reach a target; not a number when it could not be measured."""

    what: str
    value: float
    relation: Literal[">=", "<="]
    target: float

    @property
    def reached(self) -> bool:
        """Whether it does."""
        if math.isnan(self.value):
            return False
        if self.relation == ">=":
            return self.value >= self.target
        return self.value <= self.target

    @property
    def share(self) -> float:
        """How far it is: 1 at the target, more is better; 0 when it was not measured."""
        if math.isnan(self.value):
            return 0.0
        over, under = self.value, self.target
        if self.relation == "<=":
            over, under = under, over
        return over / under if under else float(self.reached)


@dataclass(slots=True)
class Result:
    """One scenario: its rows by contestant, its claims, and what a reader must know."""

    scenario: str
    title: str
    rows: dict[str, Figures] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
