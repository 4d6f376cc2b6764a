"""Small stores for tests: a description that prints, the documents it stands for, and a filesystem.

A `StoreSpec` says what a store holds; `documents_of` writes it with zarr-python and answers plain
bytes by key, so that one store can be read through any door: zarr's MemoryStore, an AsyncFSMap.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import zarr
from fsspec.asyn import AsyncFileSystem
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.storage import MemoryStore

from sluice.store import AsyncFSMap

ROOT = "bucket/store.zarr"
METADATA_NAMES = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"})


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array as it is stored; `values` are raw, before any CF decoding.

    `filters`, `serializer` and `compressors` are what `zarr.create_array` takes for the format.
    `fill` of Ellipsis is the library's default. `holes` are numbers of chunks that are deleted.
    """

    name: str
    dims: tuple[str, ...]
    values: np.ndarray[Any, Any]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    chunks: tuple[int, ...] | None = None
    shards: tuple[int, ...] | None = None
    order: str = "C"
    fill: Any = ...
    filters: Any = ()
    serializer: Any = "auto"
    compressors: Any = ()
    holes: tuple[int, ...] = ()
    chunk_key_encoding: Any = None


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A store: the arrays of one group, its attributes, and where its metadata is gathered.

    `consolidated` is "" (nowhere), "group" (in the group that holds the arrays) or "root".
    """

    arrays: tuple[ArraySpec, ...]
    zarr_format: Literal[2, 3] = 3
    consolidated: str = ""
    group: str | None = None
    attrs: Mapping[str, Any] = field(default_factory=dict)


def documents_of(spec: StoreSpec) -> dict[str, bytes]:
    """Every key of the store with its bytes."""
    stored: dict[str, Buffer] = {}
    store = MemoryStore(store_dict=stored)
    with warnings.catch_warnings(), zarr.config.set({"async.concurrency": 1}):
        # Types and codecs without a Zarr v3 specification are warned about when they are written.
        warnings.simplefilter("ignore")
        zarr.create_group(store=store, zarr_format=spec.zarr_format)
        if spec.group:
            zarr.create_group(
                store=store,
                path=spec.group,
                zarr_format=spec.zarr_format,
                attributes=dict(spec.attrs),
            )
        elif spec.attrs:
            zarr.open_group(store, mode="r+").attrs.update(spec.attrs)
        for array in spec.arrays:
            _write(array, spec, store, stored)
        if spec.consolidated:
            path = spec.group if spec.consolidated == "group" else None
            zarr.consolidate_metadata(store, path=path, zarr_format=spec.zarr_format)
    return {key: value.to_bytes() for key, value in stored.items()}


def _write(array: ArraySpec, spec: StoreSpec, store: MemoryStore, stored: dict[str, Any]) -> None:
    path = f"{spec.group}/{array.name}" if spec.group else array.name
    attrs = dict(array.attrs)
    kwargs: dict[str, Any] = {}
    if spec.zarr_format == 2:
        attrs["_ARRAY_DIMENSIONS"] = list(array.dims)
        kwargs["order"] = array.order
    else:
        kwargs["dimension_names"] = array.dims
    if array.fill is not ...:
        kwargs["fill_value"] = array.fill
    if spec.zarr_format == 3 or array.serializer != "auto":
        kwargs["serializer"] = array.serializer
    values = array.values
    written = zarr.create_array(
        store,
        name=path,
        shape=values.shape,
        dtype=str if values.dtype.kind == "O" else values.dtype,
        chunks=array.chunks or tuple(max(1, n) for n in values.shape),
        shards=array.shards,
        filters=array.filters if array.filters != () else ("auto" if _is_text(values) else None),
        compressors=array.compressors or None,
        zarr_format=spec.zarr_format,
        attributes=attrs,
        chunk_key_encoding=array.chunk_key_encoding,
        **kwargs,
    )
    if values.size:
        written[...] = values
    chunk_keys = sorted(
        key
        for key in stored
        if key.startswith(f"{path}/") and key.rsplit("/", 1)[-1] not in METADATA_NAMES
    )
    for key in {chunk_keys[hole % len(chunk_keys)] for hole in array.holes if chunk_keys}:
        del stored[key]


def _is_text(values: np.ndarray[Any, Any]) -> bool:
    # Zarr v2 stores variable-length text through a filter that the library chooses.
    return values.dtype.kind in "OT"


def memory_store(documents: Mapping[str, bytes]) -> MemoryStore:
    """The documents behind zarr-python's own door."""
    make = default_buffer_prototype().buffer.from_bytes
    return MemoryStore(store_dict={key: make(value) for key, value in documents.items()})


def fs_map(documents: Mapping[str, bytes], *, delay_seconds: float = 0.0) -> AsyncFSMap:
    """The documents behind an AsyncFSMap; every read takes `delay_seconds`."""
    return AsyncFSMap(ROOT, DictFileSystem(documents, delay_seconds=delay_seconds))


class DictFileSystem(AsyncFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A read-only asynchronous filesystem over a dict of keys below `ROOT`; counts its reads."""

    protocol = "dict"
    cachable = False

    def __init__(self, documents: Mapping[str, bytes], *, delay_seconds: float = 0.0) -> None:
        super().__init__(asynchronous=True)
        self.files = {f"{ROOT}/{key}": value for key, value in documents.items()}
        self.delay_seconds = delay_seconds
        self.reads: list[str] = []

    async def _cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        self.reads.append(path)
        await asyncio.sleep(self.delay_seconds)
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path][start:end]

    async def _info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = path.rstrip("/")
        if path in self.files:
            return {"name": path, "type": "file", "size": len(self.files[path])}
        if any(name.startswith(f"{path}/") for name in self.files):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    async def _ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        path = path.rstrip("/")
        names = _children(path, self.files)
        if not names:
            raise FileNotFoundError(path)
        return [await self._info(name) for name in names] if detail else names

    async def _exists(self, path: str, **kwargs: Any) -> bool:
        try:
            await self._info(path)
        except FileNotFoundError:
            return False
        return True


def _children(path: str, files: Iterable[str]) -> list[str]:
    below = (name[len(path) + 1 :] for name in files if name.startswith(f"{path}/"))
    return sorted({f"{path}/{rest.split('/', 1)[0]}" for rest in below})
