"""Dataset -> JSON in the shape of ``xarray.Dataset.to_dict()``, always valid, written by orjson."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import TYPE_CHECKING

from sluice.encoders.outline import Outline
from sluice.encoders.written import Written

if TYPE_CHECKING:
    import xarray as xr


def encode_json(
    dataset: xr.Dataset, written: Written | None = None, form: Hashable = None
) -> bytes:
    """UTF-8 JSON of ``{"dims", "attrs", "coords", "data_vars"}``; no dtype and no attribute fails.

    What `written` holds already, of answers of this `form` (see there), is not written again; the
    text is the same without it. The dataset is in memory: reading a lazy variable raises what its
    array raises.
    """
    written = written or Written()
    frame, variables = written.frame(dataset, form), dataset._variables
    text: list[bytes] = []
    for name, before in frame.before:
        text += (before, written.data(name, variables[name]))
    text.append(frame.end)
    return b"".join(text)


def check_json(outline: Outline) -> None:
    """Nothing: JSON has a form for every answer."""


def json_bytes(outline: Outline) -> int:
    """What an answer counts for as JSON, in bytes.

    A value of one byte counts twice, because "false" and its comma are six: so the text of no
    number, boolean or instant is longer than six times what it counts for. Attributes are in the
    answer too.
    """
    single = [math.prod(v.shape) for v in outline.variables.values() if v.dtype.itemsize == 1]
    return outline.result_bytes + outline.attribute_bytes + sum(single)
