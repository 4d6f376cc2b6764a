"""The options that some formats take: see `sluice.encoders.encoder.Encoder`."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final

from sluice.encoders.colormaps import COLORMAPS
from sluice.encoders.tensor_forms import PACKS
from sluice.errors import QueryError, excerpt

from .names import Names
from .option import Option, listed, truth, word


def _read_range(texts: Sequence[str], names: Names) -> tuple[float, float]:
    """Two numbers, the lower one first; `QueryError` for anything else."""
    try:
        low, high = map(float, ",".join(texts).split(","))
    except ValueError:
        low = high = 0.0
    if not (isfinite(low) and isfinite(high) and low < high):
        told = f"range={excerpt(','.join(texts))}: write the lower and the upper end, as 250,310"
        raise QueryError(told, parameter="range")
    return low, high


COMPRESSION: Final = Option(
    "compression",
    "How the values of a NetCDF file are compressed in it.",
    {"type": "string", "enum": ["zlib"]},
    word("compression", ("zlib",)),
)
UNLIMITED: Final = Option(
    "unlimited",
    "Dimensions of the answer that can grow in its file, as `time`.",
    {"type": "string", "minLength": 1},
    lambda texts, names: tuple(dict.fromkeys(listed("unlimited", texts))),
    least=1,
    yields=True,
)
HISTORY: Final = Option(
    "history",
    "Say in the file's attribute `history` what was asked for, and Sluice's version.",
    {"type": "boolean"},
    truth("history"),
    yields=True,
)
CDF5: Final = Option(
    "cdf5",
    "The classic format CDF-5, which has integers of 64 bits, and files of any size.",
    {"type": "boolean"},
    truth("cdf5"),
    yields=True,
)
_HEADERS: Final = ("names", "units")
HEADER: Final = Option(
    "header",
    "What stands above the columns of CSV: their `names`, or with `units`, as `t (K)`, those too.",
    {"type": "string", "enum": list(_HEADERS)},
    word("header", _HEADERS),
    yields=True,
)
BYTE_ORDER_MARK: Final = Option(
    "bom",
    "Whether CSV begins with a byte order mark, by which Excel knows that it is UTF-8.",
    {"type": "boolean"},
    truth("bom"),
    yields=True,
)

PACK: Final = Option(
    "pack",
    "How `f=bin` keeps the numbers of data variables: as `u1` or `i2` in even steps of a `range`"
    " (missing ones are 255 and -32768), or as `f4`.",
    {"type": "string", "enum": list(PACKS)},
    word("pack", PACKS),
    yields=True,
)
RANGE: Final = Option(
    "range",
    "The values of the first and the last colour or step, as `250,310`; what lies outside is taken"
    " for them. Without it the answer's own values decide.",
    {"type": "string", "pattern": "^[^,]+,[^,]+$"},
    _read_range,
    least=2,
    item={"type": "number"},
    yields=True,
)
CMAP: Final = Option(
    "cmap",
    "The colours of `f=png`; with `_r` from high to low.",
    {"type": "string", "enum": list(COLORMAPS)},
    word("cmap", COLORMAPS),
    others=("colormap", "palette"),
    yields=True,
)

FORMAT_OPTIONS: Final[tuple[Option[object], ...]] = (
    COMPRESSION,
    UNLIMITED,
    HISTORY,
    CDF5,
    HEADER,
    BYTE_ORDER_MARK,
    PACK,
    RANGE,
    CMAP,
)
