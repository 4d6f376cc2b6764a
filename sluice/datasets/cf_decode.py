"""CF decoding, compiled: xarray decides once per variable, its functions run once per answer.

xarray's `decode_cf_variables` wraps an array in lazy adapters, one per convention. Walking those
adapters once gives the plain functions that they would apply, so an answer is decoded by exactly
xarray's code without its lazy indexing. The commonest pair of them, masking and unpacking (CF
conventions 2.5.1 and 8.1), is made one pass with half of their copies; whatever is not exactly
those two is left to xarray's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Self

import numpy as np
from xarray.coding import strings, variables
from xarray.coding.common import _ElementwiseFunctionArray
from xarray.core import indexing

from sluice.aliases import Array, DType
from sluice.datasets.known_store import EncodedArray
from sluice.errors import MetadataError

Step = Callable[[Any], Any]
_DOUBLE = np.dtype("f8")


@dataclass(frozen=True, slots=True)
class Unpacking:
    """``values * scale + offset`` as `dtype`, NaN where a value is one of `fills`."""

    dtype: DType
    fills: tuple[Any, ...]
    scale: Any
    offset: Any

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Self | None:
        """The one function that does what these `steps` do, or None if they do something else."""
        match steps:
            case [
                partial(func=variables._apply_mask, args=(), keywords=mask),
                partial(func=variables._scale_offset_decoding, args=(), keywords=packing),
            ]:
                dtype = np.dtype(packing["dtype"])
            case _:
                return None
        scale, offset = packing["scale_factor"], packing["add_offset"]
        fills = mask["encoded_fill_values"]
        numbers = [n for n in (scale, offset, *fills) if n is not None]
        plain = all(isinstance(n, int | float | np.integer | np.floating) for n in numbers)
        if dtype.kind != "f" or not plain or np.dtype(mask["dtype"]) != dtype:
            return None
        if not np.isnan(mask["decoded_fill_value"]):
            return None
        return cls(dtype, tuple(fills), scale, offset)

    def __call__(self, values: Array) -> Array:
        """The unpacked values in an array of their own."""
        if values.ndim == 0 and self.dtype == _DOUBLE and values.dtype.kind in "iuf":
            return np.array(self._one(values.item()))
        unpacked: Array = np.array(values, dtype=self.dtype)
        missing: Any = False
        for fill in self.fills:
            missing |= unpacked == fill
        unpacked[missing] = np.nan
        if self.scale is not None:
            unpacked *= self.scale
        if self.offset is not None:
            unpacked += self.offset
        return unpacked

    def _one(self, number: float) -> float:
        # Python's floats are the same IEEE 754 doubles, and take a tenth of the time of arrays.
        unpacked = float(number)
        for fill in self.fills:
            if unpacked == float(fill):
                return float("nan")
        if self.scale is not None:
            unpacked *= float(self.scale)
        if self.offset is not None:
            unpacked += float(self.offset)
        return unpacked


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


_UNPACKING: Final = (variables._apply_mask, variables._scale_offset_decoding, Unpacking)


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
