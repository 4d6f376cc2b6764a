"""Random requests in the grammar, each with the answer that plain comparisons choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.api.oracle import TURN, Asked, By, Chosen, answer, arc, find, inside

Draw = st.DrawFn

HOUR = 3_600 * 10**9
METHODS = {
    "nearest": "nearest",
    "pad": "pad",
    "ffill": "pad",
    "backfill": "backfill",
    "bfill": "backfill",
}
# Dimensions that no bare parameter reaches, and those without labels.
BRACKETED, UNLABELLED = ("f",), ("n",)


@dataclass(frozen=True, slots=True)
class Request:
    """A request's path and parameters, and the Dataset that it must answer with (None: a 422)."""

    path: Literal["sel", "isel"]
    pairs: list[tuple[str, str]]
    answer: xr.Dataset | None

    @property
    def document(self) -> dict[str, Any]:
        """The same request as the JSON object of a POST."""
        found: dict[str, Any] = {}
        for name, text in self.pairs:
            found.setdefault(name, []).append(text)
        return {name: texts if len(texts) > 1 else texts[0] for name, texts in found.items()}


@dataclass(frozen=True, slots=True)
class Kind:
    """How labels of one dimension are drawn and written, and what distances look like."""

    stored: st.SearchStrategy[Any]
    values: st.SearchStrategy[Any]
    write: Callable[[Draw, Any], str]
    tolerances: st.SearchStrategy[tuple[str, Any]]
    circle: bool = False


@dataclass(frozen=True, slots=True)
class Manner:
    """What holds for all labels of a request, and for the lists that are read together."""

    method: str | None = None
    size: int | None = None


def _write_number(draw: Draw, value: float) -> str:
    form = draw(st.sampled_from(["{:g}", "{:.1f}", "{:e}", '"{:g}"']))
    return form.format(value)


def _write_instant(draw: Draw, ticks: int) -> str:
    hours = draw(st.sampled_from([None, None, 0, 2, -5]))
    shifted = np.datetime64(ticks + (hours or 0) * HOUR, "ns")
    text = str(np.datetime_as_string(shifted, unit=draw(st.sampled_from(["m", "s", "ms"]))))
    if draw(st.booleans()):
        text = text.replace("T", " ")
    return text + (draw(st.sampled_from(["", "Z"])) if hours is None else f"{hours:+03d}:00")


def kinds(ds: xr.Dataset) -> dict[str, Kind]:
    """The kind of each dimension with labels."""

    def near(labels: NDArray[Any], grain: float, reach: float) -> st.SearchStrategy[Any]:
        low, high = (int(end / grain) for end in (labels.min() - reach, labels.max() + reach))
        return st.integers(low, high).map(lambda n: n * grain)

    def stored(labels: NDArray[Any]) -> st.SearchStrategy[Any]:
        return st.sampled_from(labels.tolist())

    def upto(most: int) -> st.SearchStrategy[tuple[str, Any]]:
        return st.integers(0, most).map(lambda n: (f"{n / 2:g}", n / 2))

    ticks = ds.time.values.astype("i8")
    hours = st.integers(0, 30).map(lambda n: (f"PT{n}H" if n % 24 else f"P{n // 24}D", n * HOUR))
    turned = st.tuples(stored(ds.lon.values), st.sampled_from([-360, 0, 0, 360, 720])).map(sum)
    found = {
        "time": Kind(stored(ticks), near(ticks, HOUR, 30 * HOUR), _write_instant, hours),
        "lon": Kind(turned, near(ds.lon.values, 7.5, 500.0), _write_number, upto(60), circle=True),
    }
    for dim, grain, reach, most in (
        ("level", 25, 400, 300),
        ("lat", 7.5, 60, 60),
        ("f", 0.5, 3, 6),
    ):
        labels = ds[dim].values
        wide = near(labels, grain, reach)
        found[dim] = Kind(stored(labels), wide, _write_number, upto(most))
    return found


def _labels(ds: xr.Dataset, dim: str) -> NDArray[Any]:
    values: NDArray[Any] = ds[dim].values
    return values.astype("i8") if values.dtype.kind == "M" else values


