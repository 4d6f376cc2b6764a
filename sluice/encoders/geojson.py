"""Tables as GeoJSON (RFC 7946): a point for each row, whose values are its properties.

`cut_out` is for all formats: it leaves out the cells of a grid that lie outside of an area.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import xarray as xr

from sluice.aliases import Array
from sluice.encoders.answer_schema import AnswerSchema, AnswerVariable
from sluice.encoders.coverage_layout import CoverageLayout, data_names, sharing_dims
from sluice.encoders.coverage_parts import around_greenwich
from sluice.encoders.encoder import Encoder, Pieces, joined, once, unchecked
from sluice.encoders.json_encoder import FragmentCache, json_weight
from sluice.encoders.jsonable import items_to_jsonable, json_text

MEDIA_TYPE: Final = "application/geo+json"
# So many features are written at once: some milliseconds.
_BLOCK: Final = 512
# A sixth of the text of a feature around its properties, and of a property around its value.
_FEATURE_BYTES: Final = 20
_PROPERTY_BYTES: Final = 4
_TIME: Final = "datetime"


def _tables(
    layout: CoverageLayout, variables: Mapping[Hashable, AnswerVariable]
) -> list[list[Hashable]]:
    """The variables that share their rows."""
    return sharing_dims(variables, data_names(layout, variables))


def _time_name(layout: CoverageLayout, dataset: xr.Dataset) -> str:
    """What times are called: as the dataset calls them where something else is called `_TIME`."""
    others = {str(name) for name in (*layout.parameters, *layout.axes.values(), *dataset.dims)}
    return layout.axes["t"] if _TIME in others else _TIME


class _Features:
    """The features of variables that share their dimensions."""

    def __init__(
        self, layout: CoverageLayout, dataset: xr.Dataset, names: Sequence[Hashable]
    ) -> None:
        self._layout = layout
        self._dims = dataset.variables[names[0]].dims
        self._shape = dataset.variables[names[0]].shape
        # Longitudes and latitudes, which are no properties, and other coordinates, which are.
        self._place: list[tuple[tuple[Hashable, ...], Array]] = []
        self._coords: list[tuple[str, tuple[Hashable, ...], Array]] = []
        for letter in ("x", "y"):
            variable = dataset.variables[layout.axes[letter]]
            values = np.asarray(variable.values)
            self._place.append((variable.dims, around_greenwich(values)))
        for name in self._told():
            if name in dataset.variables:
                variable = dataset.variables[name]
                dims, values = variable.dims, np.asarray(variable.values)
            else:
                dims, values = (name,), np.arange(dataset.sizes.get(name, 0))
            if set(dims) <= set(self._dims):
                called = _time_name(layout, dataset) if name == layout.axes.get("t") else str(name)
                self._coords.append((called, dims, values))
        self._values = [
            (str(name), dataset.variables[name].transpose(*self._dims).values) for name in names
        ]

    def _told(self) -> Iterator[Hashable]:
        """The time, the level, and each dimension that places do not tell.

        A dimension without a coordinate is told by the positions along it.
        """
        axes = self._layout.axes
        told = [axes[letter] for letter in ("t", "z") if letter in axes]
        yield from told
        along = {dim for dims, _ in self._place for dim in dims if dim != self._layout.over}
        known = {*told, *along, axes["x"], axes["y"]}
        yield from (dim for dim in self._dims if dim not in known)

    def pieces(self) -> Iterator[bytes]:
        """Their JSON, in pieces that end with a comma."""
        count = math.prod(self._shape)
        for start in range(0, count, _BLOCK):
            flat = np.arange(start, min(count, start + _BLOCK))
            found = np.unravel_index(flat, self._shape) if self._shape else ()
            places = dict(zip(self._dims, found, strict=True))
            shown = self._shown(places, flat)
            if shown is not None:
                flat, places = flat[shown], {dim: at[shown] for dim, at in places.items()}
            if flat.size:
                yield json_text(self._features(flat, places))[1:-1] + b","

    def _shown(self, places: Mapping[Hashable, Array], flat: Array) -> Array | None:
        mask, axes = self._layout.mask, self._layout.axes
        if mask is None or axes["y"] not in places or axes["x"] not in places:
            return None
        shown: Array = mask[places[axes["y"]], places[axes["x"]]]
        return shown

    def _features(self, flat: Array, places: Mapping[Hashable, Array]) -> list[object]:
        def column(dims: tuple[Hashable, ...], values: Array) -> list[object]:
            index = tuple(places[dim] for dim in dims)
            row = values[index] if dims else np.broadcast_to(values, flat.shape)
            return items_to_jsonable(row)

        lons, lats = (column(*coordinate) for coordinate in self._place)
        columns = {called: column(dims, values) for called, dims, values in self._coords}
        for name, values in self._values:
            columns[name] = items_to_jsonable(values.reshape(-1)[flat])
        names = list(columns)
        rows = zip(*columns.values(), strict=True)
        return [
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [lon, lat]},
                "properties": dict(zip(names, row, strict=True)),
            }
            for lon, lat, row in zip(lons, lats, rows, strict=True)
        ]


def geojson_encoder(layout: CoverageLayout) -> Encoder:
    """GeoJSON of answers that have this layout."""

    def pieces(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> Iterator[bytes]:
        yield b'{"type":"FeatureCollection","features":['
        last = b""
        for names in _tables(layout, dataset.variables):
            for piece in _Features(layout, dataset, names).pieces():
                yield last
                # The last comma has nothing behind it.
                yield piece[:-1]
                last = b","
        yield b"]}"

    def value_bytes(schema: AnswerSchema) -> int:
        weight = json_weight(schema)
        for names in _tables(layout, schema.variables):
            dims = len(schema.variables[names[0]].dims) + 2
            row = _FEATURE_BYTES + dims * (8 + _PROPERTY_BYTES)
            row += sum([_PROPERTY_BYTES + len(str(name)) for name in names])
            weight += math.prod(schema.variables[names[0]].shape) * row
        return weight

    return Encoder(
        name="GeoJSON",
        media_type=MEDIA_TYPE,
        suffix=".geojson",
        encode=joined(pieces),
        pieces=pieces,
        check=unchecked,
        value_bytes=value_bytes,
        text_bytes=once,
        # As objects of Python a row takes more than its text.
        forms=5,
        described={"schema": {"type": "object"}},
        instead="f=NetCDF, f=CSV",
        grows="rows",
        variant=(("mask", True),) if layout.mask is not None else (),
    )


def cut_out(encoder: Encoder, layout: CoverageLayout) -> Encoder:
    """A format of grids, of which only the cells under the mask of this layout are written.

    Tables lose the other rows; elsewhere those cells are missing, for which integers and booleans
    become floats.
    """
    assert layout.mask is not None
    cut = _without_rows(layout) if encoder.rows is not None else _with_missing(layout)

    def pieces(
        dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
    ) -> Iterator[bytes | memoryview]:
        # Nothing is known of what other answers have in common with this one.
        yield b""
        shown = cut(dataset)
        yield b""
        yield from encoder.pieces(shown, fragments, None)

    found: Pieces = pieces
    return replace(
        encoder,
        encode=joined(found),
        pieces=found,
        stored=False,
        file=None,
        sized=None,
        rows=None,
        forms=encoder.forms + 1,
        variant=(*encoder.variant, ("mask", True)),
    )


def _without_rows(layout: CoverageLayout) -> Callable[[xr.Dataset], xr.Dataset]:
    y, x = layout.axes["y"], layout.axes["x"]
    assert layout.mask is not None
    rows, columns = np.nonzero(layout.mask)

    def cut(dataset: xr.Dataset) -> xr.Dataset:
        place, taken = "points", {*dataset.variables, *dataset.dims}
        while place in taken:
            place += "_"
        along = {y: xr.Variable((place,), rows), x: xr.Variable((place,), columns)}
        return dataset.isel(along)

    return cut


def _with_missing(layout: CoverageLayout) -> Callable[[xr.Dataset], xr.Dataset]:
    y, x = layout.axes["y"], layout.axes["x"]
    mask = xr.Variable((y, x), layout.mask)

    def cut(dataset: xr.Dataset) -> xr.Dataset:
        found: dict[Hashable, xr.Variable] = {}
        for name in dataset.data_vars:
            variable = dataset.variables[name]
            if not {y, x} <= set(variable.dims):
                continue
            shown = variable.where(mask).transpose(*variable.dims)
            shown.attrs = variable.attrs
            # (Dates of other calendars become texts: readers have no missing ones among them.)
            shown.encoding = variable.encoding if variable.dtype.kind in "fM" else {}
            found[name] = shown
        return dataset.assign(found)

    return cut
