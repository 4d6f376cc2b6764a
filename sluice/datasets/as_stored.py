"""Values as the store packs them, for formats that pack alike: no decoding, and no packing again.

Metadata alone decides, never values: numbers and times go as they are, with the attributes by which
the CF conventions decode them (2.5.1, 4.4 and 8.1), in the type of the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from xarray.coding import times, variables

from sluice.aliases import DType
from sluice.datasets.cf_decode import Cast, Step, Unpacking
from sluice.datasets.lazy import LazyArray
from sluice.datasets.lenient_coders import decode_dates
from sluice.stored_form import FILLS, LINEAR, is_number, read_fill

_TIMES: Final = ("units", "calendar")
_MASKING: Final = (variables._apply_mask, variables._scale_offset_decoding)
_DATING: Final = (decode_dates, times.decode_cf_datetime)


def as_stored(
    array: LazyArray, encoding: Mapping[Any, Any]
) -> tuple[LazyArray, dict[Any, Any]] | None:
    """The same array undecoded, in the machine's byte order, with the attributes that decode it.

    `encoding` is that of the decoded variable. None for what has to be decoded: other types and
    codings, and fill values that are none of the type's own, or two of them.
    """
    if array.stacked or array.meta.dtype.kind not in "iuf" or array.meta.dtype.itemsize > 8:
        return None
    dtype = array.meta.dtype.newbyteorder("=")
    if dtype == np.dtype("f2"):
        return None
    if not all(map(_is_undone, array.steps)) or encoding.get("_Unsigned") is not None:
        return None
    own = {key: encoding[key] for key in (*LINEAR, *FILLS, *_TIMES) if key in encoding}
    linear = [own[key] for key in LINEAR if key in own]
    # Of whole numbers alone xarray makes whole numbers, of a type that follows from theirs.
    if not all(map(is_number, linear)) or (linear and not any(map(_is_fraction, linear))):
        return None
    for key in set(FILLS).intersection(own):
        fill = _in_type(own[key], dtype)
        if fill is None:
            return None
        own[key] = fill
    if len({own[key].tobytes() for key in set(FILLS).intersection(own)}) > 1:
        return None  # readers know of one value that stands for what is missing
    steps: tuple[Step, ...] = () if array.meta.dtype.isnative else (Cast(dtype),)
    raw = LazyArray(array.reader, array.meta, steps, dtype, stacked=False)
    return raw, own


def _is_undone(step: Step) -> bool:
    """Whether a reader of the file does this step by the attributes that are kept."""
    if isinstance(step, Cast):
        return step.dtype.kind != "b"
    if isinstance(step, Unpacking):
        return True
    return isinstance(step, partial) and step.func in (*_MASKING, *_DATING)


def _is_fraction(value: Any) -> bool:
    return bool(np.asarray(value).dtype.kind == "f")


def _in_type(value: Any, dtype: DType) -> Any:
    """The fill value as one of the type's own values, or None if it is none of them."""
    own = read_fill(value, dtype) if is_number(value) else None
    # A float that is told with more digits than the type has is masked in the type's own.
    return own if own is not None and np.isinf(own) == np.isinf(value) else None
