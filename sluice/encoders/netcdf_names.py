"""Names of variables, dimensions and attributes as NetCDF-4 has them.

NetCDF User's Guide, "NetCDF Names": a letter, digit, underscore or what is no ASCII, then anything
but control characters and slashes, no blank at the end; at most 256 bytes of UTF-8 in the form NFC.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sluice.labels import without_surrogates

if TYPE_CHECKING:
    import xarray as xr

# What readers take out of the name of a variable that is not the dimension of this name.
NOT_A_DIMENSION: Final = "_nc4_non_coord_"
# NetCDF allows 256 bytes; what is left is for what keeps names distinct.
_NAME_BYTES = 240


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names of a dataset's variables and dimensions in its files, whatever part these hold.

    `stored` has the name in the file for each name; `changed` has those that differ. They
    `are_spaced` where a blank is in any of the names.
    """

    stored: Mapping[Any, str]
    changed: Mapping[Any, str] = field(init=False)
    are_spaced: bool = field(init=False)

    def __post_init__(self) -> None:
        changed = {name: stored for name, stored in self.stored.items() if stored != name}
        object.__setattr__(self, "changed", changed)
        spaced = any(len(str(name).split()) > 1 for name in self.stored)
        object.__setattr__(self, "are_spaced", spaced)

    @classmethod
    def of(cls, dataset: xr.Dataset) -> FileNames:
        """Those of all that `dataset` has."""
        # Any coordinate may stand in an attribute "coordinates" of a part that has no such axis.
        return cls(storable_names([*dataset.variables, *dataset.dims], dataset.coords))

    def covering(self, dataset: xr.Dataset) -> FileNames:
        """These and those of dimensions that only an answer has (places that are read together)."""
        stored = self.stored
        new = [name for name in (*dataset.variables, *dataset.dims) if name not in stored]
        if not new:
            return self
        return FileNames({**stored, **storable_names(new, dataset.coords, stored.values())})


class Distinct:
    """Gives names of which no two are alike, nor like one that is `taken`."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        # How often each was asked for: the next is found at once, however many there are.
        self._asked: dict[str, int] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._taken

    def give(self, name: str) -> str:
        """The name itself, or with an underscore and maybe a number behind it."""
        given, number = name, self._asked.get(name, 0)
        while given in self._taken:
            number += 1
            given = f"{name}_" if number == 1 else f"{name}_{number}"
        self._asked[name] = number
        self._taken.add(given)
        return given


def storable_names(
    names: Iterable[Any], listed: Container[Any] = (), taken: Iterable[str] = ()
) -> dict[Any, str]:
    """A distinct name for each, none of those `taken`: its own where that is a NetCDF name.

    Names in `listed` will stand in an attribute ``coordinates``, where a space ends a name. The
    order of `names` does not matter.
    """
    cleaned = {name: _clean(str(name), name in listed) for name in names}
    # Names that need no change come first in any clash, because they are someone's reference.
    ranked = sorted(cleaned, key=lambda name: (cleaned[name] != name, str(name)))
    distinct = Distinct(taken)
    return {name: distinct.give(cleaned[name]) for name in ranked}


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
