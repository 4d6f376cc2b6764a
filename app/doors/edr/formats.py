"""The formats of EDR: what clients call them, and which one an answer has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from sluice.encoders.coverage_json import MEDIA_TYPE, NEW_MEDIA_TYPE, coverage_encoder
from sluice.encoders.coverage_layout import CoverageLayout
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import ENCODERS, parse_accept
from sluice.encoders.geojson import MEDIA_TYPE as GEOJSON
from sluice.encoders.geojson import cut_out, geojson_encoder
from sluice.errors import NotAcceptable, QueryError, excerpt

# A format for answers of a layout.
FormatOf: TypeAlias = Callable[[CoverageLayout], Encoder]


def _of_grids(name: str, layout: CoverageLayout) -> Encoder:
    encoder = ENCODERS[name]
    return encoder if layout.mask is None else cut_out(encoder, layout)


# In order of preference.
_FORMATS: Final[dict[str, FormatOf]] = {
    "CoverageJSON": coverage_encoder,
    "GeoJSON": geojson_encoder,
    "CSV": partial(_of_grids, "csv"),
    "NetCDF": partial(_of_grids, "netcdf"),
}
FORMATS: Final = tuple(_FORMATS)
# What clients call them, in small letters.
_NAMES: Final = {
    "coveragejson": "CoverageJSON",
    "covjson": "CoverageJSON",
    "json": "CoverageJSON",
    MEDIA_TYPE: "CoverageJSON",
    NEW_MEDIA_TYPE: "CoverageJSON",
    "application/json": "CoverageJSON",
    "geojson": "GeoJSON",
    GEOJSON: "GeoJSON",
    "csv": "CSV",
    "text/csv": "CSV",
    "netcdf": "NetCDF",
    "netcdf4": "NetCDF",
    "nc": "NetCDF",
    "application/netcdf": "NetCDF",
    "application/x-netcdf": "NetCDF",
    "application/x-netcdf4": "NetCDF",
}


def chosen_format(f: str | None, accept: str | None) -> FormatOf:
    """The format that `f` names, else the one that an ``Accept`` header prefers (RFC 9110 12.5.1).

    Without either, and for browsers, CoverageJSON, under the media type of EDR 1.1 unless the
    header prefers that of 1.2. Raises `QueryError` for an unknown `f` and `NotAcceptable` when the
    header refuses every format.
    """
    weights = parse_accept(accept) if accept else {}
    new = weights.get(NEW_MEDIA_TYPE, 0.0) > weights.get(MEDIA_TYPE, 0.0)
    if f and f.strip():
        wanted = f.strip().lower()
        if wanted not in _NAMES:
            raise QueryError(
                f"f={excerpt(f)} is no format; the formats are {', '.join(FORMATS)}",
                parameter="f",
                known=list(FORMATS),
            )
        name, new = _NAMES[wanted], new or wanted == NEW_MEDIA_TYPE
    else:
        name = _preferred(weights)
    if name == "CoverageJSON" and new:
        return partial(coverage_encoder, media_type=NEW_MEDIA_TYPE)
    return _FORMATS[name]


def _preferred(weights: dict[str, float]) -> str:
    if not weights or "text/html" in weights:
        return "CoverageJSON"
    media_types = [one for one in _NAMES if "/" in one]
    best = max(media_types, key=lambda one: weights.get(one, 0.0))
    if weights.get(best, 0.0) > 0:
        return _NAMES[best]
    for media_range, name in (("*/*", "CoverageJSON"), ("application/*", "CoverageJSON")):
        if weights.get(media_range, 0.0) > 0:
            return name
    if weights.get("text/*", 0.0) > 0:
        return "CSV"
    raise NotAcceptable(
        f"none of the formats is acceptable; they are {', '.join(media_types)}", known=media_types
    )
