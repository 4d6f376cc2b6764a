"""CF decoding, compiled: xarray decides once per variable, its functions run once per answer.

xarray's `decode_cf_variables` wraps an array in lazy adapters, one per convention. Walking those
adapters once gives the plain functions that they would apply, so an answer is decoded by exactly
xarray's code without its lazy indexing. (The commonest pair of them is made one: `unpacking`.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from xarray.backends.common import BackendArray
from xarray.coding import strings, variables
from xarray.coding.common import _ElementwiseFunctionArray
from xarray.core import indexing

from sluice.aliases import Array, DType
from sluice.arrays.array_metadata import ArrayMeta
from sluice.datasets.unpacking import Step, Unpacking
from sluice.errors import MetadataError

_UNPACKING: Final = (variables._apply_mask, variables._scale_offset_decoding, Unpacking)


class NotFetched(Exception):
    """xarray looked at values while it opened, and they are not here yet: `name` needs them."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class EncodedArray(BackendArray):
    """An array as the store has it, while the dataset is being opened.

    xarray reads some values synchronously when it decodes: all of an index coordinate, the first
    and the last of a time. Those are put here before; any other look raises `NotFetched`.
    """

    __slots__ = ("dtype", "edges", "meta", "name", "shape", "values")

    def __init__(self, name: str, meta: ArrayMeta, dtype: DType) -> None:
        self.name = name
        self.meta = meta
        self.dtype = dtype
        self.shape = meta.shape
        self.values: Array | None = None
        self.edges: tuple[Array, Array] | None = None

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Array:
        if self.values is not None:
            return np.asarray(
                indexing.apply_indexer(indexing.NumpyIndexingAdapter(self.values), key)
            )
        if self.edges is None:
            raise NotFetched(self.name)
        return self._edge(key)

    def _edge(self, key: indexing.ExplicitIndexer) -> Array:
        """The first or the last element, whichever `key` names; the rest is not here."""
        places = [
            range(*k.indices(size)) if isinstance(k, slice) else np.atleast_1d(k)
            for k, size in zip(key.tuple, self.shape, strict=True)
        ]
        shape = [len(p) for p, k in zip(places, key.tuple, strict=True) if isinstance(k, slice)]
        assert self.edges is not None
        if all(len(p) == 1 and p[0] == 0 for p in places):
            return self.edges[0].reshape(shape)
        if all(len(p) == 1 and p[0] == n - 1 for p, n in zip(places, self.shape, strict=True)):
            return self.edges[1].reshape(shape)
        raise NotFetched(self.name)


def compile_decoding(data: Any) -> tuple[EncodedArray, tuple[Step, ...], bool]:
    """The array under xarray's adapters, the functions to apply, and whether characters stack.

    Where characters stack, the stored array has one more (last) axis than the variable.
    """
    steps: list[Step] = []
    stacked = False
    while not isinstance(data, EncodedArray):
        match data:
            case indexing.LazilyIndexedArray():
                pass
            case _ElementwiseFunctionArray():
                steps.append(data.func)
            case variables.NativeEndiannessArray():
                steps.append(Cast(data.dtype))
            case variables.BoolTypeArray():
                steps.append(Cast(np.dtype(bool)))
            case strings.StackedBytesArray():
                steps.append(strings._numpy_char_to_bytes)
                stacked = True
            case _:
                raise MetadataError(f"a variable is coded in an unknown way: {type(data).__name__}")
        data = data.array
    steps.reverse()
    unpacking = Unpacking.of(steps)
    return data, tuple(steps) if unpacking is None else (unpacking,), stacked


def check_unpacking(steps: tuple[Step, ...], dtype: DType) -> None:
    """Raise what masking and unpacking raise of values of this `dtype`: all will, or none."""
    values: Any = np.zeros(1, dtype) if dtype.kind in "biufc" else None
    for step in steps:
        function = step.func if isinstance(step, partial) else type(step)
        if values is None or function not in _UNPACKING:
            return
        values = step(values)


@dataclass(frozen=True, slots=True)
class Cast:
    """Values as another `dtype`: the machine's byte order, or booleans."""

    dtype: DType

    def __call__(self, values: Any) -> Array:
        return np.asarray(values, dtype=self.dtype)
