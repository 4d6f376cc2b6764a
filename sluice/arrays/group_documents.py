"""The metadata documents of one group, and which groups of a hierarchy hold arrays.

The groups of a hierarchy are listed in its consolidated metadata. Without that they are found by a
walk: level by level it lists the names in each group, and reads the documents under them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from typing import Final, Literal

from sluice.aliases import Document
from sluice.arrays.member_documents import (
    DEFAULT_LIMITS,
    Found,
    Members,
    OpeningLimits,
    member_documents,
)
from sluice.concurrency import map_concurrently
from sluice.errors import MetadataError, StoreMissing, StoreRefused, StoreTooLarge, excerpt
from sluice.store.documents import json_object
from sluice.store.source import ByteSource, Tagged


@dataclass(frozen=True, slots=True)
class ConsolidatedMetadata:
    """The one document that holds all metadata of a consolidated store, without its content.

    Its key, a digest of its bytes, and its entity tag if the store gave one.
    """

    key: str
    digest: str
    tag: str | None


@dataclass(frozen=True)
class RootDocument:
    """A document of the root, a digest of its bytes, their entity tag, and how many they are."""

    document: Document
    digest: str
    tag: str | None
    nbytes: int

    @cached_property
    def arrays_v2(self) -> dict[str, dict[str, tuple[object, object]]]:
        """By group and name the ``.zarray`` and ``.zattrs`` of each array of a ``.zmetadata``."""
        found: dict[str, dict[str, tuple[object, object]]] = {}
        members = self.document["metadata"]
        for key, member in members.items():
            path = key.removesuffix("/.zarray")
            if path != key:
                own = found.setdefault(_parent(path), {})
                own[_last(path)] = member, members.get(f"{path}/.zattrs")
        return found

    @cached_property
    def members_v3(self) -> dict[str, dict[str, object]]:
        """By group and name the members of the consolidated metadata in a ``zarr.json``."""
        found: dict[str, dict[str, object]] = {}
        for path, member in self.document["consolidated_metadata"]["metadata"].items():
            found.setdefault(_parent(path), {})[_last(path)] = member
        return found


@dataclass(frozen=True)
class GroupDocuments:
    """One group: its attributes and the documents of the arrays directly in it.

    A v2 array's document is its ``.zarray`` with the ``.zattrs`` under ``attributes``, as in v3.
    The documents were `consolidated` in one, or read one by one where that is None. `broken` has
    the reasons, by name, why other arrays cannot be used.
    """

    path: str
    zarr_format: Literal[2, 3]
    attributes: Document
    arrays: dict[str, Document]
    consolidated: ConsolidatedMetadata | None = None
    broken: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """A digest of all documents, which changes as soon as one of them does.

        An append changes it, since a shape changes; chunks rewritten in place do not. Documents
        that were read one by one may be those of a writer that has not written its chunks yet, so
        the same documents, once they are consolidated, have another version.
        """
        said: list[object] = [self.path, self.zarr_format, self.attributes, self.arrays]
        if self.broken:
            said.append(sorted(self.broken.items()))
        if self.consolidated is not None:
            said.append("consolidated")
        return digest_of(json.dumps(said, sort_keys=True).encode())


def root_document(seen: Tagged, key: str) -> RootDocument:
    """The document under `key`, whose value was `seen`; MetadataError if it is no JSON object."""
    document = json_object(seen.data, repr(key))
    return RootDocument(document, digest_of(seen.data), seen.tag, len(seen.data))


def group_of(path: str, zarr_format: Literal[2, 3], members: Members) -> GroupDocuments:
    """The group at `path` with these members; not consolidated."""
    return GroupDocuments(
        path, zarr_format, members.attributes, members.arrays, None, members.broken
    )


def digest_of(data: bytes) -> str:
    """A digest of 16 bytes, in hexadecimal."""
    return blake2b(data, digest_size=16).hexdigest()


def expect_group(document: Document, path: str) -> None:
    """Raise MetadataError where a v3 `document` is not that of a group."""
    node = document.get("node_type")
    if node != "group":
        kind = "a Zarr array" if node == "array" else f"of node_type {excerpt(node)}"
        raise not_a_group(path, kind)


def not_a_group(path: str, kind: str) -> MetadataError:
    """The error for an address of something else; says where a group may be found."""
    way = "name the group that it lies in" if path else "name the folder of the group that it is in"
    option = "group" if path else "url"
    return MetadataError(f"its {option} leads to {kind}, not to a group: {way} as {option}")


def join_path(*parts: str) -> str:
    """The parts that are not empty, joined by slashes."""
    return "/".join(part for part in parts if part)


# How many groups are visited at once.
_AT_ONCE: Final = 8
# So many groups are visited for each that may be found: most of those without arrays hold others.
_VISITED: Final = 4
_UNLISTED: Final = (
    "its groups can be neither listed nor are they in consolidated metadata: consolidate it "
    "(zarr.consolidate_metadata) or allow listing (on S3: s3:ListBucket)"
)
_NO_GROUP: Final = "its url leads to a Zarr array, not to a group"
_V3: Final = "zarr.json"
_CONSOLIDATED_V2: Final = ".zmetadata"


async def groups_with_arrays(
    source: ByteSource,
    *,
    zarr_format: int | None,
    consolidated: bool | None,
    most: int,
    below: str = "",
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> tuple[str, ...]:
    """Paths of the groups that hold arrays themselves, sorted: at most ``most + 1`` of them.

    The root is ``""``. `below` is the path of a group to which the search is limited.
    `zarr_format` and `consolidated` are as for `open_group`. A group whose own document is broken
    counts if there are arrays in it.

    Raises StoreMissing if there is no hierarchy, MetadataError if its documents cannot be used or
    it cannot be listed, StoreTooLarge for more groups than can be walked.
    """
    documents = await _root_documents(source, zarr_format, consolidated, limits)
    if documents.get(_V3, {}).get("node_type", "group") != "group":
        raise MetadataError(_NO_GROUP)
    found = None
    if consolidated is not False:
        # In a thread: there may be very many members.
        found = await asyncio.to_thread(_consolidated, documents)
    if found is None:
        if consolidated:
            raise MetadataError("the store has no consolidated metadata, which was insisted on")
        if _V3 not in documents and zarr_format == 3:
            raise StoreMissing("no Zarr group in this store")
        walk = _Walk(source, _V3 in documents, most, limits)
        found = await walk.run(below)
    inside = f"{below}/" if below else ""
    wanted = (path for path in found if path == below or path.startswith(inside))
    return tuple(sorted(wanted)[: most + 1])


async def _root_documents(
    source: ByteSource, zarr_format: int | None, consolidated: bool | None, limits: OpeningLimits
) -> dict[str, Document]:
    """The root's documents that exist; raises a refusal only where there is no other document."""
    names = [_V3] if zarr_format != 2 else []
    if zarr_format != 3 and consolidated is not False:
        names.append(_CONSOLIDATED_V2)
    documents: dict[str, Document] = {}
    refused: list[StoreRefused] = []

    async def read(name: str) -> None:
        try:
            found = await member_documents(source, [name], limits)
        except StoreRefused as error:
            refused.append(error)
            return
        documents.update({name: _whole(document) for name, document in found.items()})

    await map_concurrently(names, read)
    if refused and not documents:
        raise refused[0]
    return documents


