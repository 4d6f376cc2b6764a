"""What netCDF-C adds to Zarr metadata, as xarray's conventions say it.

NCZarr keeps the names of dimensions under ``_NCZARR_ARRAY`` in ``.zarray`` or, later,
under ``_nczarr_array`` among the attributes; a scalar is stored as one value along a dimension
without a name. Its modes ``zarr`` and ``xarray`` write no such object: there the list of names is
empty, or absent (netCDF-C, ``docs/nczarr.md`` and ``libnczarr/zsync.c``).
"""

from __future__ import annotations

from typing import Any, Final

from sluice.aliases import Document
from sluice.arrays.array_documents import DIMENSIONS, SCALAR

_KEYS: Final = ("_NCZARR_ARRAY", "_nczarr_array")
# How netCDF-C 4.9.0 calls its characters, which are of one byte each.
_CHARACTERS: Final = ("<U1", ">U1")
# What is netCDF-C's own; of v2 arrays xarray hides it.
_OWN: Final = (*_KEYS, "_nczarr_attr", "_NCZARR_ATTR")
_REFERENCES: Final = ("dimension_references", "dimrefs")


def with_references(document: Document) -> Document:
    """The `document` of an array with its ``attributes``, whose dimensions are named.

    A scalar loses the one dimension that it is stored along. Whatever is no such document is
    returned as it is.
    """
    attributes = document.get("attributes") or {}
    if not isinstance(attributes, dict):
        return document
    said = _said(document, attributes)
    references: Any = next((said[key] for key in _REFERENCES if key in said), None)
    if document.get("zarr_format") == 3:
        return _with_names(document, attributes, said, references)
    if said and document.get("dtype") in _CHARACTERS:
        document = {**document, "dtype": "|S1"}
    if _is_scalar(said, [references, attributes.get(DIMENSIONS)], document.get("shape")):
        return {**_scalar(document, attributes), "chunks": []}
    if DIMENSIONS not in attributes and _are_names(references):
        return {**document, "attributes": {**attributes, DIMENSIONS: _names(references)}}
    return document


def _with_names(
    document: Document, attributes: Document, said: Document, references: Any
) -> Document:
    """The same of a v3 array, which has a place for names: those elsewhere go there."""
    written: Any = attributes.get(DIMENSIONS)
    names = document.get("dimension_names")
    if _is_scalar(said, [references, names, written], document.get("shape")):
        # Its one chunk has the key of the first along a dimension.
        marks = {"dimension_names": [], SCALAR: {"must_understand": False}}
        return {**_scalar(document, attributes), **marks}
    named: Any = references if _are_names(references) else written
    if names is None and _are_names(named):
        kept = {key: item for key, item in attributes.items() if key not in (DIMENSIONS, *_OWN)}
        return {**document, "dimension_names": _names(named), "attributes": kept}
    return document


def _said(document: Document, attributes: Document) -> Document:
    """NCZarr's object about the array, under any of its names."""
    for place in (document, attributes):
        for key in _KEYS:
            if isinstance(place.get(key), dict):
                said: Document = place[key]
                return said
    return {}


def _are_names(references: Any) -> bool:
    return isinstance(references, list) and all(isinstance(one, str) for one in references)


def _names(references: list[str]) -> list[str]:
    """The names of dimensions from fully qualified ones (``/group/time``)."""
    return [reference.rsplit("/", 1)[-1] for reference in references]


def _is_scalar(said: Document, names: list[Any], shape: Any) -> bool:
    """Whether one value along one dimension stands for a scalar."""
    marked = bool(said.get("scalar")) or said.get("storage") == "scalar" or [] in names
    return marked and bool(shape == [1])


def _scalar(document: Document, attributes: Document) -> Document:
    kept = {key: item for key, item in attributes.items() if key not in (DIMENSIONS, *_OWN)}
    return {**document, "shape": [], "attributes": kept}
