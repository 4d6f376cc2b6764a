"""Bytes that say of which encoding they are: the netCDF attribute ``_Encoding``.

(NetCDF User's Guide, appendix "Attribute Conventions".) xarray decodes by it, and fails with the
first bytes that are none of the encoding. Here those stay bytes, as if nothing was said of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import numpy as np
import xarray as xr
from xarray.coding import strings
from xarray.coding.common import _ElementwiseFunctionArray

from sluice.aliases import Array
from sluice.errors import MetadataError
from sluice.wording import excerpt

ENCODING: Final = "_Encoding"
_BYTES: Final = "SO"
_ADVICE: Final = "Correct the attribute, or name it in drop_variables."


def check_encoding(variable: xr.Variable) -> None:
    """Take from an encoded `variable` an ``_Encoding`` that says nothing, as that of numbers.

    MetadataError for an encoding that is none.
    """
    if ENCODING not in variable.attrs:
        return
    if variable.dtype.kind not in _BYTES:
        variable.encoding[ENCODING] = variable.attrs.pop(ENCODING)
    elif not _is_encoding(variable.attrs[ENCODING]):
        raise MetadataError(
            f"its attribute {ENCODING} is {excerpt(variable.attrs[ENCODING])}, which is no "
            "encoding of text that is known",
            advice=_ADVICE,
        )


def keep_bytes(variable: xr.Variable) -> None:
    """Let a variable that xarray decodes by its ``_Encoding`` keep what is not of it as bytes."""
    data: Any = variable._data
    while (inner := getattr(data, "array", None)) is not None:
        if isinstance(data, _ElementwiseFunctionArray):
            match data.func:
                case partial(func=strings.decode_bytes_array, keywords={"encoding": encoding}):
                    data.func = partial(decode_bytes, encoding=encoding)
        data = inner


def decode_bytes(values: Any, encoding: str) -> Array:
    """Each of the bytes as text of the encoding, or itself, as objects."""
    array = np.asarray(values)
    decoded = np.empty(array.size, dtype=object)
    decoded[:] = [_decoded(item, encoding) for item in array.ravel().tolist()]
    return decoded.reshape(array.shape)


def _decoded(item: Any, encoding: str) -> Any:
    if not isinstance(item, bytes):
        return item
    try:
        return item.decode(encoding)
    except UnicodeError:
        return item


def _is_encoding(name: Any) -> bool:
    try:
        b"a".decode(name)
    except UnicodeError:
        return True  # it takes more than one byte
    except (LookupError, ValueError, TypeError):
        return False
    return True
