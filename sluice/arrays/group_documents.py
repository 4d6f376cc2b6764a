"""The metadata documents of one group, and how they stand in a consolidated document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Literal, NamedTuple

from sluice.aliases import Document
from sluice.arrays.member_documents import Members, members_v2, members_v3
from sluice.errors import MetadataError
from sluice.store.documents import json_object
from sluice.store.source import Tagged
from sluice.wording import excerpt


@dataclass(frozen=True, slots=True)
class ConsolidatedMetadata:
    """The one document that holds all metadata of a consolidated store.

    Its key, a digest of its bytes, and the tag by which the store knows them, if it gave one.
    """

    key: str
    digest: str
    tag: str | None


class RootDocument(NamedTuple):
    """A document of the root as it came, a digest of its bytes, and their tag."""

    document: Document
    digest: str
    tag: str | None


@dataclass(frozen=True)
class GroupDocuments:
    """One group: its attributes and the documents of the arrays directly in it.

    A v2 array's document is its ``.zarray`` with the ``.zattrs`` under ``attributes``, as in v3.
    They were `consolidated` in one document, or else read one by one. Those whose documents cannot
    be used at all are `broken`: why, by their names.
    """

    path: str
    zarr_format: Literal[2, 3]
    attributes: Document
    arrays: dict[str, Document]
    consolidated: ConsolidatedMetadata | None = None
    broken: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """A digest of all that is here: another one as soon as a document says something else.

        An append changes it, since a shape changes; chunks rewritten in place do not. Documents
        that were read one by one may be those of a writer that has not come to its chunks yet, so
        the same ones, once they are consolidated, are another version.
        """
        said: list[object] = [self.path, self.zarr_format, self.attributes, self.arrays]
        if self.broken:
            said.append(sorted(self.broken.items()))
        if self.consolidated is not None:
            said.append("consolidated")
        return digest_of(json.dumps(said, sort_keys=True).encode())


def root_document(seen: Tagged, key: str) -> RootDocument:
    return RootDocument(json_object(seen.data, repr(key)), digest_of(seen.data), seen.tag)


def consolidated_group(answers: Mapping[str, RootDocument], path: str) -> GroupDocuments | None:
    """The group from its own or the root's consolidated metadata; v3 before v2, as zarr does."""
    readings = [("zarr.json", _consolidated_v3), (".zmetadata", _consolidated_v2)]
    for name, read in readings:
        for folder in dict.fromkeys([path, ""]):
            key = join_path(folder, name)
            if (asked := answers.get(key)) is None:
                continue
            inside = path.removeprefix(folder).strip("/")
            if (found := read(asked.document, path, inside)) is not None:
                return replace(
                    found, consolidated=ConsolidatedMetadata(key, asked.digest, asked.tag)
                )
        if join_path(path, "zarr.json") in answers:
            return None
    return None


def _consolidated_v3(document: Document, path: str, inside: str) -> GroupDocuments | None:
    if not inside:
        expect_group(document, path)
    whole = document.get("consolidated_metadata")
    members = whole.get("metadata") if isinstance(whole, dict) else None
    if not isinstance(members, dict):
        return None
    group = members.get(inside) if inside else document
    if not isinstance(group, dict) or group.get("node_type") != "group":
        return None
    prefix = f"{inside}/" if inside else ""
    own = {
        name.removeprefix(prefix): member
        for name, member in members.items()
        if name.startswith(prefix) and "/" not in name.removeprefix(prefix)
    }
    return group_of(path, 3, members_v3(path, group, own))


def _consolidated_v2(document: Document, path: str, inside: str) -> GroupDocuments | None:
    members = document.get("metadata")
    if not isinstance(members, dict):
        raise MetadataError("'.zmetadata' has no 'metadata' object")
    prefix = f"{inside}/" if inside else ""
    if f"{prefix}.zgroup" not in members:
        return None
    own = {}
    for key, member in members.items():
        name = key.removeprefix(prefix).removesuffix("/.zarray")
        if key == f"{prefix}{name}/.zarray" and "/" not in name:
            own[name] = member, members.get(f"{prefix}{name}/.zattrs")
    return group_of(path, 2, members_v2(path, members.get(f"{prefix}.zattrs"), own))


def group_of(path: str, zarr_format: Literal[2, 3], members: Members) -> GroupDocuments:
    return GroupDocuments(
        path, zarr_format, members.attributes, members.arrays, None, members.broken
    )


def digest_of(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def expect_group(document: Document, path: str) -> None:
    node = document.get("node_type")
    if node != "group":
        kind = "a Zarr array" if node == "array" else f"of node_type {excerpt(node)}"
        raise not_a_group(path, kind)


def not_a_group(path: str, kind: str) -> MetadataError:
    way = "name the group that it lies in" if path else "name the folder of the group that it is in"
    option = "group" if path else "url"
    return MetadataError(f"its {option} leads to {kind}, not to a group: {way} as {option}")


def join_path(*parts: str) -> str:
    return "/".join(part for part in parts if part)