def _whole(document: Found) -> Document:
    if isinstance(document, MetadataError):
        raise document
    return document


def _consolidated(documents: Mapping[str, Document]) -> set[str] | None:
    """The groups by the consolidated metadata of the root, if it has any; v3 before v2."""
    if (document := documents.get(_V3)) is not None:
        consolidated = document.get("consolidated_metadata")
        members = consolidated.get("metadata") if isinstance(consolidated, dict) else None
        return _of_members_v3(members) if isinstance(members, dict) else None
    members = documents.get(_CONSOLIDATED_V2, {}).get("metadata")
    return _of_members_v2(members) if isinstance(members, dict) else None


def _of_members_v3(members: Document) -> set[str]:
    groups = {
        path
        for path, member in members.items()
        if isinstance(member, dict) and member.get("node_type") == "group"
    }
    return _reached({_parent(path) for path in members.keys() - groups}, groups)


def _of_members_v2(members: Document) -> set[str]:
    groups = {_parent(key) for key in members if _last(key) == ".zgroup"}
    return _reached({_parent(_parent(key)) for key in members if key.endswith("/.zarray")}, groups)


def _reached(holding: Iterable[str], groups: Collection[str]) -> set[str]:
    """The paths `holding` arrays that are groups themselves, and lie in groups alone."""

    def is_reached(path: str) -> bool:
        while path:
            if path not in groups:
                return False
            path = _parent(path)
        return True

    return {path for path in holding if is_reached(path)}


def _parent(path: str) -> str:
    return path.rpartition("/")[0]


def _last(path: str) -> str:
    return path.rpartition("/")[2]


@dataclass(slots=True)
class _Walk:
    """A search for groups from the root down, one level after the other.

    `holding` are the groups found. A child whose document is broken may be an array or a group: it
    is `unsure` until its own children are listed.
    """

    source: ByteSource
    is_v3: bool
    most: int
    limits: OpeningLimits
    holding: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    visited: int = 0

    async def run(self, top: str) -> set[str]:
        level = [top]
        while level and len(self.holding) <= self.most:
            deeper: list[str] = []
            self.visited += len(level)
            if self.visited > _VISITED * self.most:
                raise StoreTooLarge(f"the hierarchy has more than {self.visited} groups to walk")

            async def visit(path: str, deeper: list[str] = deeper) -> None:
                deeper += await self._visit(path)

            await map_concurrently(level, visit, workers=_AT_ONCE)
            level = sorted(deeper)
        return self.holding

    async def _visit(self, path: str) -> list[str]:
        """The groups that lie directly in `path`."""
        names = await self._names(path)
        files = (_V3,) if self.is_v3 else (".zgroup", ".zarray")
        keys = [join_path(path, name, file) for name in names for file in files]
        found = await member_documents(self.source, keys, self.limits)
        groups = []
        for key, document in found.items():
            child = _parent(key)
            kind = self._kind(key, document)
            if kind != "array":
                groups.append(child)
            if kind == "unsure":
                self.unsure.add(child)
            elif kind == "array":
                self.holding.add(path)
        if path in self.unsure and not found:
            # It has no children, so it is an array in the group above.
            self.holding.add(_parent(path))
        return groups

    async def _names(self, path: str) -> list[str]:
        """The names in `path` that may be arrays or groups."""
        names = await self.source.list_dir(path)
        if not path:
            await self._check_listing(names)
        children = [name for name in names if not name.startswith((".z", _V3))]
        return children[: self.limits.variables]

    async def _check_listing(self, names: Collection[str]) -> None:
        """Raise where these `names`, listed in the root, are not those of a group."""
        own = _V3 if self.is_v3 else ".zgroup"
        if own in names:
            return
        if self.is_v3 or await self.source.exists(own):
            raise MetadataError(_UNLISTED)
        if ".zarray" in names:
            raise MetadataError(_NO_GROUP)
        raise StoreMissing("no Zarr group in this store")

    def _kind(self, key: str, document: Found) -> str:
        if not self.is_v3:
            return "group" if _last(key) == ".zgroup" else "array"
        node = "unsure" if isinstance(document, MetadataError) else document.get("node_type")
        return node if node in ("group", "unsure") else "array"
