"""The metadata documents of one group: asked for in one wave where the store allows it.

Of an unknown format ``zarr.json`` and ``.zmetadata`` are asked together, in the root and in the
group. Without consolidated metadata the group is listed and its arrays' documents follow.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

from sluice.aliases import Document
from sluice.arrays.member_documents import (
    DEFAULT_LIMITS,
    Members,
    OpeningLimits,
    in_time,
    member_documents,
    members_v2,
    members_v3,
)
from sluice.concurrency import map_concurrently
from sluice.errors import MetadataError, StoreError, StoreMissing, StoreRefused
from sluice.store.documents import json_object
from sluice.store.source import ByteSource, Tagged, Unchanged, get_tagged
from sluice.wording import excerpt

# What must be found out about the documents of so many arrays takes no time to speak of.
_FEW_ARRAYS: Final = 64

_UNLISTED: Final = (
    "the store can be neither listed nor has consolidated metadata: consolidate it "
    "(zarr.consolidate_metadata) or allow listing (on S3: s3:ListBucket)"
)


@dataclass(frozen=True, slots=True)
class Gathered:
    """The one document that holds all metadata of a consolidated store.

    Its key, a digest of its bytes, and the tag by which the store knows them, if it gave one.
    """

    key: str
    digest: str
    tag: str | None


class _Asked(NamedTuple):
    """A document of the root as it came, a digest of its bytes, and their tag."""

    document: Document
    digest: str
    tag: str | None


@dataclass(frozen=True)
class GroupDocuments:
    """One group: its attributes and the documents of the arrays directly in it.

    A v2 array's document is its ``.zarray`` with the ``.zattrs`` under ``attributes``, as in v3.
    They were `gathered` in one document, or else read one by one. Those whose documents cannot be
    used at all are `broken`: why, by their names.
    """

    path: str
    zarr_format: Literal[2, 3]
    attributes: Document
    arrays: dict[str, Document]
    gathered: Gathered | None = None
    broken: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def version(self) -> str:
        """A digest of all that is here: another one as soon as a document says something else.

        An append changes it, since a shape changes; chunks rewritten in place do not. Documents
        that were read one by one may be those of a writer that has not come to its chunks yet, so
        the same ones, once they are gathered, are another version.
        """
        said: list[Any] = [self.path, self.zarr_format, self.attributes, self.arrays]
        if self.broken:
            said.append(sorted(self.broken.items()))
        if self.gathered is not None:
            said.append("gathered")
        return _digest(json.dumps(said, sort_keys=True).encode())


async def open_group(
    source: ByteSource,
    *,
    group: str | None,
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> GroupDocuments:
    """The documents of `group` (the root when None).

    `zarr_format` asks for no key of the other format. `consolidated`: True insists on consolidated
    metadata, False ignores it, None takes it where it is there.

    Raises StoreMissing if there is no group, MetadataError if its documents cannot be used or it
    cannot be listed, StoreRefused if nothing may be read, StoreTooLarge beyond `limits`.
    """
    path = (group or "").strip("/")
    found = await _opened(source, path, zarr_format, consolidated, limits)
    limits.check_variables([*found.arrays, *found.broken])
    if len(found.arrays) <= _FEW_ARRAYS:
        _settle(found, limits)
    else:
        await asyncio.to_thread(_settle, found, limits)
    return found


def _settle(found: GroupDocuments, limits: OpeningLimits) -> str:
    """Find out once what takes long with many arrays: their attributes' size, and the version."""
    limits.check_attributes(found.attributes, found.arrays)
    return found.version


async def _opened(
    source: ByteSource,
    path: str,
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits,
) -> GroupDocuments:
    answers = await _probe(source, path, zarr_format, consolidated, limits)
    if consolidated is not False:
        found = _consolidated(answers, path)
        if found is not None:
            return found
    if consolidated:
        raise MetadataError("the store has no consolidated metadata, which was insisted on")
    if (asked := answers.get(_join(path, "zarr.json"))) is not None:
        return await _listed_v3(source, path, asked.document, limits)
    if zarr_format != 3 and (listed := await _listed_v2(source, path, limits)) is not None:
        return listed
    raise StoreMissing(f"no Zarr group{f' {path!r}' if path else ''} in this store")


