"""How numbers are packed (CF conventions 2.5.1 and 8.1), and the mark of those that still are."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sluice.aliases import DType

# In the encoding of a variable whose values are not decoded: the attributes that decode them, fill
# values in the type of the values.
AS_STORED: Final = "as_stored"
FILLS: Final = ("_FillValue", "missing_value")
LINEAR: Final = ("scale_factor", "add_offset")


def is_number(value: object) -> bool:
    """Whether `value` is one real number."""
    try:
        array = np.asarray(value)
    except ValueError:
        # Nested lists of unequal lengths.
        return False
    return array.size == 1 and array.dtype.kind in "iuf"


def read_fill(value: object, dtype: DType) -> Any:
    """The fill value as a scalar of `dtype`, or ``None`` if it is none of its values."""
    number = np.asarray(value).reshape(())[()]
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(number)
    limits = np.iinfo(dtype)
    whole = bool(np.isfinite(number)) and int(number) == number
    return dtype.type(int(number)) if whole and limits.min <= int(number) <= limits.max else None
