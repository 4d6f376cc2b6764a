"""Which rows and columns a dataset has as CSV; known before its values are."""

from __future__ import annotations

import math
from collections.abc import Container, Hashable, Mapping
from dataclasses import dataclass

from sluice.aliases import DType
from sluice.encoders.outline import Outline, OutlinedVariable, check_distinct_dimensions
from sluice.errors import SelectionError
from sluice.labels import without_surrogates

# What a number, an instant or a boolean counts for; about half of its text.
_CELL_BYTES = 8
# How many names or groups a sentence lists; the facts have all of them.
_SPELLED = 5


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a variable over `dims`, or (without one) the positions along its dimension."""

    header: str
    variable: Hashable | None
    dims: tuple[Hashable, ...]
    cell_bytes: int


@dataclass(frozen=True, slots=True)
class Rows:
    """One row per cell of `shape`, in C order, and the columns of each row."""

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    columns: tuple[Column, ...]

    @property
    def count(self) -> int:
        """How many rows there are, without the header."""
        return math.prod(self.shape) if self.columns else 0


def lay_out(
    variables: Mapping[Hashable, OutlinedVariable],
    coord_names: Container[Hashable],
    sizes: Mapping[Hashable, int],
) -> Rows:
    """The rows of a dataset: first what says where a row is, then a column per data variable.

    The dimensions are those that the data variables share, in the order of the first; without
    data variables, those of all coordinates. Coordinates along any other dimension are left out,
    as in ``ds[name]``. Raises `SelectionError` where the data variables share no dimensions,
    `NotAcceptable` where one of the variables has a dimension twice.
    """
    check_distinct_dimensions(variables, coord_names, "CSV")
    data = [name for name in variables if name not in coord_names]
    _check_shared({name: variables[name].dims for name in data})
    spanning = data[:1] or list(variables)
    dims = tuple(dict.fromkeys(dim for name in spanning for dim in variables[name].dims))
    coords = [n for n in variables if n in coord_names and set(variables[n].dims).issubset(dims)]
    places = [_values(d, variables[d]) if d in coords else _positions(d) for d in dims]
    rest = [_values(n, variables[n]) for n in (*coords, *data) if n not in dims]
    return Rows(dims, tuple(sizes[dim] for dim in dims), (*places, *rest))


def check_csv(outline: Outline) -> None:
    """Raises what `lay_out` raises for an answer."""
    lay_out(outline.variables, outline.coord_names, outline.sizes)


def csv_bytes(outline: Outline) -> int:
    """What an answer counts for as CSV, in bytes: a coordinate is repeated in every row."""
    rows = lay_out(outline.variables, outline.coord_names, outline.sizes)
    return max(outline.result_bytes, rows.count * sum(c.cell_bytes for c in rows.columns))


def csv_text_bytes(outline: Outline, texts: Mapping[Hashable, int]) -> int:
    """What `texts`, of so many bytes by variable, count for as CSV: those of every row."""
    rows = lay_out(outline.variables, outline.coord_names, outline.sizes)
    total = 0
    for column in rows.columns:
        if column.variable in texts:
            values = math.prod(outline.variables[column.variable].shape)
            total += texts[column.variable] * rows.count // max(1, values)
    return total


def _check_shared(dims: Mapping[Hashable, tuple[Hashable, ...]]) -> None:
    groups: dict[frozenset[Hashable], list[Hashable]] = {}
    for name, own in dims.items():
        groups.setdefault(frozenset(own), []).append(name)
    if len(groups) < 2:
        return
    facts = [
        {"dims": [str(dim) for dim in dims[names[0]]], "variables": [str(n) for n in names]}
        for names in groups.values()
    ]
    spelled = "; ".join(
        f"{_some(group['variables'])} along {_some(group['dims']) or 'no dimension'}"
        for group in facts[:_SPELLED]
    )
    raise SelectionError(
        "CSV has one row per cell, but these variables do not share their dimensions:"
        f" {spelled}{'; ...' * (len(facts) > _SPELLED)}. Ask for those of one group with"
        f" variables={facts[0]['variables'][0]},...",
        groups=facts,
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SPELLED]) + ", ..." * (len(names) > _SPELLED)


def _values(name: Hashable, variable: OutlinedVariable) -> Column:
    return Column(without_surrogates(str(name)), name, variable.dims, _cell_bytes(variable.dtype))


def _positions(dim: Hashable) -> Column:
    # No variable has this name: xarray calls any that has a dimension's name a coordinate.
    return Column(without_surrogates(str(dim)), None, (dim,), _CELL_BYTES)


def _cell_bytes(dtype: DType) -> int:
    match dtype.kind:
        case "U":
            return max(_CELL_BYTES, dtype.itemsize // 4)
        case "S" | "V" | "c":
            return max(_CELL_BYTES, dtype.itemsize)
        case _:
            return _CELL_BYTES
