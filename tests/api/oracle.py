"""What a request chooses, by plain comparisons of labels: NumPy and xarray, nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

By = Literal["label", "position"]
# Positions along a dimension; None where the request must be refused.
Chosen = int | NDArray[np.int64] | None

TURN = 360


@dataclass(frozen=True, slots=True)
class Asked:
    """One dimension's values in a request, what they choose and under which labels."""

    texts: list[str]
    by: By
    chosen: Chosen
    labels: NDArray[Any] | None = None
    tolerance: str | None = None


def dataset(lats: NDArray[Any], lons: NDArray[Any]) -> xr.Dataset:
    """A dataset of every kind of dimension; no two of its values are alike."""
    sizes = {"time": 8, "level": 3, "lat": lats.size, "lon": lons.size, "f": 3, "n": 4}
    shapes = {
        "t": ("time", "lat", "lon"),
        "u": ("time", "level", "lat", "lon"),
        "height": ("lat", "lon"),
        "s": ("f", "n"),
    }
    data = {}
    for number, (name, dims) in enumerate(shapes.items()):
        shape = [sizes[dim] for dim in dims]
        data[name] = (dims, np.arange(np.prod(shape)).reshape(shape) + number * 1e5)
    data["t"][1][::3, 1, ::2] = np.nan
    coords = {
        "time": np.datetime64("2020-01-30", "ns") + np.arange(8) * np.timedelta64(12, "h"),
        "level": np.array([1000, 850, 500], "i4"),
        "lat": lats,
        "lon": lons,
        "f": np.array([1, 2, 4]),
        "depth": ("level", [0.5, 1.5, 2.5]),
    }
    return xr.Dataset(data, coords)


def goes_round(labels: NDArray[Any]) -> bool:
    return bool(np.ptp(labels) + abs(labels[1] - labels[0]) >= TURN)


def find(
    labels: NDArray[Any], asked: Any, method: str | None, tolerance: Any, *, circle: bool
) -> int | None:
    """The position that a label names, or that `method` takes for it."""
    low, high = labels.min(), labels.max()
    where, bounded = np.arange(labels.size), True
    if circle:
        asked = low + (asked - low) % TURN
        if goes_round(labels):
            bounded = False
            turns = (-TURN, 0, TURN) if labels[0] < labels[-1] else (TURN, 0, -TURN)
            labels = np.concatenate([labels + turn for turn in turns])
            where = np.tile(where, 3)
        elif asked > high and low - (asked - TURN) < asked - high:
            asked -= TURN
    if (labels == asked).any():
        return int(where[np.flatnonzero(labels == asked)[0]])
    if method is None:
        return None
    rising = np.sort(labels)
    beyond = asked < low - (rising[1] - rising[0]) or asked > high + (rising[-1] - rising[-2])
    if bounded and tolerance is None and beyond:
        return None
    chosen = _choose(labels, asked, method)
    if chosen is None or (tolerance is not None and abs(labels[chosen] - asked) > tolerance):
        return None
    return int(where[chosen])


def _choose(labels: NDArray[Any], asked: Any, method: str) -> int | None:
    apart = np.abs(labels - asked)
    if method == "nearest":
        ties = np.flatnonzero(apart == apart.min())
        return int(ties[labels[ties].argmax()])
    # Before and after are meant in the order in which the labels are stored.
    before = labels < asked if labels[0] < labels[-1] else labels > asked
    count = int(before.sum())
    if method == "pad":
        return count - 1 if count else None
    return count if count < labels.size else None


def inside(labels: NDArray[Any], low: Any, high: Any, step: int) -> Chosen:
    """The positions of labels between two ends (None: open), in the store's order."""
    mask = np.ones(labels.size, bool)
    if low is not None:
        mask &= labels >= low
    if high is not None:
        mask &= labels <= high
    positions = np.flatnonzero(mask)[::step]
    return positions if positions.size else None


def arc(lons: NDArray[Any], west: float, east: float, step: int) -> tuple[Chosen, Any]:
    """The columns from `west` eastward to `east` in that order, and their labels."""
    width = TURN if east - west >= TURN else (east - west) % TURN
    offsets = (lons - west) % TURN
    order = np.argsort(offsets)
    positions = order[offsets[order] <= width][::step]
    return (positions, west + offsets[positions]) if positions.size else (None, None)


def answer(
    ds: xr.Dataset, asked: dict[str, Asked], pointwise: list[str], variables: list[str] | None
) -> xr.Dataset | None:
    """The part of `ds` that was chosen, under the labels that were asked for."""
    indexers: dict[str, Any] = {}
    count = max((np.size(np.asarray(asked[dim].chosen)) for dim in pointwise), default=0)
    for dim, one in asked.items():
        if one.chosen is None:
            return None
        indexers[dim] = one.chosen
        if dim in pointwise:
            indexers[dim] = xr.DataArray(np.broadcast_to(one.chosen, count), dims="points")
    chosen = ds.isel(indexers)
    labels = {dim: one.labels for dim, one in asked.items() if one.labels is not None}
    chosen = chosen.assign_coords(labels)
    return chosen if variables is None else chosen[variables]
