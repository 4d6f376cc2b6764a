"""What netCDF-C adds to Zarr v2 metadata, as xarray's conventions say it.

NCZarr keeps the names of dimensions under ``_NCZARR_ARRAY`` in ``.zarray`` or, later,
under ``_nczarr_array`` in ``.zattrs``; a scalar is stored as one value along a dimension without a
name (netCDF-C, ``docs/nczarr.md`` and ``libnczarr/zsync.c``).
"""

from __future__ import annotations

from typing import Any, Final

from app.arrays.array_documents import DIMENSIONS, Document

_KEYS: Final = ("_NCZARR_ARRAY", "_nczarr_array")
# How netCDF-C 4.9.0 calls its characters, which are of one byte each.
_CHARACTERS: Final = ("<U1", ">U1")
_REFERENCES: Final = ("dimension_references", "dimrefs")


def with_references(document: Document) -> Document:
    """The `document` of a v2 array with its ``attributes``, whose dimensions are named.

    A scalar loses the one dimension that it is stored along.
    """
    said = _said(document)
    if said is None:
        return document
    if document.get("dtype") in _CHARACTERS:
        document = {**document, "dtype": "|S1"}
    references: Any = next((said[key] for key in _REFERENCES if key in said), None)
    if _is_scalar(said, references, document.get("shape")):
        return _scalar(document)
    attributes = document["attributes"]
    if DIMENSIONS not in attributes and _are_names(references):
        # Fully qualified names: "/group/time".
        names = [reference.rsplit("/", 1)[-1] for reference in references]
        return {**document, "attributes": {**attributes, DIMENSIONS: names}}
    return document


def _said(document: Document) -> Document | None:
    """NCZarr's object about the array, under any of its names."""
    for place in (document, document["attributes"]):
        for key in _KEYS:
            if isinstance(place.get(key), dict):
                said: Document = place[key]
                return said
    return None


def _are_names(references: Any) -> bool:
    return isinstance(references, list) and all(isinstance(one, str) for one in references)


def _is_scalar(said: Document, references: Any, shape: Any) -> bool:
    """Whether one value along one dimension stands for a scalar."""
    marked = bool(said.get("scalar")) or said.get("storage") == "scalar" or references == []
    return marked and bool(shape == [1])


def _scalar(document: Document) -> Document:
    attributes = {key: item for key, item in document["attributes"].items() if key != DIMENSIONS}
    return {**document, "shape": [], "chunks": [], "attributes": attributes}
