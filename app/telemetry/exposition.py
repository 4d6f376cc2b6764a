"""Numbers of several processes -> one text, as Prometheus reads it (its text format, 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from math import isnan
from operator import add
from typing import Final, TypeAlias

from .cells import name_of, records
from .families import SECONDS, Family, counted_as, labels_of

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# The cells of a family's series, by the values of its labels.
Found: TypeAlias = dict[tuple[str, ...], list[float]]

_BOUNDS: Final = (*map(repr, SECONDS), "+Inf")
_ESCAPES: Final = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def exposition(families: Sequence[Family], regions: Iterable[tuple[bool, bytes]]) -> bytes:
    """The text of all families; of each region is told whether its process lives."""
    named = {family.name: family for family in families}
    found: dict[str, Found] = {name: {} for name in named}
    for alive, data in regions:
        for key, cells in records(data):
            family = named[name_of(key)]
            if family.kind == "gauge" and (not alive or isnan(cells[0])):
                continue
            _merge(family, found[family.name], labels_of(key), cells)
    lines = [
        line
        for family in families
        for line in (_head(family), *_series_lines(family, found[family.name]))
    ]
    return "\n".join((*lines, "")).encode()


def _merge(family: Family, found: Found, labels: tuple[str, ...], cells: tuple[float, ...]) -> None:
    """Add what one process has to what was found of the others, who may know other series."""
    labels = counted_as(family, labels, found)
    others = found.get(labels)
    if others is None:
        found[labels] = list(cells)
    else:
        others[:] = map(max if family.worst else add, others, cells)


def _head(family: Family) -> str:
    return f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.kind}"


def _series_lines(family: Family, found: Found) -> Iterator[str]:
    for values, cells in sorted(found.items()):
        pairs = [
            f'{name}="{value.translate(_ESCAPES)}"'
            for name, value in zip(family.labels, values, strict=True)
        ]
        labels = f"{{{','.join(pairs)}}}" if pairs else ""
        match family.kind:
            case "counter" | "gauge":
                yield f"{family.name}{labels} {cells[0]!r}"
            case "summary":
                yield f"{family.name}_count{labels} {cells[0]!r}"
                yield f"{family.name}_sum{labels} {cells[1]!r}"
            case "histogram":
                yield from _histogram_lines(family.name, pairs, labels, cells)


def _histogram_lines(name: str, pairs: list[str], labels: str, cells: list[float]) -> Iterator[str]:
    counts = list(accumulate(cells[:-1]))
    for bound, count in zip(_BOUNDS, counts, strict=True):
        yield f"{name}_bucket{{{','.join((*pairs, f'le={chr(34)}{bound}{chr(34)}'))}}} {count!r}"
    yield f"{name}_count{labels} {counts[-1]!r}"
    yield f"{name}_sum{labels} {cells[-1]!r}"
