"""The documents of one group's arrays, which of them can be used, and limits on opening a store.

A few hundred bytes of metadata can ask for coordinates of any size, so the costs of opening a store
are checked by its metadata first. A coordinate that exceeds a limit is left out; a store that
exceeds one as a whole is an error. Both name the setting by which an operator allows more. One
broken document does not affect the others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, ParamSpec, TypeAlias, TypeVar

from sluice.aliases import Document
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.conventions import with_references
from sluice.arrays.texts import TextMeter, attribute_bytes
from sluice.concurrency import map_concurrently
from sluice.errors import MetadataError, ReferenceRefused, StoreError, StoreMissing, StoreTooLarge
from sluice.store.documents import json_object
from sluice.store.source import ByteSource

# The beginning of the settings' names.
_SETTING: Final = "SLUICE_STORE_"
# Nesting of attributes and codecs: deeper than any real one, and far from Python's recursion limit.
MOST_LEVELS: Final = 32


@dataclass(frozen=True, slots=True)
class OpeningLimits:
    """The most that one group may have.

    The defaults leave room for what archives have: thousands of variables, a million labels of an
    hourly series, one chunk for each step of some years. Variables that are `dropped` count towards
    `metadata_bytes` alone, since metadata is read before any name is known.
    """

    metadata_bytes: int = 32 * 2**20
    attribute_bytes: int = 16 * 2**20
    variables: int = 10_000
    coordinate_bytes: int = 128 * 2**20
    coordinate_chunks: int = 100_000
    dropped: frozenset[str] = frozenset()

    def check_metadata(self, nbytes: int) -> None:
        """Raise StoreTooLarge for more bytes of metadata documents."""
        self._check("metadata_bytes", "bytes of metadata", nbytes)

    def check_variables(self, names: Collection[str]) -> None:
        """Raise StoreTooLarge for more arrays in one group."""
        self._check("variables", "variables", len(set(names) - self.dropped))

    def check_attributes(self, attributes: Document, arrays: Mapping[str, Document]) -> None:
        """Raise StoreTooLarge for more bytes of attributes, of the group and of its arrays."""
        kept = [array for name, array in arrays.items() if name not in self.dropped]
        each = [attributes, *(array.get("attributes") for array in kept)]
        nbytes = sum([attribute_bytes(one) for one in each if isinstance(one, Mapping)])
        self._check("attribute_bytes", "bytes of attributes", nbytes)

    def _check(self, limited: str, what: str, found: int) -> None:
        limit: int = getattr(self, limited)
        if found > limit:
            raise StoreTooLarge(
                f"the store has {found} {what}, of which {_SETTING}{limited.upper()} allows"
                f" {limit}",
                limited=limited,
                found=found,
                limit=limit,
            )


DEFAULT_LIMITS: Final = OpeningLimits()


class CoordinateRoom:
    """Counts what the coordinates take that are read while one store is opened."""

    def __init__(self, limits: OpeningLimits) -> None:
        self._limits = limits
        self._bytes = 0
        self._chunks = 0

    def meter(self) -> TextMeter:
        """A meter for the texts of one coordinate, whose length is known once they are read."""
        limit = self._limits.coordinate_bytes
        return TextMeter(self._bytes, limit, 0, limit)

    def take(self, nbytes: int) -> None:
        """Count so many bytes of text that were read."""
        self._bytes += nbytes

    def enter(self, meta: ArrayMeta, values: int, chunks: int) -> None:
        """Count `values` out of `chunks` that are to be read; MetadataError if that is too much.

        They count at least as one whole chunk, the least that is decoded.
        """
        nbytes = max(values * meta.dtype.itemsize, min(chunks, 1) * meta.chunk_bytes)
        for limited, what, found, limit in (
            ("coordinate_bytes", "bytes", self._bytes + nbytes, self._limits.coordinate_bytes),
            ("coordinate_chunks", "chunks", self._chunks + chunks, self._limits.coordinate_chunks),
        ):
            if found > limit:
                raise too_large(limited, what, found, limit)
        self._bytes += nbytes
        self._chunks += chunks


def too_large(limited: str, what: str, found: int, limit: int) -> MetadataError:
    """The error for a coordinate that is left out because of a limit."""
    return MetadataError(
        "its values are read when the dataset is opened, and with them the coordinates take"
        f" {found} {what} or more, of which {_SETTING}{limited.upper()} allows {limit}",
        advice="Raise that setting, or name it in drop_variables.",
    )


class Members(NamedTuple):
    """A group's attributes, the documents of its arrays, and why others are `broken`, by name.

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


def members_v2(path: str, zattrs: object, members: Mapping[str, tuple[object, object]]) -> Members:
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
    """Put the `document` among the arrays, its attributes made `shallow`, or the broken ones."""
    attributes = document.get("attributes")
    if levels_exceed({**document, "attributes": None}):
        broken[name] = "its metadata is nested too deeply"
    elif isinstance(attributes, dict):
        arrays[name] = {**document, "attributes": shallow(attributes)}
    elif attributes is None:
        arrays[name] = document
    else:
        broken[name] = "its attributes are not a JSON object"


