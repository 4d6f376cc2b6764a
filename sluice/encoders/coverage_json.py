"""A part of a dataset -> CoverageJSON (version 1.0, OGC 21-069r2, and its common domain types).

Values lie along axes t, z, y, x, or at places one after the other. Variables of one shape are a
coverage together; several coverages are a collection. What is missing is null.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, Document, DocumentDict, record
from sluice.encoders.answer_schema import AnswerSchema, AnswerVariable
from sluice.encoders.coverage_parts import data_type
from sluice.encoders.encoder import Encoder, joined, once
from sluice.encoders.json_encoder import FragmentCache, array_pieces, json_weight
from sluice.encoders.jsonable import array_to_jsonable, json_text
from sluice.errors import LimitError

if TYPE_CHECKING:
    import xarray as xr

MEDIA_TYPE: Final = "application/prs.coverage+json"
# So it is called from EDR 1.2 on.
NEW_MEDIA_TYPE: Final = "application/vnd.cov+json"
# Of axes, in the order in which values lie along them (a map's first is time: leaflet-coverage).
_LETTERS: Final = "tzyx"
# More coverages than that are too much for clients, and for pieces of a few milliseconds.
MOST_COVERAGES: Final = 10_000
# What a coverage has around its values and labels, and what a variable has in each.
_COVERAGE_BYTES: Final = 100
_RANGE_BYTES: Final = 25
_TURN: Final = 360


@record
class Layout:
    """What the coordinates of an answer stand for, and what is said of its variables.

    `axes` are the names of the coordinates by their letters (x, y, z, t); `parameters` the text of
    each variable's Parameter; `references` those of reference systems by the letters of their axes.
    Places that are one after the other are a line if they are a `path`, else each has a coverage
    of its own. Cells where the `mask`, of rows and columns, is false are missing.
    """

    axes: Mapping[str, str]
    parameters: Mapping[str, bytes]
    references: Mapping[str, bytes]
    path: bool = False
    mask: Array | None = None


class _Group:
    """Variables of the same dimensions, and how they are cut into coverages."""

    def __init__(
        self,
        layout: Layout,
        variables: Mapping[Hashable, AnswerVariable],
        names: Sequence[Hashable],
    ) -> None:
        self.layout, self.names = layout, names
        first = variables[names[0]]
        self.sizes = dict(zip(first.dims, first.shape, strict=True))
        self.axes = {letter: name for letter, name in layout.axes.items() if name in variables}
        letters = {name: letter for letter, name in self.axes.items()}
        lon = variables[self.axes["x"]]
        place = lon.dims[0] if len(lon.dims) == 1 and lon.dims != (self.axes["x"],) else None
        self.place = place if place in self.sizes else None
        # Along these the values of a coverage lie.
        self.along = {letters[dim]: dim for dim in self.sizes if dim in letters}
        apart = [dim for dim in self.sizes if dim not in letters and dim != self.place]
        if self.place is not None:
            if not layout.path:
                apart.append(self.place)
            elif "z" in self.along and "t" in self.along:
                apart.append(self.along.pop("z"))
        self.apart = apart
        self.tuple_letters = [
            letter
            for letter in ("t", "x", "y", "z")
            if letter in self.axes
            and (
                variables[self.axes[letter]].dims == (self.place,)
                or (letter == "t" and not variables[self.axes["t"]].dims)
            )
        ]

    @property
    def count(self) -> int:
        """How many coverages it is."""
        return math.prod([self.sizes[dim] for dim in self.apart])

    @property
    def composite(self) -> bool:
        """Whether its places go together in one coverage."""
        return self.place is not None and self.layout.path

    def domain_type(self, letters: set[str]) -> str:
        """The common domain type of coverages that have axes of these letters (section 9.11)."""
        long = {letter for letter in "tz" if letter in self.along}
        if self.composite:
            if "t" in long:
                return "MultiPointSeries"
            if "t" not in letters:
                return "MultiPoint"
            return "Section" if "z" in long else "Trajectory"
        if {"x", "y"} <= set(self.along) or len(long) == 2:
            return "Grid"
        if long:
            return "PointSeries" if "t" in long else "VerticalProfile"
        return "Point"


def _groups(
    layout: Layout, variables: Mapping[Hashable, AnswerVariable], names: Sequence[Hashable]
) -> list[_Group]:
    found: dict[tuple[Hashable, ...], list[Hashable]] = {}
    for name in names:
        found.setdefault(tuple(sorted(variables[name].dims, key=str)), []).append(name)
    return [_Group(layout, variables, group) for group in found.values()]


def _data_names(layout: Layout, variables: Mapping[Hashable, object]) -> list[Hashable]:
    return [name for name in variables if name in layout.parameters]


class _Writer:
    """Writes the coverages of a dataset in memory."""

    def __init__(self, layout: Layout, dataset: xr.Dataset) -> None:
        self._layout = layout
        self._variables = dataset.variables
        names = _data_names(layout, dataset.variables)
        self._groups = _groups(layout, dataset.variables, names)
        self._names = names
        self._texts: dict[str, bytes] = {}

    def pieces(self) -> Iterator[bytes]:
        """The document."""
        parameters = b",".join(
            json_text(str(name)) + b":" + self._layout.parameters[str(name)] for name in self._names
        )
        if len(self._groups) == 1 and self._groups[0].count == 1:
            group = self._groups[0]
            yield b'{"type":"Coverage","parameters":{' + parameters + b"},"
            yield from self._coverage(group, (0,) * len(group.apart), alone=True)
            yield b"}"
            return
        used = {letter for group in self._groups for letter in group.axes}
        yield (
            b'{"type":"CoverageCollection","parameters":{'
            + parameters
            + b'},"referencing":'
            + self._referencing(used)
            + b',"coverages":['
        )
        between = b'{"type":"Coverage",'
        for group in self._groups:
            for index in product(*(range(group.sizes[dim]) for dim in group.apart)):
                yield between
                yield from self._coverage(group, index, alone=False)
                between = b'},{"type":"Coverage",'
        yield b"}]}" if between.startswith(b"}") else b"]}"

    def _referencing(self, letters: set[str]) -> bytes:
        references = self._layout.references
        return b"[" + b",".join(t for one, t in references.items() if one in letters) + b"]"

    def _coverage(self, group: _Group, index: Sequence[int], *, alone: bool) -> Iterator[bytes]:
        axes, letters = self._domain_axes(group, dict(zip(group.apart, index, strict=True)))
        kind = json_text(group.domain_type(letters))
        yield b'"domain":{"type":"Domain","domainType":' + kind + b',"axes":{'
        yield axes
        yield b"}"
        if alone:
            yield b',"referencing":' + self._referencing(letters)
        yield b'},"ranges":{'
        between = b""
        for name in group.names:
            yield between + json_text(str(name)) + b":"
            yield from self._range(group, name, index)
            between = b","
        yield b"}"

    def _domain_axes(self, group: _Group, at: Mapping[Hashable, int]) -> tuple[bytes, set[str]]:
        """The text of a coverage's axes, and the letters that they are of."""
        found: dict[str, bytes] = {}
        letters = set(self._layout.axes) & set(group.axes)
        for letter in "xyzt":
            if letter not in letters or (group.composite and letter in group.tuple_letters):
                continue
            found[letter] = self._axis(letter, group, at)
        if group.composite:
            found["composite"] = self._composite(group)
        known = set(group.axes.values())
        for dim in group.apart:
            if dim != group.place and dim not in known:
                variable = self._variables.get(dim)
                label = None if variable is None else variable.values[at[dim] : at[dim] + 1]
                values = [at[dim]] if label is None else array_to_jsonable(label)
                found[str(dim)] = json_text({"values": values})
        axes = b",".join(json_text(name) + b":" + text for name, text in found.items())
        return axes, letters

    def _axis(self, letter: str, group: _Group, at: Mapping[Hashable, int]) -> bytes:
        variable = self._variables[group.axes[letter]]
        values = np.asarray(variable.values)
        dim = variable.dims[0] if variable.dims else None
        if dim is not None and dim in at:
            values = values[at[dim] : at[dim] + 1]
        elif letter in self._texts:
            return self._texts[letter]
        values = values.reshape(-1)
        if letter == "x" and dim != group.axes["x"]:
            values = around_greenwich(values)
        text = json_text({"values": array_to_jsonable(values)})
        if dim is None or dim not in at:
            self._texts[letter] = text
        return text

    def _composite(self, group: _Group) -> bytes:
        """The places of a path, each a tuple; the time is among them also where it is the same."""
        assert group.place is not None
        columns: dict[str, list[object]] = {}
        for letter in group.tuple_letters:
            values = np.asarray(self._variables[group.axes[letter]].values)
            values = np.broadcast_to(values, (group.sizes[group.place],))
            columns[letter] = _listed(around_greenwich(values) if letter == "x" else values)
        tuples = [list(place) for place in zip(*columns.values(), strict=True)]
        return json_text({"dataType": "tuple", "coordinates": [*columns], "values": tuples})

    def _range(self, group: _Group, name: Hashable, index: Sequence[int]) -> Iterator[bytes]:
        variable = self._variables[name]
        values, dims = np.asarray(variable.values), variable.dims
        letters: list[str] = [letter for letter in _LETTERS if letter in group.along]
        inner: list[Hashable] = [group.along[letter] for letter in letters]
        if group.composite and group.place is not None:
            letters, inner = [*letters, "composite"], [*inner, group.place]
        values = values.transpose([dims.index(dim) for dim in (*group.apart, *inner)])
        values = values[tuple(index)] if index else values
        told = b'{"type":"NdArray","dataType":' + json_text(data_type(values.dtype))
        if letters:
            shape: DocumentDict = {"axisNames": letters, "shape": list(values.shape)}
            told += b"," + json_text(shape)[1:-1]
        yield told + b',"values":'
        if not letters:
            values = np.asarray(values).reshape(1)
        mask = self._layout.mask
        if mask is not None and letters[-2:] == ["y", "x"]:
            yield from _masked(values, mask)
        else:
            yield from array_pieces(_plain(values.reshape(-1)))
        yield b"}"


