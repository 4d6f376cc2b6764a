"""The content codings of answers, and which of them a client gets (RFC 9110 8.4.1, 12.5.3)."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol


def parse_accept(header: str) -> dict[str, float]:
    """What is preferred, in lower case and without its other parameters, and its weight.

    Named twice, it has the larger weight; a weight that cannot be read counts as a refusal.
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
_ZSTD_LEVEL: Final = 3
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


def compress_pieces(coding: str, pieces: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    """A content that comes in pieces, in this coding; there can be nothing behind a piece."""
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
