"""What a planned selection would answer and cost, without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from app.datasets.pending import DatasetPlan


def explain(plan: DatasetPlan, labels: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Dimensions, costs and chosen coordinates of `plan`; `labels` as for `relabel`.

    ``result_bytes`` is the answer in memory, ``chunks`` and ``chunk_bytes`` what must be decoded
    for it. A coordinate whose values are still in the store comes without ``data``.
    """
    outline = plan.outline
    described: dict[Any, dict[str, Any]] = {}
    for name, form in outline.variables.items():
        if name not in outline.coord_names:
            continue
        described[name] = {"dims": form.dims, "dtype": str(form.dtype)}
        if name in plan.variables:
            data = labels[str(name)] if name in labels else plan.variables[name].values
            described[name] |= {"dtype": str(data.dtype), "data": data}
    return {
        "dims": outline.sizes,
        "result_bytes": outline.result_bytes,
        "chunks": plan.chunks,
        "chunk_bytes": plan.chunk_bytes,
        "coords": described,
    }
