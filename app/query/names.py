"""What a parameter's name can mean: an option, or a dimension by label or by position."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from app.errors import QueryError, SelectionError
from app.query.words import excerpt

By: TypeAlias = Literal["label", "position"]

# What a bare name means before it means a dimension; brackets reach a dimension of such a name.
PARAMETERS: Final = ("variables", "f", "method", "tolerance", "pointwise", "explain")

_BRACKETS = re.compile(r"(sel|isel)\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Names:
    """What a parameter name can mean for one dataset on one path."""

    dims: Mapping[str, int]
    coords: Mapping[str, tuple[str, ...]]
    by: By

    def target(self, parameter: str) -> tuple[str, By]:
        """The name that `parameter` speaks of, and whether by label or by position."""
        found = None if parameter in self.dims else _BRACKETS.fullmatch(parameter)
        if found is None:
            return parameter, self.by
        return found[2], "label" if found[1] == "sel" else "position"

    def meaning(self, parameter: str) -> tuple[str, bool]:
        """The dimension that `parameter` asks for, and whether its values are labels.

        A dimension without a coordinate has positions alone. Raises `QueryError` for a name that
        means nothing, `SelectionError` for one that is known, or in brackets, but no dimension to
        select along.
        """
        name, by = self.target(parameter)
        dims = self.coords.get(name)
        if name in self.dims and (dims is None or dims == (name,) or by == "position"):
            return name, by == "label" and dims is not None
        if dims is not None:
            detail = _not_an_index(name, dims)
            raise SelectionError(detail, parameter=parameter, coordinate_dims=list(dims))
        if name != parameter:
            raise SelectionError(
                f"there is no dimension {excerpt(name)}; there are {', '.join(self.dims)}",
                parameter=parameter,
                known=list(self.dims),
            )
        known = [*PARAMETERS, *map(self._written, self.dims)]
        raise QueryError(
            f"unknown parameter {excerpt(name)}; known are {', '.join(known)}",
            parameter=name,
            known=known,
        )

    def _written(self, dim: str) -> str:
        """The parameter that asks for `dim` on this path."""
        if dim not in PARAMETERS:
            return dim
        return f"sel[{dim}]" if self.by == "label" else f"isel[{dim}]"


def _not_an_index(name: str, dims: tuple[str, ...]) -> str:
    match len(dims):
        case 0:
            return f"{name} is a scalar coordinate: there is nothing to select along it"
        case 1:
            return f"{name} is not an index coordinate; select along its dimension {dims[0]}"
        case _:
            along = ", ".join(dims)
            return f"{name} is not an index coordinate (it has {len(dims)} dimensions: {along})"
