"""Any plain or numpy value as JSON bytes, for the small answers that are not selections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from sluice.labels import format_label, format_labels, without_surrogates


def json_bytes(value: Any) -> bytes:
    """`value` as valid JSON, whatever is in it: what JSON cannot say becomes null or text."""
    # The standard library here: it takes integers of any size and lone surrogates, and these
    # bodies, which can echo a client's text, are small.
    return json.dumps(_plain(value), allow_nan=False, separators=(",", ":")).encode("ascii")


def _plain(value: Any) -> Any:
    match value:
        case str():
            # Names, sentences, what a client wrote; labels among them are formatted already.
            return without_surrogates(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(item) for item in value]
        case np.ndarray():
            return format_labels(value)
        case _:
            return format_label(value)
