"""The arrays of one group by their documents: those that can be used, and why others cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sluice.aliases import Document
from sluice.arrays.nczarr import with_references
from sluice.arrays.nesting import levels_exceed, shallow
from sluice.errors import MetadataError


class Members(NamedTuple):
    """A group's attributes, the documents of its arrays, and reasons why others have none.

    A v2 array's document is its ``.zarray`` with the ``.zattrs`` under ``attributes``, as in v3.
    """

    attributes: Document
    arrays: dict[str, Document]
    broken: dict[str, str]


def members_v3(path: str, group: Document, members: Document) -> Members:
    """The group with those of its `members` that are arrays; the broken ones apart."""
    arrays: dict[str, Document] = {}
    broken: dict[str, str] = {}
    for name, member in members.items():
        match member:
            case MetadataError():
                broken[name] = member.detail
            case dict() if member.get("node_type") == "array":
                _add(arrays, broken, name, with_references(member))
            case dict() if member.get("node_type") == "group":
                pass
            case dict():
                broken[name] = "its 'zarr.json' says neither that it is an array nor a group"
            case _:
                broken[name] = "its metadata is not a JSON object"
    return Members(_attributes(group.get("attributes"), path), arrays, broken)


def members_v2(path: str, zattrs: Any, members: Mapping[str, tuple[Any, Any]]) -> Members:
    """The group of these ``.zattrs``, with the ``.zarray`` and ``.zattrs`` of each array."""
    arrays: dict[str, Document] = {}
    broken: dict[str, str] = {}
    for name, (zarray, attributes) in members.items():
        try:
            _add(arrays, broken, name, _array_v2(zarray, attributes))
        except MetadataError as error:
            broken[name] = error.detail
    return Members(_attributes(zattrs, path), arrays, broken)


def _add(
    arrays: dict[str, Document], broken: dict[str, str], name: str, document: Document
) -> None:
    """Put the `document` where it belongs, with attributes that can be walked."""
    attributes = document.get("attributes")
    if levels_exceed({**document, "attributes": None}):
        broken[name] = "its metadata is nested too deeply"
    elif isinstance(attributes, dict):
        arrays[name] = {**document, "attributes": shallow(attributes)}
    elif attributes is None:
        arrays[name] = document
    else:
        broken[name] = "its attributes are not a JSON object"


def _attributes(attributes: Any, path: str) -> Document:
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise MetadataError(
            f"the attributes of {repr(path) if path else 'the root'} are not a JSON object"
        )
    return shallow(attributes)


def _array_v2(zarray: Any, zattrs: Any) -> Document:
    """A v2 array's document; NCZarr's dimension references become xarray's attribute."""
    for document in (zarray, zattrs):
        if isinstance(document, MetadataError):
            raise document
    if not isinstance(zarray, dict):
        raise MetadataError("its '.zarray' is not a JSON object")
    if not isinstance(zattrs or {}, dict):
        raise MetadataError("its '.zattrs' is not a JSON object")
    return with_references({**zarray, "attributes": dict(zattrs or {})})
