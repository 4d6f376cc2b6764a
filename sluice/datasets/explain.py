"""What a planned selection would answer and cost, without reading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sluice.aliases import Array
from sluice.arrays.texts import text_bytes
from sluice.datasets.describe import dtype_name, step_of
from sluice.datasets.pending import DatasetPlan
from sluice.labels import JsonScalar, format_label

# More labels than this, or longer ones, are told by their ends.
MOST_LABELS: Final = 1000
MOST_LABEL_BYTES: Final = 2**16
# Of a text that is an end no more letters are told.
_MOST_LETTERS: Final = 1000


def explain(plan: DatasetPlan, labels: Mapping[str, Array]) -> dict[str, Any]:
    """Dimensions, costs and chosen coordinates of `plan`; `labels` as for `relabel`.

    ``result_bytes`` is the answer in memory, ``chunks`` and ``chunk_bytes`` what must be decoded
    for it. A coordinate of more than `MOST_LABELS` labels, or of texts of more than
    `MOST_LABEL_BYTES`, has ``size``, ``first``, ``last`` (cut where they are long) and ``step`` in
    place of ``data``; one whose values are still in the store has neither.
    """
    outline = plan.outline
    described: dict[Any, dict[str, Any]] = {}
    for name, form in outline.variables.items():
        if name not in outline.coord_names:
            continue
        described[name] = {"dims": form.dims, "dtype": dtype_name(form.dtype)}
        if name in plan.variables:
            data = labels[str(name)] if name in labels else plan.variables[name].values
            described[name] |= {"dtype": dtype_name(data.dtype), **_labels(data)}
    return {
        "dims": outline.sizes,
        "result_bytes": outline.result_bytes,
        "chunks": plan.chunks,
        "chunk_bytes": plan.chunk_bytes,
        "coords": described,
    }


def _labels(data: Array) -> dict[str, Any]:
    if data.size <= MOST_LABELS and text_bytes(_texts(data)) <= MOST_LABEL_BYTES:
        return {"data": data}
    ends = data.ravel()[[0, -1]]
    first, last = (_shortened(format_label(end)) for end in ends)
    step = step_of(data) if data.ndim == 1 else None
    return {"size": data.size, "first": first, "last": last, "step": step}


def _texts(data: Array) -> Array:
    """The labels as objects where they are texts of a fixed width, which most do not fill."""
    return data.astype(object) if data.dtype.kind in "US" else data


def _shortened(label: JsonScalar) -> JsonScalar:
    if isinstance(label, str) and len(label) > _MOST_LETTERS:
        return f"{label[:_MOST_LETTERS]}..."
    return label
