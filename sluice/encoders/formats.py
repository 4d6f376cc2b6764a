"""The formats that an answer can have, its content codings, and which of them a client gets.

(RFC 9110, sections 8.4.1, 12.5.1 and 12.5.3.)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Final, Protocol

from sluice.aliases import Document
from sluice.encoders.answer_schema import AnswerSchema, FileFormat
from sluice.encoders.arrow_tables import ARROW, FEATHER, PARQUET
from sluice.encoders.encoder import (
    Encoder,
    binary_content,
    from_memory,
    memory_weight,
    once,
    package_version,
    unchecked,
)
from sluice.encoders.file_values import ZLIB
from sluice.encoders.json_encoder import encode_json, json_pieces, json_weight
from sluice.encoders.netcdf3_encoder import NETCDF3
from sluice.encoders.netcdf_encoder import (
    check_growing,
    check_netcdf,
    decided_by_values,
    encode_netcdf,
    netcdf_content,
    netcdf_pieces,
    options_of,
)
from sluice.encoders.plain_arrays import NPY
from sluice.encoders.png_encoder import PNG
from sluice.encoders.table_encoders import COLUMNS, CSV, NDJSON
from sluice.encoders.tensor_file import TENSORS
from sluice.errors import NotAcceptable, QueryError

_ARRAY: Final = {
    "type": "object",
    "required": ["dims", "attrs", "dtype", "data"],
    "properties": {
        "dims": {"type": "array", "items": {"type": "string"}},
        "attrs": {"type": "object"},
        "dtype": {"type": "string"},
        "data": {"description": "Nested lists, one level per dimension; null where missing."},
    },
}
_DATASET: Final = {
    "type": "object",
    "description": "The shape of xarray's `Dataset.to_dict()`.",
    "required": ["dims", "attrs", "coords", "data_vars"],
    "properties": {
        "dims": {"type": "object", "additionalProperties": {"type": "integer"}},
        "attrs": {"type": "object"},
        "coords": {"type": "object"},
        "data_vars": {"type": "object", "additionalProperties": _ARRAY},
    },
}
_DATASET_EXAMPLE: Final = {
    "dims": {},
    "attrs": {"Conventions": "CF-1.8"},
    "coords": {
        "time": {
            "dims": [],
            "attrs": {},
            "dtype": "datetime64[ns]",
            "data": "2024-01-02T12:00:00Z",
        },
        "latitude": {"dims": [], "attrs": {}, "dtype": "float32", "data": 52.5},
    },
    "data_vars": {"t": {"dims": [], "attrs": {"units": "K"}, "dtype": "float64", "data": 266.5625}},
}
_JSON_CONTENT: Final[Document] = {"schema": _DATASET, "example": _DATASET_EXAMPLE}


def adapt_netcdf(encoder: Encoder, values: Mapping[str, object]) -> Encoder:
    """NetCDF-4 under the values of its options."""
    options = options_of(encoder.name, values)

    def check(schema: AnswerSchema) -> None:
        check_netcdf(schema)
        check_growing(schema, options)

    make = partial(netcdf_content, options=options)
    file = FileFormat(
        make,
        decided_by_values,
        stored=True,
        only=True,
        chunked=True if options.deflated else None,
        grows=options.unlimited,
        deflated=options.deflated,
    )
    encode, pieces = from_memory(make)
    writer = ZLIB if options.deflated else ""
    adapted = replace(encoder, encode=encode, pieces=pieces, check=check, file=file)
    return replace(adapted, writer=writer)


# In order of preference: the first, JSON, is what a client gets that does not say.
ENCODERS = MappingProxyType(
    {
        encoder.name: encoder
        for encoder in (
            Encoder(
                name="json",
                media_type="application/json",
                suffix=".json",
                encode=encode_json,
                pieces=json_pieces,
                check=unchecked,
                value_bytes=json_weight,
                text_bytes=once,
                # Measured with 4 million values of each dtype, those included: floats and integers
                # 3.2 to 3.6 (the text alone is 2.6), whole seconds 3.9, compressed 2.1 to 3.2;
                # instants with fractions of seconds 6.6.
                forms=4,
                grows="cells",
                described=_JSON_CONTENT,
            ),
            Encoder(
                name="netcdf",
                media_type="application/netcdf",
                suffix=".nc",
                others=("netcdf4", "nc4", "hdf5"),
                encode=encode_netcdf,
                pieces=netcdf_pieces,
                check=check_netcdf,
                value_bytes=memory_weight,
                text_bytes=once,
                # In the file as in memory 1.0, packed 1.5, compressed 2.4; while they are read, and
                # their fill values become NaN, 3.2. Instants, of which there are few, are 5.1.
                forms=3,
                described=binary_content("NetCDF-4."),
                stored=True,
                file=FileFormat(netcdf_content, decided_by_values, stored=True),
                options=("compression", "unlimited", "history"),
                adapt=adapt_netcdf,
            ),
            CSV,
            NDJSON,
            COLUMNS,
            ARROW,
            FEATHER,
            PARQUET,
            NETCDF3,
            TENSORS,
            NPY,
            PNG,
        )
    }
)
# Other media types of these formats that clients send in an Accept header.
_SYNONYMS = MappingProxyType(
    {
        "application/x-netcdf": "application/netcdf",
        "application/ndjson": "application/x-ndjson",
        "application/jsonl": "application/x-ndjson",
        "application/jsonlines": "application/x-ndjson",
        "application/octet-stream": "application/vnd.sluice.tensors",
        "application/parquet": "application/vnd.apache.parquet",
        "application/x-parquet": "application/vnd.apache.parquet",
    }
)


def negotiate(
    f: str | None, accept: str | None, encoders: Mapping[str, Encoder] = ENCODERS
) -> Encoder:
    """The encoder that `f` names, else the one that an ``Accept`` header prefers (RFC 9110 12.5.1).

    Without either, or at equal preference, the first of `encoders`. Raises `QueryError` for an
    unknown `f` and `NotAcceptable` when the header refuses every format.
    """
    if f is not None:
        if f not in encoders:
            known = list(encoders)
            raise QueryError(
                f"f={f!r:.80} is no format; the formats are {', '.join(known)}",
                parameter="f",
                known=known,
            )
        return encoders[f]
    if accept is None or accept == "*/*":
        return next(iter(encoders.values()))
    ranges = _media_ranges(accept)
    able = [one for one in encoders.values() if not one.package or package_version(one.package)]
    best = max(able, key=lambda encoder: _quality(encoder.essence, ranges))
    if _quality(best.essence, ranges) > 0:
        return best
    media_types = [encoder.essence for encoder in able]
    raise NotAcceptable(
        f"none of the formats is acceptable; they are {', '.join(media_types)}", known=media_types
    )


def adapted(
    encoder: Encoder,
    asked: tuple[tuple[str, object], ...],
    encoders: Mapping[str, Encoder] = ENCODERS,
) -> Encoder:
    """The format under those of the `asked` options that formats take; others are left alone.

    Raises `QueryError` for an option that this format does not take.
    """
    own: list[tuple[str, object]] = []
    for name, value in asked:
        if name in encoder.options:
            own.append((name, value))
        elif takers := [f"f={one.name}" for one in encoders.values() if name in one.options]:
            raise QueryError(
                f"{name} is an option of {', '.join(takers)}; this answer is f={encoder.name}",
                parameter=name,
                known=takers,
            )
    if not own or encoder.adapt is None:
        return encoder
    return replace(encoder.adapt(encoder, dict(own)), variant=tuple(own))


def _media_ranges(accept: str) -> dict[str, float]:
    """Media range -> quality (RFC 9110, 12.5.1), with synonyms replaced."""
    ranges: dict[str, float] = {}
    for media_range, quality in parse_accept(accept).items():
        known = _SYNONYMS.get(media_range, media_range)
        ranges[known] = max(quality, ranges.get(known, 0.0))
    if "text/html" in ranges:
        # Browsers list image types when they open a page, and do not want a picture for that.
        ranges.pop("image/png", None)
    return ranges or {"*/*": 1.0}


def _quality(media_type: str, ranges: dict[str, float]) -> float:
    """The quality of the most specific range that covers the media type."""
    kind = media_type.partition("/")[0]
    for media_range in (media_type, f"{kind}/*", "*/*"):
        if media_range in ranges:
            return ranges[media_range]
    return 0.0


def parse_accept(header: str) -> dict[str, float]:
    """The weight of each name in an ``Accept`` or ``Accept-Encoding`` header (RFC 9110, 12.4.2).

    Names are in lower case, without parameters; the larger of two weights counts, and one that
    cannot be parsed is 0, a refusal.
    """
    weights: dict[str, float] = {}
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _parse_weight(parameter[2:])
        if name:
            weights[name] = max(weight, weights.get(name, 0.0))
    return weights


def _parse_weight(text: str) -> float:
    whole, _, fraction = text.partition(".")
    if whole not in ("0", "1") or len(fraction) > 3 or (fraction and not fraction.isdecimal()):
        return 0.0
    return min(float(f"{whole}.{fraction or '0'}"), 1.0)


# Level 6 costs twice the time of 4 for a twentieth of the size.
_GZIP_LEVEL: Final = 4
# Level 3 costs twice the time of 1 for texts, and ten times as much for arrays, for a hundredth of
# the size.
_ZSTD_LEVEL: Final = 1
# Adds a gzip header without a date, so that equal answers are equal bytes.
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class Compressor(Protocol):
    """Takes a content in pieces; may keep some of it until the end."""

    def compress(self, data: bytes | memoryview, /) -> bytes: ...
    def flush(self) -> bytes: ...


def _gzip(length: int) -> Compressor:
    return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)


def _zstd(length: int) -> Compressor:
    import zstandard

    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj(length)


# In order of preference, among those that a client likes equally; each for a content of so many
# bytes, or of a length that is not known yet (-1).
CODINGS: Mapping[str, Callable[[int], Compressor]] = MappingProxyType(
    {"zstd": _zstd, "gzip": _gzip}
)


def compress(coding: str, content: bytes) -> bytes:
    """The content in this coding."""
    compressor = CODINGS[coding](len(content))
    return compressor.compress(content) + compressor.flush()


def compress_once(coding: str, content: bytes) -> bytes:
    """The content in this coding, smaller, for what is compressed once and sent often."""
    if coding == "gzip":
        # Scripts and prose are smaller in blocks of half the usual length.
        packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP_WINDOW, 7)
        return packer.compress(content) + packer.flush()
    import zstandard

    return zstandard.ZstdCompressor(level=12).compress(content)


def compress_pieces(coding: str, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """A content that comes in pieces, in this coding; a piece may yield no bytes."""
    compressor = CODINGS[coding](-1)
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def negotiate_coding(accept_encoding: str | None) -> str | None:
    """The coding that an ``Accept-Encoding`` header likes best; None for the bytes as they are.

    A header that refuses everything gets the bytes as they are too, as RFC 9110 advises.
    """
    if not accept_encoding:
        return None
    weights = parse_accept(accept_encoding)
    anything = weights.get("*", 0.0)
    best = max(CODINGS, key=lambda coding: weights.get(coding, anything))
    quality = weights.get(best, anything)
    return best if quality > 0 and quality >= weights.get("identity", 0.0) else None
