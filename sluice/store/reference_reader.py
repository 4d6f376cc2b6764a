"""Keys of a reference set: from the document itself, or from the targets that it names."""

from __future__ import annotations

import binascii
import re
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper
from fsspec.implementations.reference import ReferenceFileSystem

from sluice.errors import MetadataError, ReferenceRefused, StoreError, StoreTimeout, shown
from sluice.store.addresses import INSIDE
from sluice.store.blocking import Calls, Given, Made
from sluice.store.failures import Kind, causes, failure_of, kind_of, reason_of, store_error
from sluice.store.http_messages import OversizedBody, sliced
from sluice.store.protocols import reader_for
from sluice.store.readers import Reader, Redirected
from sluice.store.reference_roots import FILE, Admitted, ReferenceRoots, place_of, refusal
from sluice.store.references import Malformed
from sluice.store.source import Part, below, joined, resolved

MOST_REDIRECTS: Final = 10

_TABLE_KEY = re.compile(r"(^|/)(\.z\w+|\d+(\.\d+)*)$")

Limits: TypeAlias = tuple[int | None, int | None]
# From a protocol, and whether the place was named in the entry, to what reads its addresses.
Connect: TypeAlias = Callable[[str, bool], Awaitable[Reader]]


class Targets(Protocol):
    """What references point to."""

    async def read(
        self, target: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes: ...


class OwnTargets:
    """The filesystems that whoever made a `ReferenceFileSystem` gave it, for all that it names."""

    def __init__(self, fs: ReferenceFileSystem, calls: Calls) -> None:
        self._readers = {
            protocol: reader_for(
                target
                if isinstance(target, AsyncFileSystem)
                else AsyncFileSystemWrapper(target, asynchronous=True),
                calls,
            )
            for protocol, target in fs.fss.items()
        }

    async def read(
        self, target: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        protocol = target.partition("://")[0] if "://" in target else None
        if protocol not in self._readers:
            raise LookupError(f"no filesystem was given for {protocol}://")
        return await self._readers[protocol].read(target, start, end, most_bytes)


class RootedTargets:
    """Targets below the roots of a catalog entry: each is looked at whenever it is read.

    So is each place that a web server redirects to.
    """

    def __init__(self, roots: ReferenceRoots, connect: Connect, calls: Calls) -> None:
        self._roots = roots
        self._connect = connect
        self._calls = calls

    async def read(
        self, target: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        for _ in range(1 + MOST_REDIRECTS):
            admitted = self._roots.admit(target)
            try:
                return await self._read(admitted, start, end, most_bytes)
            except Redirected as elsewhere:
                target = elsewhere.address
                if not target.lower().startswith(("http://", "https://")):
                    raise ReferenceRefused(
                        f"{shown(admitted.address)} redirects to {shown(target)}, which is no "
                        "address of the web."
                    ) from None
        raise StoreError(f"{shown(target)} is redirected more than {MOST_REDIRECTS} times.")

    async def _read(
        self, admitted: Admitted, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        reader = await self._connect(admitted.protocol, admitted.named)
        address = admitted.address
        if admitted.protocol == FILE:
            address = await self._calls.run(address, self._roots.real_path, address)
        try:
            return await reader.read(address, start, end, most_bytes)
        except OSError as error:
            # The connection was refused here, once it was known where a name leads.
            if admitted.named or not any(INSIDE in str(link) for link in causes(error)):
                raise
            place = place_of(address)
            raise refusal(address, place, f"{place.holder} {INSIDE}") from error


class ReferenceReader:
    """kerchunk references, whose `targets` are read as their own filesystem is best read."""

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
        """Out of the whole value: what a reference is a part of says nothing of its size."""
        data = await self.read(path, None, None, most_bytes)
        first, last = resolved(start, end, len(data))
        return Part(data[first:last], first, len(data))

    async def _looked_up(self, path: str) -> tuple[object, int | None, int | None]:
        if self._lazy and (not _TABLE_KEY.search(path) or ".." in path.split("/")):
            # A table takes any last part for chunk numbers, and names of variables for folders.
            raise FileNotFoundError(path)
        try:
            target, first, last = await self._run(path, self._fs._cat_common, path)
        except FileNotFoundError as error:
            # Tables say the same for a part that was never written and for one that is broken.
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
        # Of the file around the value no metadata says how large it is.
        data = await self._targets.read(target, first + begin, first + stop, None)
        if len(data) != stop - begin:
            # Not for now: a target that is shorter than the references say stays so.
            raise ValueError(f"{len(data)} bytes of {stop - begin} at {first + begin}")
        return data

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, await self._run(path, list, self._fs.references))

    async def names(self, root: str, prefix: str) -> list[str]:
        return sorted({key.partition("/")[0] for key in await self.find(root, prefix)})

    async def root_is_there(self, root: str) -> bool:
        return True
