"""How the variables of an answer are cut into coverages, and which domain type each has.

(CoverageJSON 1.0, OGC 21-069r2, section 6, and the common domain types of section 9.11.)
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from sluice.aliases import Array, record
from sluice.encoders.answer_schema import AnswerVariable

Together: TypeAlias = Literal["path", "cells"]


@record
class CoverageLayout:
    """Which coordinates of an answer are axes, and what is said of its variables.

    `axes` are the names of the coordinates by their letters (x, y, z, t); `parameters` is the JSON
    of each variable's Parameter; `references` that of reference systems by the letters of their
    axes. Places that are one after the other may be `together` in a coverage, as a path or as the
    cells of an area; else each has a coverage of its own. If the coordinates of places have a
    dimension `over` which they do not change, their first values are taken. Cells where the
    `mask`, of rows and columns, is false are missing.
    """

    axes: Mapping[str, str]
    parameters: Mapping[str, bytes]
    references: Mapping[str, bytes]
    together: Together | None = None
    mask: Array | None = None
    over: str | None = None


class CoverageGroup:
    """Variables of the same dimensions, and how they are cut into coverages.

    A coverage has values `along` some dimensions, by the letters of their axes; each position in
    the dimensions that are `apart` has a coverage of its own.
    """

    def __init__(
        self,
        layout: CoverageLayout,
        variables: Mapping[Hashable, AnswerVariable],
        names: Sequence[Hashable],
    ) -> None:
        self.names = names
        first = variables[names[0]]
        self.sizes = dict(zip(first.dims, first.shape, strict=True))
        # A coordinate along another dimension says nothing of these variables.
        self.axes = {
            letter: name
            for letter, name in layout.axes.items()
            if name in variables and set(variables[name].dims) <= set(self.sizes)
        }
        letters = {name: letter for letter, name in self.axes.items()}
        lon = [dim for dim in variables[self.axes["x"]].dims if dim != layout.over]
        self.place = lon[0] if lon and lon != [self.axes["x"]] else None
        self.together = layout.together is not None and self.place is not None
        self.along = {letters[dim]: dim for dim in self.sizes if dim in letters}
        self.apart = [dim for dim in self.sizes if dim not in letters and dim != self.place]
        # The letters of tuples of places; levels get coverages apart: no common domain has both.
        self.tuples: list[str] = []
        if self.together:
            if "z" in self.along:
                self.apart.append(self.along.pop("z"))
            told = "txyz" if layout.together == "path" else "xyz"
            self.tuples = [a for a in told if a in self.axes and a not in self.along]
        elif self.place is not None:
            self.apart.append(self.place)

    @property
    def count(self) -> int:
        """How many coverages it is."""
        return math.prod([self.sizes[dim] for dim in self.apart])

    def length(self, letter: str) -> int:
        """How many labels an axis has."""
        return self.sizes[self.along[letter]] if letter in self.along else 1

    @property
    def domain_type(self) -> str:
        """The common domain type of its coverages (section 9.11)."""
        if self.together:
            if "t" in self.along:
                return "MultiPointSeries"
            return "Trajectory" if "t" in self.tuples else "MultiPoint"
        if "x" in self.along or {"t", "z"} <= set(self.along):
            return "Grid"
        if self.along:
            return "PointSeries" if "t" in self.along else "VerticalProfile"
        return "Point"


def groups_of(
    layout: CoverageLayout, variables: Mapping[Hashable, AnswerVariable], names: Sequence[Hashable]
) -> list[CoverageGroup]:
    """The coverages of these variables: a group for each set of dimensions."""
    return [CoverageGroup(layout, variables, group) for group in sharing_dims(variables, names)]


def sharing_dims(
    variables: Mapping[Hashable, AnswerVariable], names: Iterable[Hashable]
) -> list[list[Hashable]]:
    """The `names` of variables in groups that have the same dimensions, in whatever order."""
    found: dict[tuple[Hashable, ...], list[Hashable]] = {}
    for name in names:
        found.setdefault(tuple(sorted(variables[name].dims, key=str)), []).append(name)
    return list(found.values())


def data_names(layout: CoverageLayout, variables: Mapping[Hashable, object]) -> list[Hashable]:
    """The variables that have values in coverages: those that are Parameters."""
    return [name for name in variables if name in layout.parameters]
