"""Masking and unpacking in one pass: what xarray's two functions do, with half of their copies.

CF conventions 8.1, "Packed Data", and 2.5.1, "Missing data". Whatever is not exactly those two is
left to xarray's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from xarray.coding import variables

from sluice.aliases import Array, DType

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
