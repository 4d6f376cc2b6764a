"""Reading the metadata documents of groups: in one round of requests where the store allows it.

If the format is unknown, ``zarr.json`` and ``.zmetadata`` are read together, in the root and in the
group. Without consolidated metadata the group is listed, and its arrays' documents follow.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from sluice.aliases import Document
from sluice.arrays.group_documents import (
    ConsolidatedMetadata,
    GroupDocuments,
    RootDocument,
    digest_of,
    expect_group,
    group_of,
    join_path,
    not_a_group,
    root_document,
)
from sluice.arrays.member_documents import (
    DEFAULT_LIMITS,
    OpeningLimits,
    in_thread_if_long,
    member_documents,
    members_v2,
    members_v3,
)
from sluice.concurrency import map_concurrently
from sluice.errors import MetadataError, StoreError, StoreMissing, StoreRefused
from sluice.store.documents import json_object
from sluice.store.source import ByteSource, Tagged, Unchanged, get_tagged

# The documents of so few arrays are checked on the loop.
_FEW_ARRAYS: Final = 64

_UNLISTED: Final = (
    "the store can be neither listed nor has consolidated metadata: consolidate it "
    "(zarr.consolidate_metadata) or allow listing (on S3: s3:ListBucket)"
)


async def open_group(
    source: ByteSource,
    *,
    group: str | None,
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> GroupDocuments:
    """The documents of `group` (the root when None).

    `zarr_format`: 2 or 3 reads no key of the other format, None tries both. `consolidated`: True
    insists on consolidated metadata, False ignores it, None uses it where it is there.

    Raises StoreMissing if there is no group, MetadataError if its documents cannot be used or it
    cannot be listed, StoreRefused if nothing may be read, StoreTooLarge beyond `limits`.
    """
    reading = _Reading(zarr_format, consolidated, limits)
    (found,) = await _open_all(source, [(group or "").strip("/")], reading)
    return found


async def open_groups(
    source: ByteSource,
    *,
    groups: Sequence[str],
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> tuple[GroupDocuments, ...]:
    """The documents of each of the `groups`; what they have in common is read once.

    Raises as `open_group` does.
    """
    paths = [path.strip("/") for path in groups]
    return await _open_all(source, paths, _Reading(zarr_format, consolidated, limits))


class _Reading(NamedTuple):
    """How metadata is to be read: the keywords of `open_group`."""

    zarr_format: int | None
    consolidated: bool | None
    limits: OpeningLimits


async def _open_all(
    source: ByteSource, paths: Sequence[str], reading: _Reading
) -> tuple[GroupDocuments, ...]:
    answers = await _probe(source, paths, reading)
    found: dict[str, GroupDocuments] = {}
    if reading.consolidated is not False:
        nbytes = sum([one.nbytes for one in answers.values()])
        found = await in_thread_if_long(
            nbytes, _consolidated_groups, answers, paths, reading.limits
        )

    async def open_one(path: str) -> None:
        found[path] = await _listed(source, path, answers, reading)

    await map_concurrently([path for path in dict.fromkeys(paths) if path not in found], open_one)
    return tuple(found[path] for path in paths)


def _consolidated_groups(
    answers: Mapping[str, RootDocument], paths: Sequence[str], limits: OpeningLimits
) -> dict[str, GroupDocuments]:
    """Those of the groups that are in consolidated metadata."""
    found = {path: consolidated_group(answers, path) for path in paths}
    return {path: _settled(one, limits) for path, one in found.items() if one is not None}


def _settled(found: GroupDocuments, limits: OpeningLimits) -> GroupDocuments:
    """The same group, within the limits, and with its version known: slow for many arrays."""
    limits.check_variables([*found.arrays, *found.broken])
    limits.check_attributes(found.attributes, found.arrays)
    _ = found.version
    return found


async def _listed(
    source: ByteSource, path: str, answers: Mapping[str, RootDocument], reading: _Reading
) -> GroupDocuments:
    """A group that is not in consolidated metadata."""
    zarr_format, consolidated, limits = reading
    if consolidated:
        raise MetadataError("the store has no consolidated metadata, which was insisted on")
    if (root := answers.get(join_path(path, "zarr.json"))) is not None:
        return await _listed_v3(source, path, root.document, limits)
    if zarr_format != 3 and (listed := await _listed_v2(source, path, limits)) is not None:
        return listed
    raise StoreMissing(f"no Zarr group{f' {path!r}' if path else ''} in this store")


async def revalidate_groups(
    source: ByteSource,
    known: Sequence[GroupDocuments],
    *,
    zarr_format: int | None,
    consolidated: bool | None,
    limits: OpeningLimits = DEFAULT_LIMITS,
) -> tuple[GroupDocuments, ...]:
    """The documents of these groups as they are now; the `known` ones where nothing has changed.

    Consolidated groups cost one request while nothing changes; it has no body where the store
    gives entity tags (RFC 9110, 13.1.2), elsewhere the bytes are compared. Such groups are never
    read without their consolidated metadata: a writer that appends removes it first (Zarr v3) and
    writes it last, and in between arrays may differ in length.

    Raises StoreMissing if the metadata is gone, MetadataError if it cannot be used or is not
    consolidated any more, and the StoreError of a store that cannot be asked.
    """
    reading = _Reading(zarr_format, consolidated, limits)
    paths = [one.path for one in known]
    if any(one.consolidated is None for one in known):
        return await _open_all(source, paths, reading)
    documents = {
        one.consolidated.key: one.consolidated for one in known if one.consolidated is not None
    }
    now = {key: await _same(source, one) for key, one in documents.items()}
    if all(isinstance(one, ConsolidatedMetadata) for one in now.values()):
        return tuple(_with_tag(one, now) for one in known)
    try:
        return await _open_all(source, paths, reading._replace(consolidated=True))
    except MetadataError as error:
        gone = next((key for key, one in now.items() if one is None), None)
        if gone is not None:
            raise StoreMissing(f"the consolidated metadata {gone!r} is gone") from error
        raise


async def _same(
    source: ByteSource, one: ConsolidatedMetadata
) -> ConsolidatedMetadata | Tagged | None:
    """`one` with its current tag if its bytes are the same; else the new value, None if gone."""
    seen = await get_tagged(source, one.key, one.tag)
    match seen:
        case Unchanged():
            return one
        case Tagged(data, tag) if await in_thread_if_long(len(data), digest_of, data) == one.digest:
            return one if tag == one.tag else replace(one, tag=tag)
    return seen


def _with_tag(
    known: GroupDocuments, now: Mapping[str, ConsolidatedMetadata | Tagged | None]
) -> GroupDocuments:
    """The `known` documents, with the current tag of their consolidated metadata."""
    one = now[known.consolidated.key] if known.consolidated is not None else None
    if not isinstance(one, ConsolidatedMetadata) or one is known.consolidated:
        return known
    return replace(known, consolidated=one)


async def _probe(
    source: ByteSource, paths: Sequence[str], reading: _Reading
) -> dict[str, RootDocument]:
    """The root documents that exist; raises a refusal only where there is no other document."""
    zarr_format, consolidated, limits = reading
    names = ["zarr.json"] if zarr_format != 2 else []
    if zarr_format != 3 and consolidated is not False:
        names.append(".zmetadata")
    folders = dict.fromkeys([*paths, ""] if consolidated is not False else paths)
    keys = [join_path(folder, name) for folder in folders for name in names]
    refused: list[StoreRefused] = []
    answers: dict[str, RootDocument] = {}

    async def ask(key: str) -> None:
        try:
            seen = await get_tagged(source, key)
        except StoreRefused as error:
            refused.append(error)
            return
        if isinstance(seen, Tagged):
            limits.check_metadata(len(seen.data))
            answers[key] = await in_thread_if_long(len(seen.data), root_document, seen, key)

    await map_concurrently(keys, ask)
    if refused and not answers:
        raise StoreRefused(
            f"none of {', '.join(keys)} could be read: grant s3:GetObject on the store's keys, and "
            "s3:ListBucket, without which a missing key looks like a forbidden one"
        ) from refused[0]
    return answers


async def _listed_v3(
    source: ByteSource, path: str, document: Document, limits: OpeningLimits
) -> GroupDocuments:
    expect_group(document, path)
    names = await _children(source, path, "zarr.json", limits)
    found = await member_documents(
        source, [join_path(path, name, "zarr.json") for name in names], limits
    )
    members = {
        name: found[key] for name in names if (key := join_path(path, name, "zarr.json")) in found
    }

    def group() -> GroupDocuments:
        return _settled(group_of(path, 3, members_v3(path, document, members)), limits)

    return group() if len(members) <= _FEW_ARRAYS else await asyncio.to_thread(group)


async def _listed_v2(source: ByteSource, path: str, limits: OpeningLimits) -> GroupDocuments | None:
    own = [join_path(path, name) for name in (".zgroup", ".zattrs", ".zarray")]
    documents = await _documents(source, own)
    if own[0] not in documents:
        if own[2] in documents:
            raise not_a_group(path, "a Zarr array")
        return None
    names = await _children(source, path, ".zgroup", limits)
    keys = [join_path(path, name, file) for name in names for file in (".zarray", ".zattrs")]
    found = await member_documents(source, keys, limits)
    members = {
        name: (found[zarray], found.get(join_path(path, name, ".zattrs")))
        for name in names
        if (zarray := join_path(path, name, ".zarray")) in found
    }

    def group() -> GroupDocuments:
        attributes = documents.get(own[1])
        return _settled(group_of(path, 2, members_v2(path, attributes, members)), limits)

    return group() if len(members) <= _FEW_ARRAYS else await asyncio.to_thread(group)


async def _children(source: ByteSource, path: str, known: str, limits: OpeningLimits) -> list[str]:
    """Names in the group that may be arrays; a listing without the `known` key is not trusted."""
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


def consolidated_group(answers: Mapping[str, RootDocument], path: str) -> GroupDocuments | None:
    """The group from its own or the root's consolidated metadata; v3 before v2, as zarr does."""
    readings = [("zarr.json", _consolidated_v3), (".zmetadata", _consolidated_v2)]
    for name, read in readings:
        for folder in dict.fromkeys([path, ""]):
            key = join_path(folder, name)
            if (asked := answers.get(key)) is None:
                continue
            inside = path.removeprefix(folder).strip("/")
            if (found := read(asked, path, inside)) is not None:
                return replace(
                    found, consolidated=ConsolidatedMetadata(key, asked.digest, asked.tag)
                )
        if join_path(path, "zarr.json") in answers:
            return None
    return None


def _consolidated_v3(root: RootDocument, path: str, inside: str) -> GroupDocuments | None:
    document = root.document
    if not inside:
        expect_group(document, path)
    whole = document.get("consolidated_metadata")
    members = whole.get("metadata") if isinstance(whole, dict) else None
    if not isinstance(members, dict):
        return None
    group = members.get(inside) if inside else document
    if not isinstance(group, dict) or group.get("node_type") != "group":
        return None
    return group_of(path, 3, members_v3(path, group, root.members_v3.get(inside, {})))


def _consolidated_v2(root: RootDocument, path: str, inside: str) -> GroupDocuments | None:
    members = root.document.get("metadata")
    if not isinstance(members, dict):
        raise MetadataError("'.zmetadata' has no 'metadata' object")
    prefix = f"{inside}/" if inside else ""
    if f"{prefix}.zgroup" not in members:
        return None
    own = root.arrays_v2.get(inside, {})
    return group_of(path, 2, members_v2(path, members.get(f"{prefix}.zattrs"), own))
