"""Attributes that name variables and dimensions, by the names that these have in a file.

CF conventions 1.12, appendix A, and UGRID conventions 1.0 have the attributes. A blank ends a name
in most of them, and a colon ends a key: ``area: cell_area``, ``crs: x y``, ``time: mean``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from sluice.encoders.hdf5_messages import ATTRIBUTE_BYTES
from sluice.encoders.netcdf_names import FileNames

# One name, which may have blanks.
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
# Each name is behind a term, which is no name.
_BEHIND_TERMS: Final = frozenset(("cell_measures", "formula_terms", "interpolation_parameters"))
# Keys are names too.
_WITH_KEYS: Final = frozenset(("coordinate_interpolation", "grid_mapping", "tie_point_mapping"))
# Keys are names, and behind them are the words of methods (CF 7.3).
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
# No name of more words is looked for among others.
_MOST_WORDS: Final = 8

# Where in a text a name may stand, or that it cannot.
_Place: TypeAlias = tuple[int, int] | None


def renamed_references(attrs: Mapping[Any, Any], names: FileNames) -> Mapping[Any, Any]:
    """`attrs` with the names that the file has, where an attribute names what is called otherwise.

    A name that has blanks is found where the words can mean nothing else; else they stay.
    """
    if not names.changed:
        return attrs
    renamed = {
        key: _renamed(key, attrs[key], names)
        for key in _REFERENCES.intersection(attrs)
        # Longer texts are no lists of names that anyone reads.
        if isinstance(attrs[key], str) and len(attrs[key]) <= ATTRIBUTE_BYTES
    }
    return {**attrs, **renamed}


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
    """Where names are: of one word, and of more where these words have no other meaning."""
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
    """First and last place of whatever is a name of more than one word."""
    for first, place in enumerate(places if names.are_spaced else ()):
        for last in range(first + 1, min(first + _MOST_WORDS, len(places))):
            end = places[last]
            if place is None or end is None:
                break
            if text[place[0] : end[1]] in names.stored:
                yield first, last


def _places(key: str, text: str, names: FileNames) -> list[_Place]:
    """For each word where a name in it may be."""
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