def _periods() -> st.SearchStrategy[tuple[str, int, int]]:
    """A year, month or day with its first and last nanosecond."""

    def bounds(text: str) -> tuple[str, int, int]:
        first: Any = np.datetime64(text)
        after = first + np.array(1, f"m8[{np.datetime_data(first)[0]}]")
        ends = (first.astype("M8[ns]"), after.astype("M8[ns]"))
        return text, int(ends[0].astype("i8")), int(ends[1].astype("i8")) - 1

    days = ["2020-01-29", "2020-01-30", "2020-01-31", "2020-02-01", "2020-02-03"]
    return st.sampled_from(["2020", "2019", "2020-01", "2020-02", *days]).map(bounds)


def _one(draw: Draw, dim: str, kind: Kind, *, exact: bool) -> tuple[str, Any, Any]:
    """A label's text with the first and last key that it covers."""
    if dim == "time" and draw(st.integers(0, 7)) == 0:
        return draw(_periods())
    value = draw(kind.stored if draw(st.integers(0, 19)) < (19 if exact else 8) else kind.values)
    return kind.write(draw, value), value, value


def by_interval(draw: Draw, ds: xr.Dataset, dim: str, kind: Kind) -> Asked:
    start, stop = (
        None if draw(st.integers(0, 4)) == 0 else _one(draw, dim, kind, exact=False)
        for _ in range(2)
    )
    if kind.circle and start is not None and draw(st.integers(0, 4)) == 0:
        # All the way round, from wherever it begins.
        stop = (kind.write(draw, start[1] + TURN), start[1] + TURN, None)
    step = draw(st.sampled_from([1, 1, 2, 3]))
    text = "/".join(".." if end is None else end[0] for end in (start, stop))
    text += f"/{step}" if step > 1 or draw(st.booleans()) else ""
    labels = _labels(ds, dim)
    if start is not None and stop is not None:
        if kind.circle:
            return Asked([text], "label", *arc(labels, start[1], stop[1], step))
        chosen = inside(labels, min(start[1], stop[1]), max(start[2], stop[2]), step)
    else:
        chosen = inside(labels, start and start[1], stop and stop[2], step)
    return Asked([text], "label", chosen)


def by_labels(draw: Draw, ds: xr.Dataset, dim: str, kind: Kind, manner: Manner) -> Asked:
    """A label or a list of them, exact or not."""
    labels = _labels(ds, dim)
    listed = draw(st.booleans())
    count = (manner.size or draw(st.integers(1, 4))) if listed else 1
    own = draw(st.sampled_from([None, None, *METHODS]))
    method = METHODS[own] if own else manner.method
    items = [_one(draw, dim, kind, exact=method is None) for _ in range(count)]
    written, tolerance = None, None
    if method and draw(st.integers(0, 2)) == 0:
        written, tolerance = draw(kind.tolerances)
    prefix = f"{own}::" if own else ""
    texts = _spread(draw, [item[0] for item in items], prefix) if listed else [prefix + items[0][0]]
    period = items[0][1] != items[0][2] and not listed and not method and not manner.size
    if period:
        return Asked(texts, "label", inside(labels, items[0][1], items[0][2], 1))
    found = [find(labels, item[1], method, tolerance, circle=kind.circle) for item in items]
    chosen: Chosen = None
    if None not in found:
        chosen = np.array(found) if listed else found[0]
    return Asked(texts, "label", chosen, tolerance=written)


