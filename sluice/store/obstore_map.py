"""Keys of a root on any obstore store, read with obstore's own asynchronous calls."""

from __future__ import annotations

import asyncio
import builtins
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from sluice.errors import StoreError, StoreMissing, redacted
from sluice.store.failures import (
    CODES,
    LEADS_NOWHERE,
    S3_LIST_ADVICE,
    S3_READ_ADVICE,
    Kind,
    in_words,
    kind_of,
    reason_of,
    region_advice,
    s3_error,
    store_error,
)
from sluice.store.http_bodies import OversizedBody, PartTaken, most_of_answer
from sluice.store.http_headers import named_region, settled_tag
from sluice.store.source import (
    ByteSource,
    Part,
    Tagged,
    Unchanged,
    below,
    check_range,
    gate_of,
    is_empty_range,
    joined,
    resolved,
)

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult
    from obstore.store import ObjectStore

    from sluice.store.zarr_store import SourceStore

# obstore's errors carry no status: it stands in their text, next to the server's answer.
_STATUS = re.compile(r"status code: (\d{3})")
# What it says of redirects without an end, which other tries would meet again.
_LOST = "error following redirect"
# What else stands in the text alone.
_WORDS = {
    _LOST: Kind.FAILED,
    "redirect without LOCATION": Kind.ELSEWHERE,  # S3's answer for a bucket of another region
    "StartTooLarge": Kind.PAST_END,
    "Not a directory": Kind.MISSING_KEY,  # a key below a local file
    "timed out": Kind.TIMEOUT,
    "TimedOut": Kind.TIMEOUT,
}
# Bodies come in pieces of this size.
PIECE_BYTES = 4 * 2**20
# Where obstore looks for keys when nobody gave it any.
INSTANCE_ROLES = "http://169.254.169.254/"


