"""Metrics as Prometheus has them: families of series, which tell themselves apart by labels.

However much there is to count, a family has so many series and a few more: what comes later is
counted with `OTHER` as its first label, and at last as its every label. The numbers of several
processes become one text (Prometheus' text format, 0.0.4).

Those of one process are in memory that outlives it and that others of its server read: each has a
region of its own in one file. A region begins with whether its process lives and how many bytes of
records follow; a record is the length of a key, a number of cells, the key, and the cells, each a
float64 in the machine's order. Nothing is locked: one event loop writes, and the length is written
after the record that it covers.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
from bisect import bisect_left
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import isnan, nan
from operator import add
from typing import Final, Literal, TypeAlias

log = logging.getLogger(__name__)

Numbers: TypeAlias = "memoryview[float]"

# Memory that is not written to is not taken; how many series there may be bounds the records.
REGION_BYTES: Final = 4 * 2**20

_HEADER: Final = struct.Struct("QQ")
_LENGTHS: Final = struct.Struct("II")
_ALIVE, _USED = 0, 1

Kind: TypeAlias = Literal["counter", "gauge", "histogram", "summary"]

OTHER: Final = "other"
# How many series of a family may have it.
_OTHERS: Final = 5
SECONDS: Final = (
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the numbers of a metric come from: a kind of event, and what of it is counted.

    `counting` is given the series of one process, and gives what counts one event in them.
    """

    event: type[object]
    counting: Callable[[Series], Callable[..., None]]