def _plain(values: Array) -> Array:
    return values.astype("i1") if values.dtype.kind == "b" else values


# Floats with a mask are written at once in as many values as a millisecond or two takes.
_BLOCK: Final = 2**13


def _masked(values: Array, mask: Array) -> Iterator[bytes]:
    """The values along rows and columns, last of their dimensions, null where the mask is false."""
    flat, shown = _plain(values.reshape(-1)), mask.reshape(-1)
    between = b"["
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        seen = shown[(start + np.arange(part.size)) % shown.size]
        if part.dtype.kind == "f":
            text = json_text(array_to_jsonable(np.where(seen, part, part.dtype.type(np.nan))))
        else:
            items = _listed(part)
            text = json_text([one if see else None for one, see in zip(items, seen, strict=True)])
        yield between + text[1:-1]
        between = b","
    yield b"]" if flat.size else b"[]"


def _listed(values: Array) -> list[object]:
    """One-dimensional values as JSON has them; NumPy's own keep the digits of their precision."""
    found = array_to_jsonable(values)
    assert isinstance(found, np.ndarray | list)
    return list(found)


def around_greenwich(values: Array) -> Array:
    """Longitudes from -180 to 180 degrees, in the type that they have (a wider one if need be)."""
    if values.dtype.kind == "u" or (values.dtype.kind == "i" and values.dtype.itemsize < 4):
        values = values.astype("i8")
    east, west = values > 180, values < -180
    if not (east.any() or west.any()):
        return values
    turns = np.where(east, np.ceil((values - 180) / _TURN), 0.0)
    turns = np.where(west, np.floor((values + 180) / _TURN), turns)
    turned: Array = values.astype("f8") - turns * _TURN
    return np.where(east | west, turned.astype(values.dtype), values)


