"""Write a copy of a dataset in other chunks, in bounded memory, going on where one was stopped.

Values are copied as they are stored, after the codecs and before any decoding by conventions, block
by block: a block is of whole chunks of the copy, and as large as memory allows along dimensions
where that spares decoding a stored chunk twice. A record beside the arrays says which blocks are
written. The version of the dataset is stamped into the copy at the end, so that no incomplete copy
is ever read.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import zarr
from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import StorePath

from sluice.aliases import Document, DocumentDict, record
from sluice.arrays.array_documents import normal_array
from sluice.arrays.array_metadata import ArrayMeta
from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.plan import plan_orthogonal
from sluice.arrays.reader import Reader
from sluice.arrays.store_reader import StoreReader
from sluice.datasets.copies import STAMP
from sluice.datasets.copy_layout import (
    Shape,
    block_shape,
    check_dimensions,
    chunks_of,
    document_v2,
    document_v3,
    item_bytes,
    places,
    value_bytes,
)
from sluice.datasets.encoded_store import EncodedStore
from sluice.errors import CatalogError, StoreError
from sluice.store.source import ByteSource
from sluice.store.zarr_store import SourceStore

# The key of the record of what is written; deleted once the copy is complete.
RECORD: Final = "sluice-rechunk.json"
_MIB: Final = 2**20
# So many chunks are encoded at once; each takes its values, their bytes, and what is compressed.
_ENCODED_AT_ONCE: Final = 4
_ENCODING_COPIES: Final = 3


@record
class Progress:
    """How much of a copy is `written`, of its `total`, in bytes of decoded values."""

    written: int
    total: int


@dataclass(slots=True)
class _Record:
    """The record of a copy that is being written."""

    of: str
    chunks: Mapping[str, list[int]]
    # The blocks of each array, and how many of them are written.
    blocks: dict[str, list[int]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)

    def is_of(self, other: _Record) -> bool:
        """Whether both are records of the same copy."""
        return (self.of, self.chunks) == (other.of, other.chunks)

    def text(self) -> bytes:
        told = {"of": self.of, "chunks": self.chunks, "blocks": self.blocks, "done": self.done}
        return json.dumps(told).encode()

    @classmethod
    def read(cls, data: bytes) -> _Record:
        """The record in this text; one of nothing where it was not written to its end."""
        try:
            told = json.loads(data)
            return cls(told["of"], told["chunks"], told["blocks"], told["done"])
        except (ValueError, KeyError, TypeError):
            return cls("", {})


class Rechunking:
    """The copy of one `version` of the dataset in `source`, in these chunks, into `target`.

    `chunks` has lengths by dimension; other dimensions keep the dataset's. At most about
    `memory_bytes` are taken for values. Raises CatalogError for what cannot be: a dimension that
    is not there, or too little memory for one chunk of the copy.
    """

    def __init__(
        self,
        source: ByteSource,
        documents: GroupDocuments,
        version: str,
        target: Store,
        chunks: Mapping[str, int],
        memory_bytes: int = 512 * _MIB,
    ) -> None:
        self._documents = documents
        self._target = target
        in_flight = max(_MIB, min(64 * _MIB, memory_bytes // 8))
        self._in_flight = in_flight
        self._memory_bytes = memory_bytes
        reader = Reader(cache_bytes=0, in_flight_bytes=in_flight)
        self._reader = StoreReader.of(source, reader, version)
        known = EncodedStore(documents, SourceStore(source))
        check_dimensions(known, chunks)
        self.left_out = {name: one.reason for name, one in known.unusable.items()}
        self._arrays = {n: one.meta for n, one in known.encoded.items() if n not in self.left_out}
        self._chunks = {
            name: chunks_of(name, meta, known.variables[name].dims, chunks)
            for name, meta in self._arrays.items()
        }
        self._blocks = {name: self._block_of(name) for name in self._arrays}
        wanted = {name: list(shape) for name, shape in self._chunks.items()}
        self._record = _Record(version, wanted)

    async def begin(self, *, replace: bool) -> bool:
        """Make the target ready, or see that all of the copy is there already: then False.

        Goes on with a copy that was not completed; one of another version or in other chunks is
        begun anew. Raises CatalogError where something else is there; a copy that is complete, of
        another version or in other chunks, is that too, unless it is to be replaced.
        """
        found = await self._get(RECORD)
        if found is not None:
            before = _Record.read(found)
            if before.is_of(self._record):
                self._record = before
                return True
            await self._clear()
        elif (stamp := await self._stamp()) is not None:
            if stamp == self._record.of and await self._has_these_chunks():
                return False
            if not replace:
                raise CatalogError(
                    "there is a copy of another version of the dataset, or in other chunks: name"
                    " another place, or have it replaced (--replace) once no server reads it"
                )
            await self._clear()
        elif not await self._is_empty():
            raise CatalogError("there is something else already, which is left as it is")
        await self._set(RECORD, self._record.text())
        await self._write_group({}, {})
        return True

    async def run(
        self, see: Callable[[Progress], None], is_current: Callable[[], Awaitable[bool]]
    ) -> None:
        """Write all that is not there yet; `see` is shown how far it is.

        Raises StoreError where the store does not do its part, or `is_current` says at the end that
        the dataset has another version by now; OSError and others where the target does not.
        """
        total = sum(map(value_bytes, self._arrays.values()))
        written = 0
        see(Progress(0, total))
        with zarr.config.set({"async.concurrency": _ENCODED_AT_ONCE}):
            for name, meta in self._arrays.items():
                async for nbytes in self._copy(name, meta):
                    written += nbytes
                    see(Progress(min(written, total), total))
        if not await is_current():
            raise StoreError("the dataset has another version by now: run it again")
        documents = {name: self._document(name) for name in self._arrays}
        await self._write_group({**self._documents.attributes, STAMP: self._record.of}, documents)
        await self._target.delete(RECORD)

    async def _copy(self, name: str, meta: ArrayMeta) -> AsyncIterator[int]:
        """Write one array; yields the bytes of values of each block once they are there."""
        block = self._blocks[name]
        if self._record.blocks.get(name) != list(block):
            await self._write_array(name)
            self._record.blocks[name], self._record.done[name] = list(block), 0
        path, done = StorePath(self._target, name), self._record.done[name]
        array = await zarr.AsyncArray.open(path, zarr_format=self._documents.zarr_format)
        for number, place in enumerate(places(meta.shape, block)):
            nbytes = item_bytes(meta) * math.prod([one.stop - one.start for one in place])
            if number >= done:
                plan = plan_orthogonal(meta.shape, meta.chunks, place)
                values = await self._reader.read(meta, plan)
                await array.setitem(place, values)
                del values
                self._record.done[name] = number + 1
                await self._set(RECORD, self._record.text())
            yield nbytes

    def _block_of(self, name: str) -> Shape:
        """The shape of the blocks in which an array is copied."""
        meta, chunks = self._arrays[name], self._chunks[name]
        itemsize = item_bytes(meta)
        chunk_bytes = math.prod(chunks) * itemsize
        beside = max(self._in_flight, meta.chunk_bytes)
        beside += _ENCODED_AT_ONCE * _ENCODING_COPIES * min(chunk_bytes, value_bytes(meta))
        room = self._memory_bytes - beside
        if min(chunk_bytes, value_bytes(meta)) > room:
            needed = beside + chunk_bytes
            raise CatalogError(
                f"{name!r} in chunks of {' x '.join(map(str, chunks))} takes about"
                f" {-(-needed // _MIB)} MiB of memory: give it more (--memory), or smaller chunks"
            )
        return block_shape(meta.shape, meta.chunks, chunks, itemsize, room)

    async def _write_array(self, name: str) -> None:
        document = dict(self._document(name))
        if self._documents.zarr_format == 3:
            await self._set_json(f"{name}/zarr.json", document)
        else:
            await self._set_json(f"{name}/.zattrs", document.pop("attributes"))
            await self._set_json(f"{name}/.zarray", document)

    def _document(self, name: str) -> Document:
        """The metadata of an array of the copy."""
        document = normal_array(self._documents.arrays[name])
        attributes = self._documents.arrays[name].get("attributes") or {}
        make = document_v3 if self._documents.zarr_format == 3 else document_v2
        return make(document, attributes, self._arrays[name], self._chunks[name])

    async def _write_group(self, attributes: Document, arrays: Mapping[str, Document]) -> None:
        """The group's own documents; with `arrays` those of all together, which are written last.

        So whoever finds the stamp finds all that it stands for.
        """
        if self._documents.zarr_format == 3:
            group: dict[str, object] = {"zarr_format": 3, "node_type": "group"}
            group["attributes"] = attributes
            if arrays:
                told = {"kind": "inline", "must_understand": False, "metadata": arrays}
                group["consolidated_metadata"] = told
            await self._set_json("zarr.json", group)
            return
        await self._set_json(".zgroup", {"zarr_format": 2})
        if not arrays:
            return
        members: dict[str, object] = {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
        for name, document in arrays.items():
            own = dict(document)
            members[f"{name}/.zattrs"] = own.pop("attributes")
            members[f"{name}/.zarray"] = own
        await self._set_json(".zattrs", attributes)
        told = {"zarr_consolidated_format": 1, "metadata": members}
        await self._set_json(".zmetadata", told)

    async def _stamp(self) -> object:
        """The version that a copy in the target is stamped with; None where there is no copy."""
        for key in ("zarr.json", ".zattrs"):
            found = await self._json(key)
            attributes = found.get("attributes") if key == "zarr.json" else found
            if isinstance(attributes, dict) and STAMP in attributes:
                return attributes[STAMP]
        return None

    async def _has_these_chunks(self) -> bool:
        for name in self._arrays:
            wanted = self._document(name)
            if self._documents.zarr_format == 3:
                found = (await self._json(f"{name}/zarr.json")).get("chunk_grid")
                same = found == wanted["chunk_grid"]
            else:
                same = (await self._json(f"{name}/.zarray")).get("chunks") == wanted["chunks"]
            if not same:
                return False
        return True

    async def _is_empty(self) -> bool:
        async for _ in self._target.list_dir(""):
            return False
        return True

    async def _clear(self) -> None:
        """Take all away, the stamp first."""
        for key in (".zmetadata", ".zattrs", "zarr.json"):
            if await self._target.exists(key):
                await self._target.delete(key)
        await self._target.clear()

    async def _get(self, key: str) -> bytes | None:
        found = await self._target.get(key, default_buffer_prototype())
        return None if found is None else found.to_bytes()

    async def _json(self, key: str) -> DocumentDict:
        try:
            found = json.loads(await self._get(key) or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    async def _set_json(self, key: str, document: object) -> None:
        await self._set(key, json.dumps(document, indent=2).encode())

    async def _set(self, key: str, data: bytes) -> None:
        await self._target.set(key, default_buffer_prototype().buffer.from_bytes(data))
