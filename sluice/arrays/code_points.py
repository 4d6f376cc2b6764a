"""Text of a fixed length is stored as Unicode code points of 32 bits, which any bytes can be."""

from __future__ import annotations

from typing import Final

import numpy as np

from sluice.aliases import Array
from sluice.errors import CorruptChunk

# The last code point (The Unicode Standard, section 2.4).
_LAST: Final = 0x10FFFF


def check_code_points(values: Array) -> Array:
    """`values` themselves, of any dtype; CorruptChunk if texts of them hold no code points.

    NumPy keeps such texts, and fails when one of them is looked at.
    """
    if values.dtype.kind == "U" and values.size and values.dtype.itemsize:
        flat = np.ascontiguousarray(values).reshape(-1)
        points = flat.view(np.dtype("u4").newbyteorder(values.dtype.byteorder))
        if (most := int(points.max())) > _LAST:
            raise CorruptChunk(
                f"a chunk of text holds the number {most}, which is no Unicode character: it is "
                "torn, or of another byte order than its metadata says"
            )
    return values
