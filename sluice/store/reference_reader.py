"""Reading the keys of a reference set: from the document itself, or from the targets it names."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from fsspec.implementations.reference import ReferenceFileSystem

from sluice.errors import MetadataError, ReferenceRefused, StoreError, StoreTimeout, shown
from sluice.store.blocking import Calls, Given, Made
from sluice.store.failures import Kind, causes, failure_of, kind_of, reason_of, store_error
from sluice.store.http_bodies import OversizedBody
from sluice.store.http_headers import sliced
from sluice.store.readers import FilesystemReader, Limits
from sluice.store.references import Malformed
from sluice.store.source import Part, below, joined, resolved

# The keys that a Parquet table can have: metadata of Zarr v2, and chunks.
_TABLE_KEY = re.compile(r"(^|/)(\.z\w+|\d+(\.\d+)*)$")


class Targets(Protocol):
    """The files and objects that references point to."""

    async def read(
        self, target: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        """The range of the target, bounded as in `FilesystemReader.read`."""
        ...


class GivenTargets:
    """Targets on the filesystems that a `ReferenceFileSystem` was made with, by their `readers`.

    Whoever made it has chosen them, so all that it names may be read. Targets without a protocol
    have the reader under None.
    """

    def __init__(self, readers: Mapping[str | None, FilesystemReader]) -> None:
        self._readers = readers

    async def read(
        self, target: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        protocol = target.partition("://")[0] if "://" in target else None
        if protocol not in self._readers:
            raise LookupError(f"no filesystem was given for {protocol}://")
        return await self._readers[protocol].read(target, start, end, most_bytes)


class ReferenceReader:
    """Reads the keys of kerchunk references; those that are not inline from their `targets`."""

    def __init__(self, fs: ReferenceFileSystem, targets: Targets, calls: Calls) -> None:
        self._fs = fs
        self._calls = calls
        self._lazy = not isinstance(fs.references, dict)
        self._targets = targets

    async def _run(self, path: str, call: Callable[[*Given], Made], *arguments: *Given) -> Made:
        # References in Parquet are read from their files when they are looked up.
        return await self._calls.run(path, call, *arguments) if self._lazy else call(*arguments)

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        target, first, last = await self._looked_up(path)
        if isinstance(target, bytes):
            return sliced(target, start, end)
        if isinstance(target, Malformed):
            raise MetadataError(
                f"The reference {path} is {target.why}. Whoever made the document must fix it."
            )
        if not isinstance(target, str):  # a hole in a Parquet table
            raise FileNotFoundError(path)
        try:
            return await self._read_target(target, (first, last), (start, end), most_bytes)
        except ReferenceRefused as error:
            raise ReferenceRefused(f"The reference {path}: {error}", **error.facts) from error
        except StoreTimeout:
            raise
        except Exception as error:
            if first is None and kind_of(error) is Kind.PAST_END:
                return b""
            doing = f"reading {shown(target)}, to which the reference {path} points"
            raise failure_of(error, doing=doing, key=path) from error

    async def read_part(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part:
        """The range, cut out of the whole value: the size of a target says nothing of its part."""
        data = await self.read(path, None, None, most_bytes)
        first, last = resolved(start, end, len(data))
        return Part(data[first:last], first, len(data))

    async def _looked_up(self, path: str) -> tuple[object, int | None, int | None]:
        if self._lazy and (not _TABLE_KEY.search(path) or ".." in path.split("/")):
            # fsspec's table would take any last part for chunk numbers, and open any folder.
            raise FileNotFoundError(path)
        try:
            target, first, last = await self._run(path, self._fs._cat_common, path)
        except FileNotFoundError as error:
            # Tables raise the same for a file of theirs that is absent and for one that is broken.
            origin = list(causes(error))[-1]
            if isinstance(origin, (KeyError, FileNotFoundError)):
                raise
            raise store_error(Kind.FAILED, reason_of(origin), doing=f"looking up {path}") from error
        except binascii.Error as error:
            text = f"The reference {path} is no base64, as it says."
            raise StoreError(text, key=path) from error
        return target, None if first is None else int(first), None if last is None else int(last)

    async def _read_target(
        self, target: str, part: Limits, wanted: Limits, most_bytes: int | None
    ) -> bytes:
        first, last = part
        if first is None or last is None:
            return await self._targets.read(target, *wanted, most_bytes)
        begin, stop = resolved(*wanted, last - first)
        if begin == stop:
            return b""
        if most_bytes is not None and stop - begin > most_bytes:
            raise OversizedBody(most_bytes)
        # (No bound: the file around the value may be of any size.)
        data = await self._targets.read(target, first + begin, first + stop, None)
        if len(data) != stop - begin:
            # Not a StoreFaltered: a target that is shorter than its reference says stays so.
            raise ValueError(f"{len(data)} bytes of {stop - begin} at {first + begin}")
        return data

    async def find(self, root: str, prefix: str) -> list[str]:
        # In a thread: there may be millions of references.
        path = joined(root, prefix)
        return await self._calls.run(path, _keys_below, self._fs.references, path)

    async def names(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return await self._calls.run(path, _names_below, self._fs.references, path)

    async def root_is_there(self, root: str) -> bool:
        return True


def _keys_below(references: Iterable[str], path: str) -> list[str]:
    return below(path, list(references))


def _names_below(references: Iterable[str], path: str) -> list[str]:
    return sorted({key.partition("/")[0] for key in below(path, list(references))})
