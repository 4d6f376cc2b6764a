"""What a dataset holds, and what its axes stand for; reads nothing."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from sluice.aliases import Array
from sluice.axes.axis import Axis
from sluice.axes.roles import Role, calendar_of_axis
from sluice.datasets import describe
from sluice.datasets.explain import MOST_LABEL_BYTES, MOST_LABELS
from sluice.engine.prepared import PreparedDataset
from sluice.sizes import text_bytes

_UNKNOWN: Final = {
    "role": None,
    "ascending": None,
    "wraps": None,
    "calendar": None,
    "values": None,
}


def describe_prepared(prepared: PreparedDataset) -> dict[str, Any]:
    """As `describe`, and for each coordinate the facts of its axis.

    ``role`` is X, Y, Z or T; ``ascending`` None where labels neither rise nor fall; ``wraps`` says
    that the last label's other neighbour is the first; ``values`` are all labels where they are
    at most `MOST_LABELS`. All of them are None for a coordinate without an index.
    """
    told = describe(prepared.dataset)
    for name, coordinate in told["coords"].items():
        axis = prepared.axes.get(str(name))
        role = prepared.roles.get(str(name))
        coordinate.update(_UNKNOWN if axis is None else _facts(axis, role))
    return told


def _facts(axis: Axis, role: Role | None) -> dict[str, Any]:
    directions = {"ascending": True, "descending": False, "unsorted": None}
    return {
        "role": role,
        "ascending": directions[axis.direction],
        "wraps": axis.periodic,
        "calendar": calendar_of_axis(axis),
        "values": _few_values(axis.values),
    }


def _few_values(values: Array) -> Array | None:
    if values.size > MOST_LABELS:
        return None
    texts = np.asarray(values, dtype=object) if values.dtype.kind in "US" else values
    return values if text_bytes(texts) <= MOST_LABEL_BYTES else None
