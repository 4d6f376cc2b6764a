"""A dataset as a Zarr store of format 2 or 3, whatever it is stored as.

What is served is what the store has, before any decoding by CF, so that who opens it decodes as if
it were the store itself. Chunks are handed on where the store has them in that format, each as one
value under a key of its own; elsewhere values are served in chunks of the same grid, or one near
it. Variables that the dataset has left out are not there, whoever names them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Any, Final, Self

from sluice.aliases import Document, DocumentDict, record
from sluice.arrays.array_metadata import ArrayMeta, object_key, parse_array
from sluice.arrays.conventions import dimension_names
from sluice.arrays.group_documents import GroupDocuments, join_path
from sluice.arrays.served_blocks import Block
from sluice.arrays.served_documents import (
    FILL,
    ChunkKeys,
    ZarrFormat,
    grid_of,
    own_document,
    served_chunks,
    value_document,
)
from sluice.arrays.store_reader import StoreReader
from sluice.datasets._xarray import data_of
from sluice.datasets.entrypoint import AsyncDataset
from sluice.datasets.lazy import LazyArray
from sluice.errors import MetadataError
from sluice.store.source import ByteSource
from sluice.store.zarr_store import SourceStore

_COORDINATES: Final = "coordinates"
# The documents of a group and, by True, of an array.
_MEMBERS: Final[Mapping[tuple[ZarrFormat, bool], tuple[str, ...]]] = {
    (2, False): (".zgroup", ".zattrs", ".zmetadata"),
    (2, True): (".zarray", ".zattrs"),
    (3, False): ("zarr.json",),
    (3, True): ("zarr.json",),
}
# The length of the hash that is an edition.
_EDITION_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class StoredGroups:
    """What a dataset was opened from: its group, and before it the groups that it inherits from.

    `levels` are their documents, `readers` read the arrays of each. The store is `plain` where each
    chunk is a value under a key of its own. The `epoch` changes when an operator says that chunks
    were rewritten in place.
    """

    source: ByteSource
    levels: tuple[GroupDocuments, ...]
    readers: tuple[StoreReader, ...]
    plain: bool
    epoch: str


@record
class ServedArray:
    """One array: its document (with its attributes inside), its chunks' keys, and their shape.

    Chunks are `handed` on as the store has them, or encoded anew from values; `grid` is the length
    of a chunk along each dimension.
    """

    document: DocumentDict
    keys: ChunkKeys
    grid: tuple[int, ...]
    handed: bool
    meta: ArrayMeta
    reader: StoreReader

    def place(self, key: str) -> tuple[int, ...] | None:
        """The index of the chunk under a key without the array's name; None for another key."""
        return self.keys.place(key, len(self.grid))

    def has(self, place: Sequence[int]) -> bool:
        """Whether the index of a chunk is within the array."""
        along = zip(place, self.grid, self.meta.shape, strict=True)
        return all([number * length < size for number, length, size in along])

    def stored_key(self, place: tuple[int, ...]) -> str:
        """The key in the store of a chunk that is handed on."""
        return object_key(self.meta, place)

    def block(self, place: Sequence[int]) -> Block:
        """A chunk that is encoded from values."""
        return Block.at(self.reader, self.meta, self.grid, place)

    @property
    def most_stored_bytes(self) -> int:
        """The most bytes of a chunk, or shard, that is handed on."""
        shards = self.meta.shards
        return self.meta.stored_bytes if shards is None else shards.most_bytes


