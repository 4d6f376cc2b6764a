"""A column of values as CSV fields: the texts that JSON has, an empty field for what is missing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import orjson

from sluice.aliases import Array
from sluice.encoders.json_values import json_array
from sluice.encoders.plain import is_missing, plain
from sluice.labels import format_text

# What makes a field need its quotes (RFC 4180 2.6).
_SPECIAL = re.compile('[",\r\n]')


def format_fields(values: Array) -> list[str]:
    """One field for each of 1-D `values`, quoted where RFC 4180 wants quotes.

    Missing values are empty, and an empty string is ``""``. Numbers, booleans, instants and
    durations are written as in JSON, infinities ``inf`` and ``-inf``; a complex number
    ``1.5-2.0i``; bytes as `format_bytes`; other objects as JSON text.
    """
    if not values.size:
        return []
    match values.dtype.kind:
        case "b" | "i" | "u" | "M" | "m":
            return _json_items(values)
        case "f":
            return _floats(values)
        case "c":
            return _complexes(values)
        case _:
            return [quoted(_object_text(item)) for item in values.tolist()]


def quoted(content: str | None) -> str:
    """A text as a field; ``None`` is the empty field."""
    if content is None:
        return ""
    if content and _SPECIAL.search(content) is None:
        return content
    return '"' + content.replace('"', '""') + '"'


def _json_items(values: Array) -> list[str]:
    """The items of a JSON array none of which holds a comma or a quote."""
    written = json_array(values)[1:-1].decode()
    return written.replace('"', "").replace("null", "").split(",")


def _floats(values: Array) -> list[str]:
    if values.dtype.itemsize > 8:
        with np.errstate(over="ignore"):
            values = values.astype("f8")
    fields = _json_items(values)
    for index in np.flatnonzero(np.isinf(values)).tolist():
        fields[index] = "inf" if values[index] > 0 else "-inf"
    return fields


def _complexes(values: Array) -> list[str]:
    pairs = zip(_floats(values.real), _floats(values.imag), strict=True)
    # A number either part of which is NaN is NaN.
    return [_complex(real, imag) if real and imag else "" for real, imag in pairs]


def _complex(real: str, imag: str) -> str:
    return f"{real}{'' if imag.startswith('-') else '+'}{imag}i"


def _object_text(item: Any) -> str | None:
    if isinstance(item, str):
        return format_text(item)
    if is_missing(item):
        return None
    match item:
        case float() | np.floating():
            return _floats(np.asarray([item]))[0]
        case complex() | np.complexfloating():
            return _complexes(np.asarray([item]))[0]
    match plain(item):
        case str() as written:
            return written
        case written:
            return _json(written)


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        # An integer beyond 64 bits.
        return str(value)
