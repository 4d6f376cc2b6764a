"""Hypothesis strategies for selections: every kind of indexer, on an open Dataset."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import strategies as st

from tests.equivalence.coordinates import Draw, rarely

POINTS = 3
PLANE = (2, 2)


@st.composite
def isel_arguments(draw: Draw, dataset: xr.Dataset) -> dict[str, Any]:
    """Keywords of `isel`: positions for some dimensions, and the options."""
    indexers = {
        str(name): _position(draw, str(name), size)
        for name, size in dataset.sizes.items()
        if draw(st.integers(0, 3))
    }
    if rarely(draw, 10) and indexers:
        name = draw(st.sampled_from(list(indexers)))
        indexers[name] = _bad_position(draw, dataset.sizes[name])
    arguments: dict[str, Any] = {"indexers": indexers}
    if rarely(draw, 8):
        indexers["nowhere"] = 0
        arguments["missing_dims"] = draw(st.sampled_from(("raise", "warn", "ignore", "sometimes")))
    if rarely(draw, 3):
        arguments["drop"] = draw(st.booleans())
    return _as_keywords(draw, arguments)


@st.composite
def sel_arguments(draw: Draw, dataset: xr.Dataset) -> dict[str, Any]:
    """Keywords of `sel`: labels (positions where there are none), method, tolerance."""
    method = draw(
        st.sampled_from((None,) * 6 + ("nearest", "nearest", "pad", "ffill", "backfill", "bfill"))
    )
    indexers = _labels_by_dimension(draw, dataset, method)
    arguments: dict[str, Any] = {"indexers": indexers}
    if rarely(draw, 15):
        indexers["nowhere"] = 0
    if method is not None:
        arguments["method"] = method
        if rarely(draw, 3):
            arguments["tolerance"] = _tolerance(draw, dataset, indexers)
    if rarely(draw, 40):
        arguments["method"] = "sideways"
    if rarely(draw, 3):
        arguments["drop"] = draw(st.booleans())
    return _as_keywords(draw, arguments)


def _labels_by_dimension(draw: Draw, dataset: xr.Dataset, method: str | None) -> dict[str, Any]:
    indexers: dict[str, Any] = {}
    for name, size in ((str(name), size) for name, size in dataset.sizes.items()):
        if not draw(st.integers(0, 2)):
            continue
        if name in dataset.indexes and not rarely(draw, 20):
            indexers[name] = _label(draw, name, dataset.indexes[name], method)
        else:
            indexers[name] = _position(draw, name, size)
    further = [name for name in dataset.coords if name not in dataset.dims]
    if further and rarely(draw, 8):
        name = draw(st.sampled_from(further))
        indexers[name] = _further_label(draw, dataset[name])
    return indexers


def _as_keywords(draw: Draw, arguments: dict[str, Any]) -> dict[str, Any]:
    """The indexers as a mapping, or as keywords of their own."""
    if draw(st.booleans()):
        return arguments
    return {**arguments.pop("indexers"), **arguments}


# ---- positions


def _position(draw: Draw, name: str, size: int) -> Any:
    choice = draw(st.sampled_from(_POSITIONS if size else _POSITIONS_OF_NOTHING))
    return choice(draw, name, size)


def _at(draw: Draw, size: int) -> int:
    return int(draw(st.integers(-size, size - 1)))


def _many(draw: Draw, size: int, length: int | None = None) -> list[int]:
    low, high = (0, 5) if length is None else (length, length)
    return list(draw(st.lists(st.integers(-size, size - 1), min_size=low, max_size=high)))


def _scalar(draw: Draw, name: str, size: int) -> Any:
    kind = draw(st.sampled_from((int, int, np.int64, np.uint8, np.array)))
    at = _at(draw, size)
    return kind(abs(at) % size) if kind is np.uint8 else kind(at)


def _slice(draw: Draw, name: str, size: int) -> slice:
    bound = st.one_of(st.none(), st.integers(-size - 3, size + 3))
    step = draw(st.sampled_from((None, None, 1, 2, 3, -1, -2, -7)))
    return slice(draw(bound), draw(bound), step)


def _list(draw: Draw, name: str, size: int) -> Any:
    return _many(draw, size)


def _array(draw: Draw, name: str, size: int) -> Any:
    return np.array(_many(draw, size), dtype=draw(st.sampled_from(("i8", "i4", "i2"))))


def _empty(draw: Draw, name: str, size: int) -> Any:
    return draw(st.sampled_from(([], np.array([], dtype=int), slice(0, 0))))


def _mask(draw: Draw, name: str, size: int) -> Any:
    mask = np.array(draw(st.lists(st.booleans(), min_size=size, max_size=size)), dtype=bool)
    kind = draw(st.sampled_from(("array", "list", "dataarray", "variable")))
    if kind == "dataarray":
        return xr.DataArray(mask, dims=name)
    if kind == "variable":
        return xr.Variable(name, mask)
    return mask.tolist() if kind == "list" and size else mask


def _same_dimension(draw: Draw, name: str, size: int) -> Any:
    positions = np.array(_many(draw, size), dtype=int)
    kind = draw(st.sampled_from(("dataarray", "variable", "tuple", "labelled")))
    if kind == "variable":
        return xr.Variable(name, positions)
    if kind == "tuple":
        return (name, positions)
    coords = {"flag": (name, positions * 2)} if kind == "labelled" else None
    return xr.DataArray(positions, dims=name, coords=coords)


def _points(draw: Draw, name: str, size: int) -> Any:
    positions = np.array(_many(draw, size, POINTS), dtype=int)
    coords: dict[str, Any] = {}
    if rarely(draw, 3):
        coords["points"] = ["p", "q", "r"]
    if rarely(draw, 3):
        coords[f"{name}_of"] = ("points", np.arange(POINTS) / 2)
    if draw(st.booleans()):
        return xr.Variable("points", positions)
    return xr.DataArray(positions, dims="points", coords=coords)


def _plane(draw: Draw, name: str, size: int) -> Any:
    positions = np.array(_many(draw, size, PLANE[0] * PLANE[1]), dtype=int).reshape(PLANE)
    coords = {"row": ("row", [10, 20])} if rarely(draw, 3) else None
    return xr.DataArray(positions, dims=("row", "column"), coords=coords)


def _zero_dimensional(draw: Draw, name: str, size: int) -> Any:
    coords = {"picked": 5.0} if rarely(draw, 2) else None
    return xr.DataArray(_at(draw, size), coords=coords)


_POSITIONS_OF_NOTHING = (_slice, _empty, _mask)
_POSITIONS = (
    *(_scalar, _scalar, _slice, _slice, _slice, _list, _array, _points, _points, _mask),
    *(_empty, _same_dimension, _plane, _zero_dimensional),
)


def _bad_position(draw: Draw, size: int) -> Any:
    return draw(
        st.sampled_from(
            (
                size,
                -size - 1,
                -2 * size - 1,
                [0, size + 4],
                np.array([-size - 2]),
                1.5,
                [0.5],
                "a",
                ["a"],
                [[0]],
                np.ones(size + 1, dtype=bool),
                np.zeros((1, 1), dtype=bool),
                None,
                xr.DataArray([size + 9], dims="points"),
                slice(None, None, 0),
                slice("a", None),
            )
        )
    )


# ---- labels


def _label(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    if rarely(draw, 14):
        return _wrong_label(draw)
    kinds = _LABELS if len(index) else (_label_slice, _label_empty, _label_absent)
    return draw(st.sampled_from(kinds))(draw, name, index, method)


def _one(draw: Draw, index: pd.Index, inexact: bool) -> Any:
    """One of the labels, in one of its spellings, or (for a method) one beside it."""
    label: Any = index[draw(st.integers(0, len(index) - 1))]
    if isinstance(label, float | np.floating | int | np.integer) and not isinstance(label, bool):
        if inexact:
            return float(label) + draw(st.sampled_from((0.0, 0.1, -0.3, 0.5, 100.0, -100.0)))
        return draw(st.sampled_from((label, label.item() if hasattr(label, "item") else label)))
    if isinstance(label, pd.Timestamp):
        moved: Any = (
            label + pd.Timedelta(hours=draw(st.sampled_from((0, 1, -5)))) if inexact else label
        )
        return draw(st.sampled_from(_spellings(moved)))
    if isinstance(label, pd.Timedelta):
        moved = label + pd.Timedelta(minutes=20) if inexact else label
        return draw(st.sampled_from((moved, moved.to_timedelta64(), str(moved))))
    if hasattr(label, "calendar"):
        moved = label + datetime.timedelta(hours=1) if inexact else label
        return draw(st.sampled_from((moved, moved, moved.isoformat(), moved.isoformat()[:10])))
    return label


def _spellings(moment: pd.Timestamp) -> list[Any]:
    text = moment.isoformat()
    spellings = [moment, moment.to_datetime64(), text, moment.to_pydatetime(warn=False)]
    return [*spellings, text[:10], text[:7], text[:4], text[:13], np.datetime64(moment, "D")]


def _label_one(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    return _one(draw, index, method is not None)


def _label_zero_dimensional(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    label = index[draw(st.integers(0, len(index) - 1))]
    return xr.DataArray(label, coords={"picked": 5.0} if rarely(draw, 2) else None)


def _labels(draw: Draw, index: pd.Index, method: str | None, length: int) -> list[Any]:
    numeric = index.dtype.kind in "iuf"
    if numeric and method:
        return [_one(draw, index, True) for _ in range(length)]
    return [index[draw(st.integers(0, len(index) - 1))] for _ in range(length)]


def _label_list(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    found = _labels(draw, index, method, draw(st.integers(1, 4)))
    kind = draw(st.sampled_from(("list", "array", "index", "texts")))
    if kind == "array":
        return pd.Index(found).to_numpy()
    if kind == "index":
        return pd.Index(found)
    if kind == "texts" and index.dtype.kind == "M":
        return [pd.Timestamp(label).isoformat() for label in found]
    return found


def _label_points(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    found = pd.Index(_labels(draw, index, method, POINTS)).to_numpy()
    coords = {"points": ["p", "q", "r"]} if rarely(draw, 3) else None
    dims = name if rarely(draw, 5) else "points"
    return xr.DataArray(found, dims=dims, coords=coords if dims == "points" else None)


def _label_plane(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    found = pd.Index(_labels(draw, index, method, 4)).to_numpy().reshape(PLANE)
    return xr.DataArray(found, dims=("row", "column"))


def _label_slice(draw: Draw, name: str, index: pd.Index, method: str | None) -> slice:
    def end() -> Any:
        if not len(index) or rarely(draw, 3):
            return None
        return _one(draw, index, rarely(draw, 3))

    step = draw(st.sampled_from((None, None, None, 1, 2, -1, -2)))
    return slice(end(), end(), step)


def _label_mask(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    mask = np.array(draw(st.lists(st.booleans(), min_size=len(index), max_size=len(index))))
    return xr.DataArray(mask, dims=name) if rarely(draw, 3) else mask


def _label_empty(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    return draw(st.sampled_from(([], index[:0].to_numpy(), index[:0])))


def _label_absent(draw: Draw, name: str, index: pd.Index, method: str | None) -> Any:
    return draw(
        st.sampled_from((-987, 0.123, "zebra", "1899-01-01", np.datetime64("1900-01-01"), [-987]))
    )


_LABELS = (
    *(_label_one, _label_one, _label_one, _label_list, _label_list, _label_slice, _label_slice),
    *(_label_points, _label_zero_dimensional, _label_plane, _label_mask, _label_empty),
    _label_absent,
)


def _wrong_label(draw: Draw) -> Any:
    return draw(
        st.sampled_from(
            (
                "zebra",
                b"bytes",
                None,
                3 + 4j,
                (1, 2),
                [[1.0]],
                {"a": 1},
                float("nan"),
                "2000-13-45",
                datetime.date(2000, 1, 1),
                pd.Timedelta("1h"),
                ["zebra"],
                True,
                slice("zebra", None),
                slice(1.0, 2.0, "x"),
            )
        )
    )


def _further_label(draw: Draw, coordinate: xr.DataArray) -> Any:
    """A label on a coordinate that has no index."""
    values = coordinate.values.ravel()
    if not len(values) or rarely(draw, 4):
        return draw(st.sampled_from((0, "zebra", slice(None), [0])))
    label = values[draw(st.integers(0, len(values) - 1))]
    return draw(st.sampled_from((label, [label], slice(label, None), slice(None, label))))


def _tolerance(draw: Draw, dataset: xr.Dataset, indexers: dict[str, Any]) -> Any:
    kinds = {dataset.indexes[name].dtype.kind for name in indexers if name in dataset.indexes}
    if kinds & set("Mm"):
        return draw(st.sampled_from((np.timedelta64(2, "h"), pd.Timedelta("1D"), "3h", 1)))
    return draw(st.sampled_from((0.2, 1, 50.0, np.float64(0.4), datetime.timedelta(hours=3), -1)))
