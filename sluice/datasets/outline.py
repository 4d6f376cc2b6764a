"""The form of an answer: what follows from a selection before any position is looked at."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from sluice.aliases import DType
from sluice.arrays.texts import has_texts


class Outlined(Protocol):
    """A variable of an answer, in memory or not."""

    @property
    def dims(self) -> tuple[Hashable, ...]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...


@dataclass(frozen=True, slots=True)
class Part:
    """One variable of an answer: its decoded form."""

    dims: tuple[Hashable, ...]
    shape: tuple[int, ...]
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The variables of an answer in their order, and what they add up to.

    `cells` counts the values that must be read, `attribute_bytes` is what all attributes take.
    How long the texts of the `unmeasured` variables are is known once they are read. One outline
    serves all selections of one form, so whoever finds out more that follows from it keeps that in
    `notes`.
    """

    variables: Mapping[Hashable, Outlined]
    coord_names: frozenset[Hashable]
    sizes: Mapping[Hashable, int]
    result_bytes: int
    cells: int
    attribute_bytes: int
    unmeasured: tuple[Hashable, ...]
    notes: dict[Hashable, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        variables: Mapping[Hashable, Outlined],
        coords: Iterable[Hashable],
        unread: Iterable[Hashable],
        attribute_bytes: int,
    ) -> Self:
        """The outline of these `variables`, of which `unread` must be read."""
        sizes: dict[Hashable, int] = {}
        for variable in variables.values():
            sizes.update(zip(variable.dims, variable.shape, strict=True))
        nbytes = sum([math.prod(v.shape) * v.dtype.itemsize for v in variables.values()])
        unread = list(unread)
        cells = sum([math.prod(variables[name].shape) for name in unread])
        texts = tuple([name for name in unread if has_texts(variables[name].dtype)])
        return cls(variables, frozenset(coords), sizes, nbytes, cells, attribute_bytes, texts)