def _attributes(attributes: object, path: str) -> Document:
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise MetadataError(
            f"the attributes of {repr(path) if path else 'the root'} are not a JSON object"
        )
    return shallow(attributes)


def _array_v2(zarray: object, zattrs: object) -> Document:
    """A v2 array's document; NCZarr's dimension references become xarray's attribute."""
    for document in (zarray, zattrs):
        if isinstance(document, MetadataError):
            raise document
    if not isinstance(zarray, dict):
        raise MetadataError("its '.zarray' is not a JSON object")
    attributes = zattrs or {}
    if not isinstance(attributes, dict):
        raise MetadataError("its '.zattrs' is not a JSON object")
    return with_references({**zarray, "attributes": dict(attributes)})


Made = TypeVar("Made")
Given = ParamSpec("Given")
# A document, or why it cannot be used.
Found: TypeAlias = dict[str, object] | MetadataError

# Documents of so many bytes are parsed in a few milliseconds.
_SHORT_BYTES: Final = 256 * 2**10


async def in_thread_if_long(
    nbytes: int, work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs
) -> Made:
    """What ``work(*given, **named)`` on documents of `nbytes` returns; if many, in a thread."""
    if nbytes <= _SHORT_BYTES:
        return work(*given, **named)
    return await asyncio.to_thread(work, *given, **named)


async def member_documents(
    source: ByteSource, keys: Sequence[str], limits: OpeningLimits
) -> dict[str, Found]:
    """The documents under those of `keys` that exist, or why one cannot be used.

    Raises:
        StoreTooLarge: all together are longer than `limits` allow.
        StoreError: the store does not answer.
    """
    try:
        found: Mapping[str, bytes | MetadataError] = await source.getitems(keys)
    except StoreError as error:
        if _of_one_key(error) is None:
            raise
        found = await _one_by_one(source, keys)
    nbytes = sum(len(data) for data in found.values() if isinstance(data, bytes))
    limits.check_metadata(nbytes)
    return await in_thread_if_long(nbytes, _parsed, found)


async def _one_by_one(source: ByteSource, keys: Sequence[str]) -> dict[str, bytes | MetadataError]:
    """The value of each key, or what is wrong with it alone."""
    found: dict[str, bytes | MetadataError] = {}

    async def read(key: str) -> None:
        try:
            found.update(await source.getitems([key]))
        except StoreError as error:
            broken = _of_one_key(error)
            if broken is None:
                raise
            found[key] = broken

    await map_concurrently(keys, read)
    return found


def _of_one_key(error: StoreError) -> MetadataError | None:
    """The error of one key alone: a reference that is refused, invalid, or whose target is gone.

    None where the store itself fails.
    """
    if isinstance(error, MetadataError):
        return error
    nowhere = type(error) in (StoreError, StoreMissing) and "key" in error.facts
    if nowhere or isinstance(error, ReferenceRefused):
        return MetadataError(error.detail)
    return None


def _parsed(found: Mapping[str, bytes | MetadataError]) -> dict[str, Found]:
    return {key: _document(value, key) for key, value in found.items()}


def _document(value: bytes | MetadataError, key: str) -> Found:
    if isinstance(value, MetadataError):
        return value
    try:
        return json_object(value, repr(key))
    except MetadataError as error:
        return error


def levels_exceed(value: object, most: int = MOST_LEVELS) -> bool:
    """Whether objects and lists in `value` are nested more than `most` levels deep."""
    level = [value]
    for _ in range(most + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return False
    return True


def shallow(attributes: Document) -> dict[str, object]:
    """`attributes`; a value that is nested too deeply is replaced by its JSON text."""
    return {
        name: _json_text(value)
        if isinstance(value, dict | list) and levels_exceed(value)
        else value
        for name, value in attributes.items()
    }


def _inside(value: object) -> list[object]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []


class _Written(str):
    """A finished part of a JSON text, and no value to be written."""

    __slots__ = ()


def _json_text(value: object) -> str:
    """``json.dumps(value)`` without recursion, for values nested at any depth."""
    parts: list[str] = []
    left: list[object] = [value]
    while left:
        match left.pop():
            case _Written() as text:
                parts.append(text)
            case dict() | list() as outer:
                left += reversed(_opened(outer))
            case scalar:
                parts.append(json.dumps(scalar))
    return "".join(parts)


def _opened(value: dict[str, object] | list[object]) -> list[object]:
    """An object or list as its brackets, names and separators, with its values between them."""
    if isinstance(value, dict):
        start, end = "{", "}"
        members = [[_Written(f"{json.dumps(name)}: "), item] for name, item in value.items()]
    else:
        start, end = "[", "]"
        members = [[item] for item in value]
    opened: list[object] = [_Written(start)]
    for number, member in enumerate(members):
        opened += [_Written(", "), *member] if number else member
    return [*opened, _Written(end)]