def _count(layout: Layout, schema: AnswerSchema) -> list[_Group]:
    names = _data_names(layout, schema.variables)
    return _groups(layout, schema.variables, names)


def coverage_encoder(layout: Layout, *, media_type: str = MEDIA_TYPE) -> Encoder:
    """CoverageJSON of answers that have this layout.

    Its `check` raises `LimitError` where there would be more than `MOST_COVERAGES`.
    """

    def pieces(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> Iterator[bytes]:
        yield from _Writer(layout, dataset).pieces()

    def check(schema: AnswerSchema) -> None:
        count = sum([group.count for group in _count(layout, schema)])
        if count > MOST_COVERAGES:
            raise LimitError(
                f"The answer would be {count} coverages; it may be {MOST_COVERAGES}: ask for fewer"
                " places, or for one label of what is neither place, level nor time.",
                limited="coverages",
                estimate=count,
                limit=MOST_COVERAGES,
            )

    def value_bytes(schema: AnswerSchema) -> int:
        weight = json_weight(schema)
        for group in _count(layout, schema):
            shared = sum([8 * group.sizes[dim] for dim in group.along.values()])
            own = _COVERAGE_BYTES + _RANGE_BYTES * len(group.names) + shared
            weight += group.count * own
        return weight

    variant = (("path", True),) if layout.path or layout.mask is not None else ()
    return replace(
        _COVERAGE,
        media_type=media_type,
        encode=joined(pieces),
        pieces=pieces,
        check=check,
        value_bytes=value_bytes,
        variant=variant,
    )


def _unlaid(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> Iterator[bytes]:
    raise AssertionError("a coverage has a layout: see coverage_encoder")


def _nothing(schema: AnswerSchema) -> None:
    return None


COVERAGE_CONTENT: Final[Document] = {
    "schema": {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
}
_COVERAGE: Final = Encoder(
    name="CoverageJSON",
    media_type=MEDIA_TYPE,
    suffix=".covjson",
    encode=joined(_unlaid),
    pieces=_unlaid,
    check=_nothing,
    value_bytes=json_weight,
    text_bytes=once,
    forms=4,
    described=COVERAGE_CONTENT,
    grows="cells",
)
