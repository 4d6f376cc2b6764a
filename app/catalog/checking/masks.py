"""Booleans of which a whole value is read as missing, because it is the array's fill value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from .findings import Finding, Severity

_FILLS = ("_FillValue", "missing_value")


def mask_findings(dataset: xr.Dataset) -> Iterator[Finding]:
    """What fill values do to the booleans of a dataset; reads nothing."""
    for name, variable in dataset.variables.items():
        fills = {key: variable.encoding[key] for key in _FILLS if key in variable.encoding}
        text = _masked(variable, fills) if fills else None
        if text is not None:
            yield Finding(Severity.WARNING, str(name), text)


def _masked(variable: xr.Variable, fills: dict[str, Any]) -> str | None:
    """The finding, if the variable holds booleans: stored as such, or as numbers (xarray's way)."""
    stored, mend = variable.encoding.get("dtype"), _mend(fills)
    if variable.dtype.kind == "O" and isinstance(stored, np.dtype) and stored.kind == "b":
        words = " and every ".join(sorted({str(bool(fill)).lower() for fill in fills.values()}))
        return (
            f"its booleans have a fill value, so every {words} is read as missing, as xarray reads "
            f"it: null in JSON, an empty field in CSV, -1 in NetCDF. If it is no gap, {mend}."
        )
    if variable.dtype.kind == "b":
        numbers = ", ".join(sorted({str(fill) for fill in fills.values()}))
        return (
            f"its booleans are stored as numbers with the fill value {numbers}, and what is "
            f"missing is read as true, as xarray reads it: {mend}."
        )
    return None


def _mend(fills: dict[str, Any]) -> str:
    return f"set fill_value to null (Zarr v2), or remove the attribute {' and '.join(fills)}"