@dataclass(frozen=True)
class ServedStore:
    """The arrays of a dataset, by name, and the group's attributes, in one Zarr format.

    `left_out` says by name why the format cannot have an array.
    """

    zarr_format: ZarrFormat
    attributes: Document
    arrays: Mapping[str, ServedArray]
    left_out: Mapping[str, str]
    epoch: str

    @classmethod
    def of(cls, dataset: AsyncDataset, stored: StoredGroups, zarr_format: ZarrFormat) -> Self:
        """The dataset in this format; reads nothing. Takes about a millisecond for an array."""
        arrays: dict[str, ServedArray] = {}
        left_out: dict[str, str] = {}
        known = _known(stored.levels)
        for name, level in _members(dataset, stored.levels):
            try:
                found = _Found.of(dataset, name, stored, level)
                arrays[name] = found.served(zarr_format, stored.plain)
            except MetadataError as error:
                left_out[name] = error.detail
        for array in arrays.values():
            _name_those_there(array.document["attributes"], known, arrays)
        return cls(zarr_format, stored.levels[-1].attributes, arrays, left_out, stored.epoch)

    @cached_property
    def edition(self) -> str:
        """A hash of all that decides what chunks mean; the lengths of dimensions are not in it.

        So clients that opened the store before data were appended go on reading the same keys.
        """
        described = [
            (name, array.meta.path, array.handed, {**array.document, "shape": None})
            for name, array in sorted(self.arrays.items())
        ]
        text = json.dumps([self.epoch, described], sort_keys=True, default=repr)
        return blake2b(text.encode(), digest_size=_EDITION_BYTES).hexdigest()

    def is_document(self, key: str) -> bool:
        """Whether the key is that of a metadata document."""
        name, _, member = key.rpartition("/")
        members = _MEMBERS[self.zarr_format, bool(name)]
        return member in members and (not name or name in self.arrays)

    def document(self, key: str) -> DocumentDict | None:
        """The metadata document of this key; None where there is none."""
        if not self.is_document(key):
            return None
        name, _, member = key.rpartition("/")
        if not name:
            return self._of_group(member)
        document = self.arrays[name].document
        match member:
            case ".zarray":
                return {key: item for key, item in document.items() if key != "attributes"}
            case ".zattrs":
                return dict(document["attributes"])
            case _:
                return document

    def _of_group(self, member: str) -> DocumentDict:
        match member:
            case "zarr.json":
                found = {"zarr_format": 3, "node_type": "group", "attributes": {**self.attributes}}
                whole = {name: array.document for name, array in self.arrays.items()}
                consolidated = {"kind": "inline", "must_understand": False, "metadata": whole}
                return {**found, "consolidated_metadata": consolidated}
            case ".zgroup":
                return {"zarr_format": 2}
            case ".zattrs":
                return dict(self.attributes)
            case _:
                return {"zarr_consolidated_format": 1, "metadata": dict(self._consolidated_v2())}

    def _consolidated_v2(self) -> Iterator[tuple[str, DocumentDict | None]]:
        for name in ("", *self.arrays):
            for member in (".zgroup", ".zarray", ".zattrs"):
                key = join_path(name, member)
                if self.is_document(key):
                    yield key, self.document(key)


@record
class _Found:
    """One array of the store as the dataset was opened from it."""

    document: Document
    meta: ArrayMeta
    reader: StoreReader

    @classmethod
    def of(cls, dataset: AsyncDataset, name: str, stored: StoredGroups, level: int) -> Self:
        document = stored.levels[level].arrays[name]
        path = join_path(stored.levels[level].path, name)
        array = getattr(data_of(dataset.variables[name]), "array", None)
        if isinstance(array, LazyArray) and array.copy is None and array.meta.path == path:
            return cls(document, array.meta, array.reader)
        # It is in memory, decoded, and no longer knows its array.
        plain = dict(document.get("attributes") or {})
        if document.get("zarr_format") == 3:
            plain.pop(FILL, None)
        meta = parse_array(path, {**document, "attributes": plain}, SourceStore(stored.source))
        return cls(document, meta, stored.readers[level])

    def served(self, zarr_format: ZarrFormat, plain: bool) -> ServedArray:
        """The array in this format; MetadataError where the format cannot have it."""
        if plain and self.document.get("zarr_format") == zarr_format:
            own = own_document(self.document, self.meta)
            if own is not None:
                keys = ChunkKeys.of(own)
                return ServedArray(own, keys, grid_of(own), True, self.meta, self.reader)
        chunks = served_chunks(self.meta)
        made = value_document(self.document, self.meta, zarr_format, chunks)
        return ServedArray(made, ChunkKeys.of(made), chunks, False, self.meta, self.reader)


def _known(levels: Sequence[GroupDocuments]) -> set[str]:
    """The names of all arrays of the dataset's own group, usable or not."""
    return {*levels[-1].arrays, *levels[-1].broken}


def _members(dataset: AsyncDataset, levels: Sequence[GroupDocuments]) -> Iterator[tuple[str, int]]:
    """The variables of the dataset in the order of its store, and in which level each is.

    Of an index coordinate that several levels have, that of the first is the dataset's.
    """
    own = len(levels) - 1
    indexes: Collection[Hashable] = dataset.xindexes
    names = dict.fromkeys([*levels[own].arrays, *map(str, dataset.variables)])
    for name in names:
        if name not in dataset.variables:
            continue
        level = own
        if name in indexes:
            level = next(n for n, one in enumerate(levels) if n == own or _is_index(one, name))
        if name in levels[level].arrays:
            yield name, level


def _is_index(level: GroupDocuments, name: str) -> bool:
    """Whether the group has an array of this name along the dimension of this name."""
    document = level.arrays.get(name)
    if document is None:
        return False
    try:
        return dimension_names(document) == (name,)
    except (MetadataError, KeyError, TypeError):
        return False


def _name_those_there(
    attributes: dict[str, Any], known: Collection[str], arrays: Collection[str]
) -> None:
    """Have ``coordinates`` name no array that was left out.

    xarray takes the attribute for one only if all that it names are there.
    """
    named = attributes.get(_COORDINATES)
    if not isinstance(named, str):
        return
    names = named.split()
    if not all(name in known for name in names) or all(name in arrays for name in names):
        return
    there = [name for name in names if name in arrays]
    if there:
        attributes[_COORDINATES] = " ".join(there)
    else:
        del attributes[_COORDINATES]
