"""A part of a dataset -> CoverageJSON (version 1.0, OGC 21-069r2, and its common domain types).

Values lie along axes t, z, y, x, or at places one after the other. Variables of one shape are a
coverage together; several coverages are a collection. What is missing is null.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, DocumentDict
from sluice.datasets._xarray import data_of
from sluice.encoders.answer_schema import AnswerSchema
from sluice.encoders.coverage_layout import CoverageGroup, CoverageLayout, data_names, groups_of
from sluice.encoders.coverage_parts import around_greenwich, data_type
from sluice.encoders.encoder import Encoder, joined, once
from sluice.encoders.json_encoder import FragmentCache, array_pieces, json_weight
from sluice.encoders.jsonable import array_to_jsonable, items_to_jsonable, json_text
from sluice.errors import LimitError

if TYPE_CHECKING:
    import xarray as xr

MEDIA_TYPE: Final = "application/prs.coverage+json"
# Its name from EDR 1.2 on.
NEW_MEDIA_TYPE: Final = "application/vnd.cov+json"
# Axes in the order in which values are written (leaflet-coverage wants time first).
_LETTERS: Final = "tzyx"
# More coverages than that are too much for clients, and for pieces of a few milliseconds.
MOST_COVERAGES: Final = 10_000
# The text of a coverage around its values and labels, and that of each variable in it.
_COVERAGE_BYTES: Final = 100
_RANGE_BYTES: Final = 25


class _Writer:
    """Writes the coverages of a dataset in memory."""

    def __init__(self, layout: CoverageLayout, dataset: xr.Dataset) -> None:
        self._layout = layout
        self._variables = dataset.variables
        self._names = data_names(layout, dataset.variables)
        self._groups = groups_of(layout, dataset.variables, self._names)
        self._texts: dict[str, bytes] = {}

    def pieces(self) -> Iterator[bytes]:
        """The document."""
        told = [json_text(str(n)) + b":" + self._layout.parameters[str(n)] for n in self._names]
        parameters = b'"parameters":{' + b",".join(told) + b"}"
        if len(self._groups) == 1 and self._groups[0].count == 1:
            group = self._groups[0]
            yield b'{"type":"Coverage",' + parameters + b","
            yield from self._coverage(group, (0,) * len(group.apart), alone=True)
            yield b"}"
            return
        used = {letter for group in self._groups for letter in group.axes}
        yield b'{"type":"CoverageCollection",' + parameters + b"," + self._referencing(used)
        yield b',"coverages":['
        between = b'{"type":"Coverage",'
        for group in self._groups:
            for index in product(*(range(group.sizes[dim]) for dim in group.apart)):
                yield between
                yield from self._coverage(group, index, alone=False)
                between = b'},{"type":"Coverage",'
        yield b"}]}" if between.startswith(b"}") else b"]}"

    def _referencing(self, letters: Collection[str]) -> bytes:
        references = self._layout.references
        told = b",".join(text for one, text in references.items() if one in letters)
        return b'"referencing":[' + told + b"]"

    def _coverage(
        self, group: CoverageGroup, index: Sequence[int], *, alone: bool
    ) -> Iterator[bytes]:
        at = dict(zip(group.apart, index, strict=True))
        yield self._identity(group, at)
        kind = json_text(group.domain_type)
        yield b'"domain":{"type":"Domain","domainType":' + kind + b',"axes":{'
        yield self._domain_axes(group, at)
        yield b"}," + self._referencing(group.axes) if alone else b"}"
        yield b'},"ranges":{'
        between = b""
        for name in group.names:
            yield between + json_text(str(name)) + b":"
            yield from self._range(group, name, index)
            between = b","
        yield b"}"

    def _identity(self, group: CoverageGroup, at: Mapping[Hashable, int]) -> bytes:
        """An id that tells coverages apart that differ along no axis: as members of an ensemble.

        (Axes other than x, y, z and t would be allowed, but readers do not know any.)
        """
        found: DocumentDict = {}
        for dim in group.apart:
            if dim != group.place and dim not in group.axes.values():
                number = at[dim]
                if dim in self._variables:
                    label = self._variables[dim].values[number : number + 1]
                    found[str(dim)] = items_to_jsonable(label)[0]
                else:
                    found[str(dim)] = number
        if not found:
            return b""
        name = ",".join(f"{dim}={json_text(label).decode()}" for dim, label in found.items())
        return json_text({"id": name.replace('"', ""), "dimensions": found})[1:-1] + b","

    def _domain_axes(self, group: CoverageGroup, at: Mapping[Hashable, int]) -> bytes:
        found = {
            letter: self._axis(letter, group, at)
            for letter in "xyzt"
            if letter in group.axes and letter not in group.tuples
        }
        if group.together:
            found["composite"] = self._composite(group, at)
        return b",".join(json_text(name) + b":" + text for name, text in found.items())

    def _labels(self, letter: str, group: CoverageGroup, at: Mapping[Hashable, int]) -> Array:
        """The labels of an axis that a coverage has."""
        variable = self._variables[group.axes[letter]]
        values = np.asarray(data_of(variable))
        dims = variable.dims
        if self._layout.over in dims and letter in "xy":
            # They are the same all along it.
            values = values.take(0, dims.index(self._layout.over))
            dims = tuple(dim for dim in dims if dim != self._layout.over)
        if dims and dims[0] in at:
            values = values[at[dims[0]]]
        # (On an axis, longitudes rise beyond 180 where it crosses the antimeridian.)
        moved = letter == "x" and dims != (group.axes["x"],)
        return around_greenwich(values) if moved else values

    def _axis(self, letter: str, group: CoverageGroup, at: Mapping[Hashable, int]) -> bytes:
        shared = not any(dim in at for dim in self._variables[group.axes[letter]].dims)
        if shared and letter in self._texts:
            return self._texts[letter]
        values = self._labels(letter, group, at)
        told = array_to_jsonable(values)
        text = json_text({"values": told if values.ndim else [told]})
        if shared:
            self._texts[letter] = text
        return text

    def _composite(self, group: CoverageGroup, at: Mapping[Hashable, int]) -> bytes:
        """The places of a path or an area as tuples; also of coordinates that all places share."""
        assert group.place is not None
        shape = (group.sizes[group.place],)
        columns = [
            items_to_jsonable(np.broadcast_to(self._labels(letter, group, at), shape))
            for letter in group.tuples
        ]
        values = [list(place) for place in zip(*columns, strict=True)]
        return json_text({"dataType": "tuple", "coordinates": group.tuples, "values": values})

    def _range(self, group: CoverageGroup, name: Hashable, index: Sequence[int]) -> Iterator[bytes]:
        variable = self._variables[name]
        values, dims = np.asarray(data_of(variable)), variable.dims
        if not dims and not group.along:
            kind, value = data_type(values.dtype), array_to_jsonable(_plain(values.reshape(1)))
            yield json_text({"type": "NdArray", "dataType": kind, "values": value})
            return
        letters: list[str] = [letter for letter in _LETTERS if letter in group.along]
        inner: list[Hashable] = [group.along[letter] for letter in letters]
        if group.together and group.place is not None:
            letters, inner = [*letters, "composite"], [*inner, group.place]
        values = values.transpose([dims.index(dim) for dim in (*group.apart, *inner)])
        values = values[tuple(index)] if index else values
        if group.domain_type == "Grid":
            # Readers of grids look for all axes, those of one label too.
            letters = [letter for letter in _LETTERS if letter in group.axes]
            values = np.reshape(values, [group.length(letter) for letter in letters])
        told = b'{"type":"NdArray","dataType":' + json_text(data_type(values.dtype))
        if letters:
            shape: DocumentDict = {"axisNames": letters, "shape": list(values.shape)}
            told += b"," + json_text(shape)[1:-1]
        yield told + b',"values":'
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
    """Values whose last dimensions are rows and columns; null where the mask is false."""
    flat, shown = _plain(values.reshape(-1)), mask.reshape(-1)
    between = b"["
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        seen = shown[(start + np.arange(part.size)) % shown.size]
        if part.dtype.kind == "f":
            text = json_text(array_to_jsonable(np.where(seen, part, part.dtype.type(np.nan))))
        else:
            items = items_to_jsonable(part)
            text = json_text([one if see else None for one, see in zip(items, seen, strict=True)])
        yield between + text[1:-1]
        between = b","
    yield b"]" if flat.size else b"[]"


def coverage_encoder(layout: CoverageLayout, *, media_type: str = MEDIA_TYPE) -> Encoder:
    """CoverageJSON of answers that have this layout.

    Its `check` raises `LimitError` where there would be more than `MOST_COVERAGES`.
    """

    def groups(schema: AnswerSchema) -> list[CoverageGroup]:
        return groups_of(layout, schema.variables, data_names(layout, schema.variables))

    def pieces(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> Iterator[bytes]:
        yield from _Writer(layout, dataset).pieces()

    def check(schema: AnswerSchema) -> None:
        count = sum([group.count for group in groups(schema)])
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
        for group in groups(schema):
            shared = sum([8 * group.sizes[dim] for dim in group.along.values()])
            own = _COVERAGE_BYTES + _RANGE_BYTES * len(group.names) + shared
            weight += group.count * own
        return weight

    return Encoder(
        name="CoverageJSON",
        media_type=media_type,
        suffix=".covjson",
        encode=joined(pieces),
        pieces=pieces,
        check=check,
        value_bytes=value_bytes,
        text_bytes=once,
        forms=4,
        described={"schema": {"type": "object"}},
        instead="f=NetCDF, f=CSV",
        grows="cells",
        variant=(("path", True),) if layout.together or layout.mask is not None else (),
    )
