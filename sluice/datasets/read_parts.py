"""Plans of answers that have parts of single variables, as the store packs them where that can be.

Coordinates do not come along, and each variable may be cut at positions of its own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import field

import numpy as np
import xarray as xr

from sluice.aliases import record
from sluice.datasets._xarray import variable_of
from sluice.datasets.indexers import ALL, Key
from sluice.datasets.layout import (
    IndexCoordinate,
    Keys,
    Layout,
    ResultSchema,
    StoredVariable,
)
from sluice.datasets.lazy import VariableReadPlan, remaining
from sluice.datasets.read_plan import DatasetReadPlan, plan_lazy
from sluice.encoders.answer_schema import AnswerVariable


@record
class PartsReadPlan(DatasetReadPlan):
    """An answer whose variables are cut differently: `own_keys` has those of each."""

    own_keys: Mapping[Hashable, Keys] = field(default_factory=dict)

    @property
    def divisible(self) -> bool:
        return True

    def keys_of(self, name: Hashable) -> Keys | None:
        return self.own_keys[name]


def plan_parts(layout: Layout, parts: Mapping[Hashable, Keys]) -> DatasetReadPlan:
    """How these variables are read, in this order, each at its keys along some of its dimensions.

    Keys are slices, and positions, which drop their dimension. The plan has common keys if all
    variables agree on the dimensions that they share, else those of each. Reads nothing.
    """
    variables: dict[Hashable, xr.Variable] = {}
    pending: dict[Hashable, VariableReadPlan] = {}
    texts: dict[Hashable, int] = {}
    for name, keys in parts.items():
        prepared = layout.variables[name]
        if isinstance(prepared, StoredVariable):
            pending[name] = prepared.select(keys, remaining(prepared.dims, keys)).as_stored()
        elif isinstance(prepared, IndexCoordinate):
            variables[name] = _labels(prepared, keys)
            if prepared.lengths is not None:
                texts[name] = prepared.text_bytes(keys)
        else:
            lazy = plan_lazy(layout.dataset[[name]].isel(dict(keys)))
            variables |= {name: lazy.variables[name]} if name in lazy.variables else {}
            pending |= {name: lazy.pending[name]} if name in lazy.pending else {}
            texts |= {name: lazy.texts[name]} if name in lazy.texts else {}
    known: dict[Hashable, AnswerVariable] = {**variables, **pending}
    attrs = sum([layout.attribute_bytes[name] for name in parts])
    coords = [name for name in parts if name in layout.coords]
    schema = ResultSchema.of({name: known[name] for name in parts}, coords, pending, attrs)
    ds = layout.dataset
    no_indexes: dict[Hashable, xr.Index] = {}
    planned = (schema, variables, pending, no_indexes, ds.attrs, ds.encoding, texts)
    if any(layout.variables[name] is None for name in parts):
        return DatasetReadPlan(*planned, stored=True)
    common = _common(layout, parts)
    if common is None:
        return PartsReadPlan(*planned, stored=True, own_keys=parts)
    return DatasetReadPlan(*planned, keys=common, stored=True)


def _labels(coordinate: IndexCoordinate, keys: Keys) -> xr.Variable:
    stored = coordinate.select_stored(keys)
    if stored is not None:
        return stored
    if coordinate.values is None:
        return coordinate.select(keys)[0]
    # A copy: the index is shared by all answers.
    data = np.array(coordinate.values[keys.get(coordinate.dim, ALL), ...])
    of = coordinate.variable
    return variable_of(remaining((coordinate.dim,), keys), data, of.attrs, of.encoding)


def _common(layout: Layout, parts: Mapping[Hashable, Keys]) -> Keys | None:
    """What is asked of each dimension, if that is the same for all variables that have it."""
    found: dict[Hashable, Key] = {}
    for name, keys in parts.items():
        for dim in layout.dims[name]:
            key = keys.get(dim, ALL)
            if found.setdefault(dim, key) != key:
                return None
    return {dim: key for dim, key in found.items() if key != ALL}