@dataclass(frozen=True, slots=True)
class Family:
    """What is known of a metric before anything is counted; `most` is of its series.

    Several `sources` are all counted. `buckets` are those of a histogram; a summary has only its
    count and its sum. The gauges of several processes are added up, or of each the largest
    (`worst`) is told.
    """

    name: str
    kind: Kind
    help: str
    sources: tuple[Source, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    most: int = 1
    worst: bool = False

    @property
    def cells(self) -> int:
        """How many cells a series has: a histogram one for each bucket and beyond, and its sum."""
        return 1 if self.kind in ("counter", "gauge") else len(self.buckets) + 2

    @property
    def lines(self) -> int:
        """How many lines a series has."""
        return self.cells + (self.kind == "histogram")


class Series:
    """The series of one family, in the cells of one process."""

    def __init__(self, family: Family, cells: Cells) -> None:
        self.family = family
        self._cells = cells
        self._known: dict[tuple[str, ...], Numbers] = {}
        if not family.labels:
            # Told from the beginning: nothing has happened yet, which is not nothing known.
            told = self.at()
            if family.kind == "gauge":
                told[0] = 0.0

    def at(self, *labels: str) -> Numbers:
        """The cells of the series with these values of the family's labels."""
        known = self._known.get(labels)
        if known is None:
            labels = counted_as(self.family, labels, self._known)
            known = self._cells.find(series_key(self.family, labels), self.family.cells)
            self._known[labels] = known
        return known

    def add(self, amount: float, *labels: str) -> None:
        """Count so much more."""
        self.at(*labels)[0] += amount

    def set(self, value: float, *labels: str) -> None:
        """The gauge is at this value."""
        self.at(*labels)[0] = value

    def observe(self, seconds: float, *labels: str) -> None:
        """Something took so long."""
        cells = self.at(*labels)
        cells[bisect_left(self.family.buckets, seconds)] += 1
        cells[-1] += seconds


def counted_as(
    family: Family, labels: tuple[str, ...], known: Collection[tuple[str, ...]]
) -> tuple[str, ...]:
    """The labels of the series that counts for these, beside the `known` ones of the family."""
    if labels in known or len(known) < family.most:
        return labels
    folded = (OTHER, *labels[1:])
    if folded in known or len(known) < family.most + _OTHERS:
        return folded
    return (OTHER,) * len(labels)


def series_key(family: Family, labels: Sequence[str]) -> bytes:
    """The key of a series, by which all processes know it."""
    plain = [label.replace("\0", "") for label in labels]
    return "\0".join((family.name, *plain)).encode(errors="replace")


def labels_of(key: bytes) -> tuple[str, ...]:
    """The values of the labels in the key of a series."""
    return tuple(str(key, "utf-8").split("\0")[1:])


CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

# The cells of a family's series, by the values of its labels.
Found: TypeAlias = dict[tuple[str, ...], list[float]]

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
                yield from _histogram_lines(family, pairs, labels, cells)


def _histogram_lines(
    family: Family, pairs: list[str], labels: str, cells: list[float]
) -> Iterator[str]:
    name, counts = family.name, list(accumulate(cells[:-1]))
    for bound, count in zip((*map(repr, family.buckets), "+Inf"), counts, strict=True):
        yield f"{name}_bucket{{{','.join((*pairs, f'le={chr(34)}{bound}{chr(34)}'))}}} {count!r}"
    yield f"{name}_count{labels} {counts[-1]!r}"
    yield f"{name}_sum{labels} {cells[-1]!r}"


def rows_of(families: Sequence[Family]) -> str:
    """The rows of a Markdown table of families: name, kind, labels, help."""
    rows = []
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |\n")
    return "".join(rows)


class Cells:
    """The region of one process: cells by key, which begin with 0.

    A process that takes another's place goes on with what that one has counted; the gauges, which
    are named, are NaN until they are set.
    """

    def __init__(self, gauges: Container[str] = (), region: mmap.mmap | None = None) -> None:
        region = region or mmap.mmap(-1, REGION_BYTES)
        memory = memoryview(region)
        self._header = memory[: _HEADER.size].cast("Q")
        self._records = memory[_HEADER.size :]
        self._found = dict(self._taken_over(gauges))
        self._full = False
        self._header[_ALIVE] = 1

    @classmethod
    def at(cls, counts: int, place: int, gauges: Container[str] = ()) -> Cells:
        """The region of this place in the file `counts`."""
        return cls(gauges, mmap.mmap(counts, REGION_BYTES, offset=place * REGION_BYTES))

    def find(self, key: bytes, size: int) -> Numbers:
        """The cells of this key, so many; where no room is left, some that nobody will read."""
        cells = self._found.get(key)
        if cells is None:
            cells = self._found[key] = self._add(key, size)
        return cells

    def read(self) -> bytes:
        """The records, as `records` takes them apart."""
        return bytes(self._records[: self._header[_USED]])

    def _add(self, key: bytes, size: int) -> Numbers:
        key += b" " * (-len(key) % 8)
        begin = self._header[_USED] + _LENGTHS.size + len(key)
        end = begin + 8 * size
        if end > len(self._records):
            if not self._full:
                log.warning("there is no room for more metrics: further ones are not counted")
            self._full = True
            return memoryview(bytearray(8 * size)).cast("d")
        self._records[begin - len(key) : begin] = key
        _LENGTHS.pack_into(self._records, self._header[_USED], len(key), size)
        self._header[_USED] = end
        return self._records[begin:end].cast("d")

    def _taken_over(self, gauges: Container[str]) -> Iterator[tuple[bytes, Numbers]]:
        for key, begin, end in _spans(self._records[: self._header[_USED]]):
            cells = self._records[begin:end].cast("d")
            if name_of(key) in gauges:
                cells[0] = nan
            yield key, cells


def name_of(key: bytes) -> str:
    """The metric that the cells of this key belong to."""
    return str(key.partition(b"\0")[0], "ascii")


def records(data: bytes) -> Iterator[tuple[bytes, tuple[float, ...]]]:
    """Each key of a region, and its cells."""
    for key, begin, end in _spans(data):
        yield key, struct.unpack(f"{(end - begin) // 8}d", data[begin:end])


def _spans(data: bytes | memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Each key, and where its cells begin and end."""
    position = 0
    while position < len(data):
        length, size = _LENGTHS.unpack_from(data, position)
        begin = position + _LENGTHS.size + length
        position = begin + 8 * size
        yield bytes(data[begin - length : begin]).rstrip(b" "), begin, position


def make_room(counts: int, places: int) -> None:
    """Let the file `counts` have regions for so many places; raises OSError where it cannot."""
    size = places * REGION_BYTES
    if os.fstat(counts).st_size < size:
        os.truncate(counts, size)


def leave(counts: int, place: int) -> None:
    """The process of this place has ended: its counters stay, and its gauges tell nothing."""
    os.pwrite(counts, struct.pack("Q", 0), place * REGION_BYTES)


def read_all(counts: int) -> Iterator[tuple[bool, bytes]]:
    """Of each region in the file: whether its process lives, and its records."""
    for place in range(os.fstat(counts).st_size // REGION_BYTES):
        begin = place * REGION_BYTES
        alive, used = _HEADER.unpack(os.pread(counts, _HEADER.size, begin))
        yield bool(alive), os.pread(counts, used, begin + _HEADER.size)