async def group_again(
    source: ByteSource,
    known: GroupDocuments,
    *,
    group: str | None,
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> GroupDocuments:
    """The documents of `group` as they are now: `known` itself, if its one document is the same.

    So a consolidated group costs one request while nothing changes, and where the store gives tags
    (RFC 9110, 13.1.2) no body comes; elsewhere its bytes are compared. It is not read without its
    consolidated metadata: a writer that appends takes that away first (Zarr v3) and puts it back
    last, and in between arrays may differ in length.

    Raises StoreMissing if the metadata is gone, MetadataError if it cannot be used or is not
    consolidated any more, and the StoreError of a store that cannot be asked.
    """
    options: dict[str, Any] = {"group": group, "zarr_format": zarr_format, "limits": limits}
    if known.gathered is None:
        return await open_group(source, **options, consolidated=consolidated)
    one = known.gathered
    seen = await get_tagged(source, one.key, one.tag)
    match seen:
        case Unchanged():
            return known
        case Tagged(data, tag) if await in_time(len(data), _digest, data) == one.digest:
            return known if tag == one.tag else replace(known, gathered=replace(one, tag=tag))
    try:
        return await open_group(source, **options, consolidated=True)
    except MetadataError as error:
        if seen is None:
            raise StoreMissing(f"the consolidated metadata {one.key!r} is gone") from error
        raise


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


async def _probe(
    source: ByteSource,
    path: str,
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits,
) -> dict[str, _Asked]:
    """The root documents that exist; a refused one does not matter while another answers."""
    names = ["zarr.json"] if zarr_format != 2 else []
    if zarr_format != 3 and consolidated is not False:
        names.append(".zmetadata")
    folders = dict.fromkeys([path, ""] if consolidated is not False else [path])
    keys = [_join(folder, name) for folder in folders for name in names]
    refused: list[StoreRefused] = []
    answers: dict[str, _Asked] = {}

    async def ask(key: str) -> None:
        try:
            seen = await get_tagged(source, key)
        except StoreRefused as error:
            refused.append(error)
            return
        if isinstance(seen, Tagged):
            limits.check_metadata(len(seen.data))
            answers[key] = await in_time(len(seen.data), _asked, seen, key)

    await map_concurrently(keys, ask)
    if refused and not answers:
        raise StoreRefused(
            f"none of {', '.join(keys)} could be read: grant s3:GetObject on the store's keys, and "
            "s3:ListBucket, without which a missing key looks like a forbidden one"
        ) from refused[0]
    return answers


def _asked(seen: Tagged, key: str) -> _Asked:
    return _Asked(json_object(seen.data, repr(key)), _digest(seen.data), seen.tag)


def _consolidated(answers: Mapping[str, _Asked], path: str) -> GroupDocuments | None:
    """The group from its own or the root's consolidated metadata; v3 before v2, as zarr does."""
    readings = [("zarr.json", _consolidated_v3), (".zmetadata", _consolidated_v2)]
    for name, read in readings:
        for folder in dict.fromkeys([path, ""]):
            key = _join(folder, name)
            if (asked := answers.get(key)) is None:
                continue
            inside = path.removeprefix(folder).strip("/")
            if (found := read(asked.document, path, inside)) is not None:
                return replace(found, gathered=Gathered(key, asked.digest, asked.tag))
        if _join(path, "zarr.json") in answers:
            return None
    return None


def _consolidated_v3(document: Document, path: str, inside: str) -> GroupDocuments | None:
    if not inside:
        _expect_group(document, path)
    gathered = document.get("consolidated_metadata")
    members = gathered.get("metadata") if isinstance(gathered, dict) else None
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
    return _group(path, 3, members_v3(path, group, own))


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
    return _group(path, 2, members_v2(path, members.get(f"{prefix}.zattrs"), own))


async def _listed_v3(
    source: ByteSource, path: str, document: Document, limits: OpeningLimits
) -> GroupDocuments:
    _expect_group(document, path)
    names = await _children(source, path, "zarr.json", limits)
    found = await member_documents(
        source, [_join(path, name, "zarr.json") for name in names], limits
    )
    members = {
        name: found[key] for name in names if (key := _join(path, name, "zarr.json")) in found
    }
    return _group(path, 3, members_v3(path, document, members))


async def _listed_v2(source: ByteSource, path: str, limits: OpeningLimits) -> GroupDocuments | None:
    own = [_join(path, name) for name in (".zgroup", ".zattrs", ".zarray")]
    documents = await _documents(source, own)
    if own[0] not in documents:
        if own[2] in documents:
            raise _not_a_group(path, "a Zarr array")
        return None
    names = await _children(source, path, ".zgroup", limits)
    keys = [_join(path, name, file) for name in names for file in (".zarray", ".zattrs")]
    found = await member_documents(source, keys, limits)
    members = {
        name: (found[zarray], found.get(_join(path, name, ".zattrs")))
        for name in names
        if (zarray := _join(path, name, ".zarray")) in found
    }
    return _group(path, 2, members_v2(path, documents.get(own[1]), members))


def _group(path: str, zarr_format: Literal[2, 3], members: Members) -> GroupDocuments:
    return GroupDocuments(
        path, zarr_format, members.attributes, members.arrays, None, members.broken
    )


async def _children(source: ByteSource, path: str, known: str, limits: OpeningLimits) -> list[str]:
    """Names in the group that may be arrays; `known` is a key that a true listing must show."""
    try:
        names = await source.list_dir(path)
    except StoreError as error:
        kind = StoreRefused if isinstance(error, StoreRefused) else MetadataError
        raise kind(_UNLISTED) from error
    if known not in names:
        raise MetadataError(_UNLISTED)
    children = [name for name in names if not name.startswith((".z", "zarr.json"))]
    limits.check_variables(children)
    return children


async def _documents(source: ByteSource, keys: list[str]) -> dict[str, Document]:
    found = await source.getitems(keys)
    return {key: json_object(data, repr(key)) for key, data in found.items()}


def _expect_group(document: Document, path: str) -> None:
    node = document.get("node_type")
    if node != "group":
        kind = "a Zarr array" if node == "array" else f"of node_type {excerpt(node)}"
        raise _not_a_group(path, kind)


def _not_a_group(path: str, kind: str) -> MetadataError:
    way = "name the group that it lies in" if path else "name the folder of the group that it is in"
    option = "group" if path else "url"
    return MetadataError(f"its {option} leads to {kind}, not to a group: {way} as {option}")


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)