class ObstoreMap(ByteSource):
    """A `ByteSource` over the prefix `root` of an obstore store.

    obstore's fsspec adapter is not used: it has no suffix ranges. The store has nothing to close.
    `most_bytes` bounds values that are read without a bound of their own. (What obstore reads for
    itself, such as the documents of errors, is bounded by the time of a request alone.)
    """

    def __init__(
        self,
        store: ObjectStore,
        root: str = "",
        *,
        concurrency: int | None = 64,
        most_bytes: int | None = None,
    ) -> None:
        self.store = store
        self._most_bytes = most_bytes
        self.root = root.strip("/")
        self._gate = gate_of(concurrency)
        self._is_s3 = type(store).__name__ == "S3Store"

    def __repr__(self) -> str:
        return f"ObstoreMap({self._name})"

    async def get(
        self,
        key: str,
        start: int | None = None,
        end: int | None = None,
        *,
        most_bytes: int | None = None,
    ) -> bytes | None:
        """Bytes ``start`` to ``end`` (exclusive) of `key`, clipped; None when there is no such key.

        Raises:
            ValueError: not a range (see `sluice.store.source.check_range`).
            StoreOversized: the value has more than `most_bytes`.
            StoreRefused, StoreMissing, StoreTimeout, StoreError: the store did not do its part.
        """
        check_range(start, end)
        if is_empty_range(start, end):
            return b"" if await self.exists(key) else None
        most_bytes = self._most_bytes if most_bytes is None else most_bytes
        part = await self._part(key, start, end, most_bytes)
        return None if part is None else part.data

    async def get_part(
        self, key: str, start: int | None = None, end: int | None = None
    ) -> Part | None:
        """The range as of `get`, and the size of the whole; see `PartSource`."""
        check_range(start, end)
        return await self._part(key, start, end, None)

    async def _part(
        self, key: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part | None:
        async with self._gate:
            try:
                return await self._read(joined(self.root, key), start, end, most_bytes)
            except Exception as error:
                empty = await self._no_value(error, key)
                return None if empty is None else Part(empty, 0, None)

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """The whole value of `key` with its tag, unless that is still `known`; else as `get`."""
        import obstore

        unless: GetOptions | None = None if known is None else {"if_none_match": known}
        async with self._gate:
            try:
                result = await obstore.get_async(self.store, joined(self.root, key), options=unless)
                data, meta = await _body(result, None, None, self._most_bytes), result.meta
            except Exception as error:
                if known is not None and isinstance(error, obstore.exceptions.NotModifiedError):
                    return Unchanged()
                empty = await self._no_value(error, key)
                return None if empty is None else Tagged(empty, None)
        # obstore does not say when the store answered: our own clock stands in for the store's.
        return Tagged(data, settled_tag(meta["e_tag"], meta["last_modified"], None))

    async def list(self, prefix: str = "") -> AsyncIterator[str]:
        """All keys below the path `prefix`, recursively, relative to the root."""
        import obstore

        pages = aiter(obstore.list(self.store, joined(self.root, prefix.strip("/")) or None))
        found = False
        while True:
            async with self._gate:
                try:
                    page = await anext(pages, None)
                except Exception as error:
                    raise self._failure(error, f"listing {self._name}", listing=True) from error
            if page is None:
                break
            for key in below(self.root, [str(entry["path"]) for entry in page]):
                found = True
                yield key
        if not found:
            await self._confirm_root()

    async def list_dir(self, prefix: str = "") -> builtins.list[str]:
        """Names one level below `prefix`, of values and of deeper prefixes alike, sorted."""
        import obstore

        path = joined(self.root, prefix.strip("/"))
        async with self._gate:
            try:
                level = await obstore.list_with_delimiter_async(self.store, path or None)
            except Exception as error:
                raise self._failure(error, f"listing {self._name}", listing=True) from error
        values = [str(entry["path"]) for entry in level["objects"]]
        names = below(path, values + [folder.rstrip("/") for folder in level["common_prefixes"]])
        if not names:
            await self._confirm_root()
        return sorted(set(names))

    def as_zarr_store(self) -> SourceStore:
        """The same keys as a read-only zarr-python store."""
        from sluice.store.zarr_store import SourceStore

        return SourceStore(self)

    @property
    def _name(self) -> str:
        bucket = getattr(self.store, "config", {}).get("bucket") if self._is_s3 else None
        where = f"s3://{bucket}" if bucket else redacted(repr(self.store))
        return f"{where}/{self.root}".rstrip("/")

    async def _read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part:
        import obstore

        try:
            result = await obstore.get_async(self.store, path, options=_options(start, end))
        except obstore.exceptions.GenericError as error:
            # A 200 for a range: the server knows no ranges, or the value is empty.
            if "NotPartial" not in str(error):
                raise
        else:
            data = await _body(result, None, None, most_of_answer(start, end, most_bytes))
            return Part(data, result.range[0], result.meta["size"])
        whole = await obstore.get_async(self.store, path)
        size = whole.meta["size"]
        data = await _body(whole, start, end, most_bytes)
        return Part(data, resolved(start, end, size)[0], size)

    async def _no_value(self, error: Exception, key: str) -> bytes | None:
        match _kind(error):
            case Kind.PAST_END:
                return b""
            case Kind.MISSING_KEY:
                await self._confirm_root()
                return None
            case _:
                raise self._failure(error, f"reading {key} of {self._name}") from error

    async def _confirm_root(self) -> None:
        from obstore.store import LocalStore

        # Only a local directory can be absent without its store saying so.
        if isinstance(self.store, LocalStore) and self.store.prefix is not None:
            folder = self.store.prefix / self.root
            if not await asyncio.to_thread(folder.is_dir):
                raise StoreMissing(f"There is no store at {folder}.", root=str(folder))

    def _failure(self, error: Exception, doing: str, *, listing: bool = False) -> StoreError:
        advice = (S3_LIST_ADVICE if listing else S3_READ_ADVICE) if self._is_s3 else ""
        kind = _kind(error)
        if kind is Kind.ELSEWHERE:
            advice = region_advice(named_region(error))
        return store_error(kind, _reason(error), doing=doing, advice=advice, root=self._name)


async def _body(
    result: GetResult, start: int | None, end: int | None, most_bytes: int | None
) -> bytes:
    """The range out of the body of `result`, whose headers say how long it is."""
    first, last = result.range
    size = last - first
    if most_bytes is not None and size > most_bytes and end is None:
        raise OversizedBody(most_bytes)
    taken = PartTaken(start, end, most_bytes)
    seen, pieces = 0, aiter(result.stream(PIECE_BYTES))
    # No piece is asked for beyond the last: that would cost another turn of obstore's threads.
    while seen < size and (piece := await anext(pieces, None)) is not None:
        seen += len(piece)
        if taken.add(memoryview(piece)):
            return taken.data
    if seen > size:
        raise OversizedBody(size)
    if seen < size:
        raise EOFError(f"{seen} bytes came of {size}")
    return taken.data


def _options(start: int | None, end: int | None) -> GetOptions | None:
    match start, end:
        case None, None:
            return None
        case int(), None:
            return {"range": {"suffix": -start} if start < 0 else {"offset": start}}
        case _, int():
            return {"range": (start or 0, end)}
        case _:
            raise TypeError(f"Not a byte range: {start!r} to {end!r}")


def _kind(error: Exception) -> Kind:
    text = str(error)
    if INSTANCE_ROLES in text:
        return Kind.REFUSED
    for code in (s3_error(text)[0], *_STATUS.findall(text)):
        if code in CODES:
            return CODES[code]
    for words, kind in _WORDS.items():
        if words in text:
            return kind
    if "HTTP error" in text and "certificate" not in text:
        return Kind.FALTERED
    return kind_of(error)


def _reason(error: Exception) -> str:
    if INSTANCE_ROLES in str(error):
        return "Unable to locate credentials: there are no keys, and no instance role answered"
    if _LOST in str(error):
        return LEADS_NOWHERE
    code, message = s3_error(str(error))
    return f"{in_words(code)}: {message or ''}".rstrip(": .") if code else reason_of(error)
