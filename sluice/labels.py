"""How one label, or an array of them, is written in an answer or an error: the same everywhere.

Numbers stay numbers (shortest for their dtype, null where JSON has no number), instants are
RFC 3339 in UTC, cftime dates are ISO 8601 without a zone, timedeltas are ISO 8601 durations.
Text is itself and bytes the UTF-8 text that they are; what is no UTF-8 is `BYTES_MARK` and its
base64 (RFC 4648 section 5), and so is what begins with the mark.
"""

from __future__ import annotations

import base64
import math
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array

JsonScalar: TypeAlias = str | int | float | bool | None
_Unit: TypeAlias = Literal["s", "ms", "us", "ns"]

# Only base64 begins so: a text that does is written in base64 itself.
BYTES_MARK: Final = "base64url:"

_UNITS = {
    "W": 7 * 86_400 * 10**9,
    "D": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
_FINER = {"ps": 10**3, "fs": 10**6, "as": 10**9}
PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH = datetime(1970, 1, 1)
_SUBSECOND: Final[dict[str, _Unit]] = {"ms": "ms", "us": "us", "ns": "ns"}
_NAT = -(2**63)
# Years 5 to 3934: inside what datetime holds.
SAFE_SECONDS = 62_000_000_000
_FRACTIONS: Final[tuple[tuple[_Unit, int], ...]] = (("s", 10**9), ("ms", 10**6), ("us", 10**3))


def format_label(value: object) -> JsonScalar:
    """One label as JSON writes it; NaN, infinities and NaT are ``None``."""
    match value:
        case str():
            return format_text(value)
        case None | bool() | int():
            return value
        case np.datetime64():
            return _format_instant(value)
        case np.timedelta64():
            return _format_durations(np.asarray(value)[np.newaxis])[0]
        case np.bool_() | np.integer():
            return value.item()
        case np.floating() | float():
            # str() of a NumPy float is the shortest text for its own precision.
            return float(str(value)) if math.isfinite(value) else None
        case bytes():
            return format_bytes(value)
        case _:
            return _format_object(value)


def format_labels(values: Array) -> list[object]:
    """The labels of an array of one dimension or more: nested lists of what `format_label` gives.

    Its instants all have as many digits as the finest of them.
    """
    match values.dtype.kind:
        case "M":
            return _format_instants(values)
        case "m":
            flat: list[object] = [*_format_durations(values.ravel())]
        case _:
            flat = [format_label(item) for item in values.ravel()]
    return _nested(flat, values.shape)


def spell_label(label: JsonScalar) -> str:
    """A formatted label as a sentence spells it: the way in which a request would ask for it.

    One that JSON has no number for, such as an infinite one, is ``null`` as in answers.
    """
    match label:
        case None:
            return "null"
        case bool():
            return "true" if label else "false"
        case _:
            return str(label)


def spell_name(name: object) -> str:
    """A dimension's or variable's name as a sentence spells it: quoted where it would get lost."""
    text = str(name)
    return text if text.isprintable() and " " not in text and text else repr(text)


def format_bytes(value: bytes) -> str:
    """Bytes as the UTF-8 text that they are, others marked and in base64; no two look alike.

    Base64 has the alphabet for URLs: nothing in it means anything in a request.
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        pass
    else:
        if not text.startswith(BYTES_MARK):
            return text
    return _marked(value)


def format_text(value: str) -> str:
    """A string that is a value or a label: itself, or marked and in base64; no two look alike.

    Marked are those that begin with the mark, as their UTF-8, and those with lone surrogates, which
    UTF-8 does not have, each in the three bytes that it would be.
    """
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        return _marked(value.encode(errors="surrogatepass"))
    return _marked(encoded) if value.startswith(BYTES_MARK) else str(value)


def format_texts(values: list[str]) -> list[str]:
    """Each as `format_text` writes it; nearly all are themselves, which is seen in one go.

    Raises `TypeError` where one is no string.
    """
    together = "".join(values)
    try:
        together.encode()
    except UnicodeEncodeError:
        return [format_text(value) for value in values]
    return [format_text(value) for value in values] if BYTES_MARK in together else values


def _marked(encoded: bytes) -> str:
    return BYTES_MARK + base64.urlsafe_b64encode(encoded).decode("ascii")


def without_surrogates(value: str) -> str:
    """A name or an attribute, with U+FFFD for each lone surrogate, which UTF-8 cannot hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return str(value)


def _format_object(value: object) -> str:
    match value:
        case datetime():
            text = value.isoformat()
            return text.replace("+00:00", "Z") if value.tzinfo else text + "Z"
        case date():
            return value.isoformat()
        case timedelta():
            return format_duration(value // timedelta(microseconds=1) * 1000)
        case _:
            # Duck-typed, so that nothing needs to import cftime.
            isoformat = getattr(value, "isoformat", None)
            return str(isoformat()) if callable(isoformat) else str(value)


def _format_instant(value: np.datetime64) -> str | None:
    """One instant; datetime is several times faster than NumPy for one, but knows fewer years."""
    unit, count = np.datetime_data(value.dtype)
    ticks = int(value.astype("i8"))
    if ticks == _NAT:
        return None
    if count != 1 or unit not in PER_SECOND or abs(ticks) > PER_SECOND[unit] * SAFE_SECONDS:
        return _format_instants(np.asarray(value)[np.newaxis])[0]  # type: ignore[no-any-return]
    seconds, fraction = divmod(ticks, PER_SECOND[unit])
    written = (_EPOCH + timedelta(seconds=seconds)).isoformat()
    if not fraction:
        return written + "Z"
    digits = str(fraction).zfill(len(str(PER_SECOND[unit])) - 1)
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{written}.{digits}Z"


def _format_instants(values: Array) -> list[Any]:
    """RFC 3339 texts with the fewest fraction digits (0, 3, 6, 9) that hold the whole array."""
    # NumPy formats the bytes of another byte order as they lie.
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    missing = np.isnat(values)
    texts = np.datetime_as_string(values, unit=_finest_unit(values, missing), timezone="UTC")
    written = texts.astype(object)
    written[missing] = None
    return written.tolist()  # type: ignore[no-any-return]


def _finest_unit(values: Array, missing: NDArray[np.bool_]) -> _Unit:
    own, count = np.datetime_data(values.dtype)
    unit = _SUBSECOND.get(own)
    if count != 1 or unit is None:
        return "s"
    ticks = values.view("i8") if values.flags.c_contiguous else values.astype("i8")
    per_second = PER_SECOND[unit]
    for candidate, coarser in _FRACTIONS:
        step = coarser * per_second // 10**9
        if step <= 1 or not ((ticks % step != 0) & ~missing).any():
            return candidate if step > 1 else unit
    return unit


def _format_durations(values: Array) -> list[str | None]:
    """ISO 8601 durations of 1-D `values`, in Python integers, which no unit can overflow."""
    unit, count = np.datetime_data(values.dtype)
    ticks = zip(values.astype("i8").tolist(), np.isnat(values).tolist(), strict=True)
    amounts = [None if missing else tick * count for tick, missing in ticks]
    if unit in ("Y", "M"):
        # Years and months have no fixed length; they are durations of their own.
        return [
            amount if amount is None else f"{'-' * (amount < 0)}P{abs(amount)}{unit}"
            for amount in amounts
        ]
    factor, divisor = _UNITS.get(unit, 1), _FINER.get(unit, 1)
    return [
        amount if amount is None else format_duration(amount * factor // divisor)
        for amount in amounts
    ]


def format_duration(nanoseconds: int) -> str:
    """A length of time as ISO 8601 has it."""
    days, rest = divmod(abs(nanoseconds), _UNITS["D"])
    clock = ""
    for letter in "HM":
        amount, rest = divmod(rest, _UNITS[letter.lower()])
        clock += f"{amount}{letter}" if amount else ""
    seconds, fraction = divmod(rest, _UNITS["s"])
    if seconds or fraction:
        digits = f".{fraction:09d}".rstrip("0") if fraction else ""
        clock += f"{seconds}{digits}S"
    sign = "-" if nanoseconds < 0 else ""
    if not days and not clock:
        return "PT0S"
    return f"{sign}P{f'{days}D' if days else ''}{f'T{clock}' if clock else ''}"


def _nested(flat: list[object], shape: tuple[int, ...]) -> list[object]:
    if len(shape) == 1:
        return flat
    nested = np.empty(len(flat), dtype=object)
    nested[:] = flat
    return nested.reshape(shape).tolist()  # type: ignore[no-any-return]
