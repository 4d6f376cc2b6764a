"""Names that NetCDF-4 allows for variables, dimensions and attributes; references to them.

NetCDF User's Guide, "NetCDF Names": a letter, digit, underscore or what is no ASCII, then anything
but control characters and slashes, no blank at the end; at most 256 bytes of UTF-8 in the form NFC.

CF conventions 1.12, appendix A, and UGRID conventions 1.0 have the attributes that name variables
and dimensions. A blank ends a name in most of them, and a colon ends a key: ``area: cell_area``,
``crs: x y``, ``time: mean``.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from sluice.encoders.hdf5 import ATTRIBUTE_BYTES
from sluice.labels import without_surrogates

if TYPE_CHECKING:
    import xarray as xr

# Attribute names that the HDF5 layer of NetCDF-4 keeps for itself, or hides from its readers.
RESERVED: Final = frozenset(
    (
        "CLASS",
        "DIMENSION_LABELS",
        "DIMENSION_LIST",
        "NAME",
        "REFERENCE_LIST",
        "_ARRAY_DIMENSIONS",
        "_Codecs",
        "_Format",
        "_IsNetcdf4",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_SuperblockVersion",
        "_nc3_strict",
        "_nczarr_array",
        "_nczarr_attr",
        "_nczarr_group",
        "_nczarr_superblock",
    )
)
# Prefix of a variable that has a dimension's name and is not its coordinate; readers remove it.
NOT_A_DIMENSION: Final = "_nc4_non_coord_"
# NetCDF allows 256 bytes; the rest is for suffixes that keep names distinct.
_NAME_BYTES = 240


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names of a dataset's variables and dimensions in its files, whatever part these hold.

    `stored` has the name in the file for each name; `changed` has those that differ. They
    `are_spaced` where a blank is in any of the names.
    """

    stored: Mapping[Hashable, str]
    changed: Mapping[Hashable, str] = field(init=False)
    are_spaced: bool = field(init=False)

    def __post_init__(self) -> None:
        changed = {name: stored for name, stored in self.stored.items() if stored != name}
        object.__setattr__(self, "changed", changed)
        spaced = any(len(str(name).split()) > 1 for name in self.stored)
        object.__setattr__(self, "are_spaced", spaced)

    @classmethod
    def of(cls, dataset: xr.Dataset) -> FileNames:
        """The names of everything in `dataset`."""
        # Of a part of the dataset, any coordinate may be listed in an attribute ``coordinates``.
        return cls(storable_names([*dataset.variables, *dataset.dims], dataset.coords))

    def covering(self, names: Iterable[Hashable], coord_names: Container[Hashable]) -> FileNames:
        """These and those `names` of an answer that the dataset does not have.

        Such are dimensions of points that are read together.
        """
        new = [name for name in names if name not in self.stored]
        if not new:
            return self
        stored = self.stored
        return FileNames({**stored, **storable_names(new, coord_names, stored.values())})