def by_positions(draw: Draw, ds: xr.Dataset, dim: str, manner: Manner) -> Asked:
    size = ds.sizes[dim]
    rarely_outside = st.integers(-size - 1, size) if draw(st.integers(0, 9)) == 0 else st.nothing()
    indexes = st.one_of(st.integers(-size, size - 1), rarely_outside)
    match draw(st.sampled_from(["one", "list"] + ["slice"] * (manner.size is None))):
        case "one":
            index = draw(indexes)
            return Asked([str(index)], "position", _on(index, size))
        case "list":
            asked = draw(st.tuples(*[indexes] * (manner.size or draw(st.integers(1, 4)))))
            found = [_on(index, size) for index in asked]
            chosen = None if None in found else np.array(found)
            return Asked(_spread(draw, list(map(str, asked)), ""), "position", chosen)
        case _:
            bound = st.one_of(st.none(), st.integers(-size - 2, size + 2))
            start, stop, step = (
                draw(bound),
                draw(bound),
                draw(st.sampled_from([None, 1, 2, -1, -2])),
            )
            parts = (start, stop) if step is None else (start, stop, step)
            positions = np.arange(size)[slice(start, stop, step)]
            text = ":".join("" if part is None else str(part) for part in parts)
            return Asked([text], "position", positions if positions.size else None)


def _on(index: int, size: int) -> int | None:
    return index % size if -size <= index < size else None


def _spread(draw: Draw, items: list[str], prefix: str) -> list[str]:
    """A list in one value or in several; a comma makes a list of one item."""
    if len(items) == 1:
        return [f"{prefix}{items[0]},"]
    if draw(st.booleans()):
        return [prefix + ",".join(items)]
    cut = draw(st.integers(1, len(items) - 1))
    return [prefix + ",".join(items[:cut]), *(prefix + item for item in items[cut:])]


def _name(draw: Draw, path: str, dim: str, by: By) -> str:
    own = "label" if path == "sel" else "position"
    names = [f"sel[{dim}]" if by == "label" else f"isel[{dim}]"]
    if dim in UNLABELLED:
        names.append(f"sel[{dim}]")
    if dim not in BRACKETED and (by == own or dim in UNLABELLED):
        names += [dim, dim]
    return draw(st.sampled_from(names))


@st.composite
def requests(draw: Draw, ds: xr.Dataset) -> Request:
    """A request that the grammar knows, of labels and positions that are mostly there."""
    paths: list[Literal["sel", "isel"]] = ["sel", "sel", "isel"]
    path = draw(st.sampled_from(paths))
    together = draw(st.sampled_from([0, 0, 2, 3]))
    pointwise = draw(st.permutations(["lat", "lon", "time", "level"]))[:together]
    default = draw(st.sampled_from([None] * 5 + list(METHODS)))
    method = METHODS[default] if default else None
    known, size = kinds(ds), draw(st.integers(1, 4))
    asked: dict[str, Asked] = {}
    for dim in draw(st.permutations([str(dim) for dim in ds.sizes])):
        if dim in pointwise:
            asked[dim] = _along(draw, ds, dim, known.get(dim), Manner(method, size))
        elif draw(st.integers(0, 2)):
            asked[dim] = _along(draw, ds, dim, known.get(dim), Manner(method))
    pairs: list[tuple[str, str]] = []
    for dim, one in asked.items():
        name = _name(draw, path, dim, one.by)
        pairs += [(name, text) for text in one.texts]
    labelled = path == "sel" or any(one.by == "label" for one in asked.values())
    names = st.lists(st.sampled_from([*ds.data_vars, *ds.coords]), min_size=1, unique=True)
    groups = st.sampled_from([["t"], ["u"], ["height"], ["s"]])
    variables = draw(st.one_of(st.none(), groups, groups, names))
    options = {
        "method": default if labelled else None,
        "tolerance": ",".join(
            f"{dim}:{one.tolerance}" for dim, one in asked.items() if one.tolerance
        ),
        "pointwise": ",".join(pointwise),
        "variables": ",".join(variables or []),
    }
    pairs += [(name, text) for name, text in options.items() if text]
    return Request(path, pairs, answer(ds, asked, pointwise, variables))


def _along(draw: Draw, ds: xr.Dataset, dim: str, kind: Kind | None, manner: Manner) -> Asked:
    forms = ["position"]
    if kind is not None:
        forms += ["label", "label"] + ["interval"] * (manner.size is None)
    form = draw(st.sampled_from(forms))
    if kind is None or form == "position":
        return by_positions(draw, ds, dim, manner)
    if form == "label":
        return by_labels(draw, ds, dim, kind, manner)
    return by_interval(draw, ds, dim, kind)
