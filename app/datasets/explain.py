"""What a planned selection would answer and cost, without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr
from numpy.typing import NDArray

from app.datasets.pending import DatasetPlan


def explain(plan: DatasetPlan, labels: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Dimensions, costs and chosen coordinates of `plan`; `labels` as for `relabel`.

    ``result_bytes`` is the answer in memory, ``chunks`` and ``chunk_bytes`` what must be decoded
    for it. A coordinate whose values are still in the store comes without ``data``.
    """
    coords = {name: plan.variables[name] for name in plan.variables if name in plan.coord_names}
    described: dict[Any, dict[str, Any]] = {}
    for name, variable in coords.items():
        if isinstance(variable, xr.Variable):
            data = labels[str(name)] if name in labels else variable.values
            described[name] = {"dims": variable.dims, "dtype": str(data.dtype), "data": data}
        else:
            described[name] = {"dims": variable.dims, "dtype": str(variable.array.dtype)}
    return {
        "dims": plan.sizes,
        "result_bytes": plan.result_bytes,
        "chunks": plan.chunks,
        "chunk_bytes": plan.chunk_bytes,
        "coords": described,
    }