class Distinct:
    """Gives each name once: one that is `taken`, or was given before, gets a suffix."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        # The number of each name's last suffix: the next is found without a search.
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
    names: Iterable[Hashable], listed: Container[Hashable] = (), taken: Iterable[str] = ()
) -> dict[Hashable, str]:
    """A distinct name for each, none of those `taken`: its own where that is a NetCDF name.

    Names in `listed` will stand in an attribute ``coordinates``, where a space ends a name. The
    order of `names` does not matter.
    """
    cleaned = {name: _clean(str(name), name in listed) for name in names}
    # Names that need no change are given first, and so keep what refers to them valid.
    ranked = sorted(cleaned, key=lambda name: (cleaned[name] != name, str(name)))
    distinct = Distinct(taken)
    return {name: distinct.give(cleaned[name]) for name in ranked}


def storable_name(name: str, refused: str = "/") -> str:
    """The name with an underscore for each letter that it may not have, or before its first.

    It is cut to a length that leaves room for what keeps names distinct.
    """
    normal = name
    if not name.isascii():
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


# Attributes that hold one name, which may have blanks.
_ONE: Final = frozenset(
    (
        *("bounds", "climatology", "geometry", "instance_dimension", "interior_ring", "mesh"),
        *("node_count", "part_node_count", "quantization", "sample_dimension"),
        *("edge_dimension", "edge_node_connectivity", "edge_face_connectivity", "face_dimension"),
        *("face_node_connectivity", "face_edge_connectivity", "face_face_connectivity"),
        *("boundary_node_connectivity", "volume_node_connectivity"),
    )
)
_LISTS: Final = frozenset(
    (
        *("ancillary_variables", "compress", "coordinates", "external_variables"),
        *("node_coordinates", "edge_coordinates", "face_coordinates", "volume_coordinates"),
    )
)
# Attributes of pairs ``term: name``; terms are no names.
_BEHIND_TERMS: Final = frozenset(("cell_measures", "formula_terms", "interpolation_parameters"))
# Attributes of pairs ``key: name ...``; keys are names, too.
_WITH_KEYS: Final = frozenset(("coordinate_interpolation", "grid_mapping", "tie_point_mapping"))
# Pairs ``name: method``, where methods have words that are no names (CF 7.3).
_METHODS: Final = "cell_methods"
_METHOD_WORDS: Final = frozenset(
    (
        *("point", "sum", "maximum", "maximum_absolute_value", "mean", "mean_absolute_value"),
        *("mean_of_upper_decile", "median", "mid_range", "minimum", "minimum_absolute_value"),
        *("mode", "range", "root_mean_square", "standard_deviation", "sum_of_squares", "variance"),
        *("where", "over", "within"),
    )
)
_REFERENCES: Final = _ONE | _LISTS | _BEHIND_TERMS | _WITH_KEYS | {_METHODS}

_WORD: Final = re.compile(r"\S+")
# A name of more words than that is not found within a text.
_MOST_WORDS: Final = 8

# Start and end of a word in a text that may be a name; None for a word that cannot.
_Place: TypeAlias = tuple[int, int] | None


def renamed_references(
    attrs: Mapping[Hashable, object], names: FileNames
) -> Mapping[Hashable, object]:
    """`attrs`, in which references to variables and dimensions have their names in the file.

    A name that has blanks is replaced where its words can mean nothing else.
    """
    if not names.changed:
        return attrs
    renamed = {
        key: _renamed(key, text, names)
        for key in _REFERENCES
        # Longer texts are no lists of names.
        if isinstance(text := attrs.get(key), str) and len(text) <= ATTRIBUTE_BYTES
    }
    return {**attrs} | renamed


def _renamed(key: str, text: str, names: FileNames) -> str:
    is_one = key in _ONE or (key in _WITH_KEYS and ":" not in text)
    if is_one and text in names.stored:
        return names.stored[text]
    written, end = "", 0
    for start, stop in sorted(_named(text, _places(key, text, names), names)):
        name = text[start:stop]
        written += text[end:start] + names.changed.get(name, name)
        end = stop
    return written + text[end:]


def _named(text: str, places: list[_Place], names: FileNames) -> Iterator[tuple[int, int]]:
    """Start and end of each name: of one word, or of several that can mean nothing else."""
    longer = [*_longer(text, places, names)]
    meanings = Counter(place for first, last in longer for place in range(first, last + 1))
    for number, place in enumerate(places):
        if place and not meanings[number]:
            yield place
    for first, last in longer:
        words = [place for place in places[first : last + 1] if place]
        are_names = all(text[start:stop] in names.stored for start, stop in words)
        if not are_names and all(meanings[number] == 1 for number in range(first, last + 1)):
            yield words[0][0], words[-1][1]


def _longer(text: str, places: list[_Place], names: FileNames) -> Iterator[tuple[int, int]]:
    """First and last word, by number, of each name of more than one word."""
    for first, place in enumerate(places if names.are_spaced else ()):
        for last in range(first + 1, min(first + _MOST_WORDS, len(places))):
            end = places[last]
            if place is None or end is None:
                break
            if text[place[0] : end[1]] in names.stored:
                yield first, last


def _places(key: str, text: str, names: FileNames) -> list[_Place]:
    """For each word of an attribute's text, where a name in it may be."""
    if key == _METHODS:
        return [*_method_places(text, names)]
    has_keys = key in _WITH_KEYS
    places: list[_Place] = []
    for word in _WORD.finditer(text):
        start, stop = word.span()
        is_key = word[0].endswith(":") and key not in _LISTS | _ONE
        places.append(None if is_key and not has_keys else (start, stop - is_key))
    return places


def _method_places(text: str, names: FileNames) -> Iterator[_Place]:
    """The same for ``name: method where name (comment: of any words)``."""
    depth = 0
    for word in _WORD.finditer(text):
        start, stop = word.span()
        is_key = word[0].endswith(":")
        is_name = not depth and is_key and text[start : stop - 1] in names.stored
        if is_name or not (depth or "(" in word[0] or word[0] in _METHOD_WORDS):
            yield start, stop - is_key
        else:
            depth += word[0].count("(") - word[0].count(")")
            yield None
