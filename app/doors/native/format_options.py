"""The options that some formats take: see `sluice.encoders.encoder.Encoder`."""

from __future__ import annotations

from typing import Final

from .option import Option, listed, truth, word

UNLIMITED: Final = Option(
    "unlimited",
    "Dimensions of the answer that can grow in its file, as `time`.",
    {"type": "string", "minLength": 1},
    lambda texts, names: tuple(dict.fromkeys(listed("unlimited", texts))),
    least=1,
)
HISTORY: Final = Option(
    "history",
    "Say in the file's attribute `history` what was asked for, and Sluice's version.",
    {"type": "boolean"},
    truth("history"),
)
CDF5: Final = Option(
    "cdf5",
    "The classic format CDF-5, which has integers of 64 bits, and files of any size.",
    {"type": "boolean"},
    truth("cdf5"),
)
_HEADERS: Final = ("names", "units")
HEADER: Final = Option(
    "header",
    "What stands above the columns of CSV: their `names`, or with `units`, as `t (K)`, those too.",
    {"type": "string", "enum": list(_HEADERS)},
    word("header", _HEADERS),
)
BYTE_ORDER_MARK: Final = Option(
    "bom",
    "Whether CSV begins with a byte order mark, by which Excel knows that it is UTF-8.",
    {"type": "boolean"},
    truth("bom"),
)

FORMAT_OPTIONS: Final[tuple[Option[object], ...]] = (
    UNLIMITED,
    HISTORY,
    CDF5,
    HEADER,
    BYTE_ORDER_MARK,
)
