"""s3fs, whose GETs are made here once it has shown how: without its HEADs, and with little else."""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from math import inf
from typing import Any

from fsspec.asyn import AsyncFileSystem

from sluice.store.bodies import ERROR_BYTES, bounded_answers, check_size, most_of_answer
from sluice.store.failures import Kind, kind_of
from sluice.store.headers import check_content_range, tag_of
from sluice.store.s3_gets import BucketGets, Received, Unsettled, exchange_of, gets_like
from sluice.store.source import Tagged, below, joined

# When s3fs got through so often, in the same form, where a plain GET did not, it reads alone for a
# while.
PATIENCE = 10
REST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One read, by the path and by what the path means."""

    path: str
    bucket: str
    key: str
    start: int | None
    end: int | None
    most_bytes: int | None


def must_ask_s3fs(fs: Any) -> bool:
    """Whether something about `fs` is s3fs's own business, so that it makes every request."""
    import s3fs

    ours = ("_cat_file", "_call_s3", "get_s3")
    checksums = fs.config_kwargs.get("response_checksum_validation")
    return (
        # a subclass that reads in its own way
        any(getattr(type(fs), name) is not getattr(s3fs.S3FileSystem, name) for name in ours)
        # paths may name versions
        or bool(fs.version_aware)
        # whoever writes this down wants bodies compared with the checksums that S3 keeps
        or checksums == "when_supported"
    )


class S3Reader:
    """Values of an s3fs filesystem, by plain signed GETs where those do.

    The first GET of each bucket is s3fs's own, without the HEAD that it sends before a whole
    object; those that follow take its form (see `s3_requests`) and go over the same connections. Of
    any answer that is not plain, s3fs has the last word, so errors are its errors.
    """

    def __init__(self, fs: AsyncFileSystem) -> None:
        self._fs: Any = fs
        # An s3fs that can read a value in several parts asks for its size first, unless told to
        # read one part; older ones read one part and do not know the word.
        parts = "max_concurrency" in inspect.signature(fs._cat_file).parameters
        self._one_part: dict[str, int] = {"max_concurrency": 1} if parts else {}
        self._only_s3fs = must_ask_s3fs(fs)
        self._client: Any = None
        self._gets: dict[str, BucketGets] = {}
        self._left: dict[str, float] = {}  # buckets that s3fs reads alone, and until when

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        data, _ = await self._received(path, start, end, most_bytes, None)
        return data

    async def read_tagged(self, path: str, known: str | None, most_bytes: int | None) -> Tagged:
        data, came = await self._received(path, None, None, most_bytes, known)
        return Tagged(data, tag_of(came))

    async def _received(
        self,
        path: str,
        start: int | None,
        end: int | None,
        most_bytes: int | None,
        known: str | None,
    ) -> Received:
        bucket, _, key = path.removeprefix("s3://").partition("/")
        asked = Asked(path, bucket, key, start, end, most_bytes)
        if self._only_s3fs or not key or "?" in key:
            return await self._ask_s3fs(asked), {}
        client = await self._fs.set_session()
        if client is not self._client:  # the first, or s3fs has connected anew
            self._client, self._gets, self._left = client, {}, {}
        gets = self._gets.get(bucket)
        if gets is None:
            return await self._learn(asked, None)
        try:
            received = await gets.get(key, start, end, most_bytes=most_bytes, known=known)
        except Unsettled:
            return await self._learn(asked, gets)
        gets.overruled = 0
        return received

    async def _ask_s3fs(self, asked: Asked) -> bytes:
        most = most_of_answer(asked.start, asked.end, asked.most_bytes)
        with bounded_answers(None if most is None else max(most, ERROR_BYTES)):
            data = await self._fs._cat_file(
                asked.path, start=asked.start, end=asked.end, **self._one_part
            )
        return check_size(bytes(data), asked.start, asked.end, asked.most_bytes)

    async def _learn(self, asked: Asked, failed: BucketGets | None) -> Received:
        """Have s3fs read, as a plain GET has `failed` or none is known, and note how it asked."""
        client = await self._fs.get_s3(asked.bucket)
        with exchange_of(client) as exchange:
            try:
                data = await self._ask_s3fs(asked)
            except Exception as error:
                if kind_of(error) in (Kind.MISSING_KEY, Kind.PAST_END):
                    await self._note(client, asked, exchange.sent, failed)
                raise
        await self._note(client, asked, exchange.sent, failed)
        # s3fs takes a part of the range for the range.
        content_range = exchange.came.get("content-range", "")
        return check_content_range(data, asked.start, asked.end, content_range), exchange.came

    async def _note(
        self, client: Any, asked: Asked, sent: list[Any], failed: BucketGets | None
    ) -> None:
        if time.monotonic() < self._left.get(asked.bucket, 0.0):
            return
        meant = (asked.bucket, asked.key, None)
        try:
            plain = sent and tuple(self._fs.split_path(asked.path)) == meant
            learned = await gets_like(client, sent[-1], asked.key) if plain else None
        except (AttributeError, LookupError, TypeError, ValueError):
            # An aiobotocore of another build: s3fs knows how to deal with it.
            learned = None
        if learned is None:
            self._leave(asked.bucket, inf)
        elif failed is None or failed.form != learned.form:
            known = self._gets.get(asked.bucket)
            if known is None or known.form != learned.form:
                self._gets[asked.bucket] = learned
        else:
            failed.overruled += 1
            if failed.overruled >= PATIENCE:
                self._leave(asked.bucket, time.monotonic() + REST_SECONDS)

    def _leave(self, bucket: str, until: float) -> None:
        self._gets.pop(bucket, None)
        self._left[bucket] = until

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, await self._fs._find(path))

    async def names(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        # Refreshed, because a listing that s3fs remembers hides what was written since.
        entries = await self._fs._ls(path, detail=False, refresh=True)
        return below(path, [entry.rstrip("/") for entry in entries])

    async def root_is_there(self, root: str) -> bool:
        # S3 tells NoSuchKey from NoSuchBucket itself.
        return True
