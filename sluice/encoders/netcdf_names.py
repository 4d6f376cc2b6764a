"""Names of variables, dimensions and attributes as NetCDF-4 has them.

NetCDF User's Guide, "NetCDF Names": a letter, digit, underscore or what is no ASCII, then anything
but control characters and slashes, no blank at the end; at most 256 bytes of UTF-8 in the form NFC.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable
from typing import Any, Final

from sluice.labels import without_surrogates

# What readers take out of the name of a variable that is not the dimension of this name.
NOT_A_DIMENSION: Final = "_nc4_non_coord_"
# NetCDF allows 256 bytes; what is left is for what keeps names distinct.
_NAME_BYTES = 240


def storable_names(names: Iterable[Any], listed: Container[Any] = ()) -> dict[Any, str]:
    """A distinct name for each, which is its own where that is a NetCDF name.

    Names in `listed` will stand in an attribute ``coordinates``, where a space ends a name.
    """
    chosen: dict[Any, str] = {}
    taken: set[str] = set()
    for name in names:
        # Names that need no change come first in any clash, because they are someone's reference.
        if isinstance(name, str) and _clean(name, name in listed) == name:
            chosen[name] = str(name)
            taken.add(name)
    for name in names:
        if name in chosen:
            continue
        clean = _clean(str(name), name in listed)
        while clean in taken:
            clean += "_"
        chosen[name] = clean
        taken.add(clean)
    return chosen


def storable_name(name: str, refused: str = "/") -> str:
    """The name with an underscore for each letter that it may not have, or before its first.

    It is cut to a length that leaves room for what keeps names distinct.
    """
    normal = unicodedata.normalize("NFC", without_surrogates(name))
    letters = (
        letter if letter.isprintable() and letter not in refused else "_" for letter in normal
    )
    cleaned = "".join(letters).encode()[:_NAME_BYTES].decode(errors="ignore")
    if cleaned.endswith(" "):
        cleaned = f"{cleaned[:-1]}_"
    return cleaned if _may_begin(cleaned[:1]) else f"_{cleaned}"


def _may_begin(letter: str) -> bool:
    return letter == "_" or letter.isalnum() or not letter.isascii()


def _clean(name: str, listed: bool) -> str:
    cleaned = storable_name(name, "/ " if listed else "/")
    return cleaned.replace(NOT_A_DIMENSION, "_nc4_noncoord_")
