"""The parameters that are no selection: one row each, for GET, POST, refusals and documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from sluice.aliases import Document
from sluice.encoders.formats import ENCODERS


@dataclass(frozen=True, slots=True)
class Option:
    """One parameter: its name, what it is for, and the JSON schema of its one value in a URL.

    Where it lists names, `least` is how many at least: a POST may have an array of them. `others`
    is what the same is called elsewhere.
    """

    name: str
    words: str
    schema: Document
    least: int = 0
    others: tuple[str, ...] = ()

    @property
    def is_list(self) -> bool:
        """Whether it takes several names."""
        return self.least > 0

    @property
    def is_truth(self) -> bool:
        """Whether it is true or false."""
        return self.schema.get("type") == "boolean"


OPTIONS: Final[Mapping[str, Option]] = MappingProxyType(
    {
        option.name: option
        for option in (
            Option(
                "variables",
                "Names of the variables to return, as `t,u`; all of them without it.",
                {"type": "string", "minLength": 1},
                least=1,
                others=(
                    "var",
                    "vars",
                    "variable",
                    "parameter",
                    "parameters",
                    "parameter-name",
                    "fields",
                ),
            ),
            Option(
                "f",
                "The answer's format; wins over the `Accept` header.",
                {"type": "string", "enum": list(ENCODERS)},
                others=("format", "output", "accept"),
            ),
            Option(
                "method",
                "How labels that name no method of their own may match inexactly. A label that is"
                " on its axis is taken under any method; axes of text and of truths take no other.",
                {"type": "string", "enum": ["nearest", "pad", "ffill", "backfill", "bfill"]},
                others=("interpolation",),
            ),
            Option(
                "tolerance",
                "How far an inexact match may lie, per dimension, as `time:PT1H,latitude:0.25`; for"
                " times an ISO 8601 duration. Without it, at most one step beyond the axis.",
                {"type": "string", "pattern": r"^[^,]+:[^,:]+(,[^,]+:[^,:]+)*$"},
                least=1,
            ),
            Option(
                "pointwise",
                "Dimensions, as `latitude,longitude`, whose lists, of equal length, are read"
                " together, point by point, along one new dimension `points`.",
                {"type": "string", "pattern": "^[^,]+(,[^,]+)+$"},
                least=2,
            ),
            Option(
                "explain",
                "Read nothing; answer as JSON what the selection would hold and cost.",
                {"type": "boolean"},
                others=("dry_run",),
            ),
        )
    }
)
# What a bare name means before it means a dimension; brackets reach a dimension of such a name.
PARAMETERS: Final = tuple(OPTIONS)
