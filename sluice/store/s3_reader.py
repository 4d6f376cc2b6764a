"""Reading S3 by plain signed GETs over the connections of s3fs, which has the last word on errors.

They cost less than those of s3fs, which sends a HEAD before each whole object.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import Final, TypeAlias

import aiohttp
from fsspec.asyn import AsyncFileSystem
from yarl import URL

from sluice.store._s3fs import (
    Client,
    Connection,
    S3Calls,
    Sent,
    connection_of,
    exchange_of,
    keys_of,
    tries_once,
)
from sluice.store.failures import Kind, S3Answer, kind_of
from sluice.store.http_bodies import (
    ERROR_BYTES,
    UNPAUSED_BYTES,
    body_beginning,
    body_part,
    bounded_answers,
    check_size,
    most_of_answer,
    whole_body,
)
from sluice.store.http_headers import check_content_range, part_told, range_header, tag_of
from sluice.store.s3_requests import GetForm, Signer, form_of
from sluice.store.source import NotModified, Part, Tagged, below, joined

# A value, or a range of it, and the headers that it came with, by names in lower case.
Received: TypeAlias = tuple[bytes, Mapping[str, str]]

# After so many plain GETs in a row that failed where s3fs, in the same form, succeeded, s3fs alone
# reads the bucket for a while.
MOST_OVERRULED: Final = 10
ALONE_SECONDS = 60.0
# What botocore tries again (its standard mode), if its configuration lets it.
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})
TRANSIENT_FAILURES = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class Unsettled(Exception):
    """An answer that s3fs has to judge: a redirect, another region, wrong keys.

    Also a failure that its configuration would retry.
    """


class BucketGets:
    """Plain GETs of one bucket in one form; the client and its connections belong to s3fs.

    `overruled` counts how often in a row s3fs has read what such a GET could not.
    """

    def __init__(self, client: Client, form: GetForm, connection: Connection) -> None:
        self.form = form
        self.overruled = 0
        self._client = client
        self._connection = connection
        self._signer = None if form.region is None else Signer(form.region)
        self._one_try = tries_once(client)

    async def get(
        self,
        key: str,
        start: int | None,
        end: int | None,
        *,
        most_bytes: int | None,
        known: str | None = None,
    ) -> Received:
        """The range of `key`, from one request.

        Raises:
            Unsettled: s3fs has to read it.
            NotModified: the value is still that of the tag `known`.
            OversizedBody: it has more than `most_bytes`, or than the range.
            S3Answer: no such key or bucket, past the end, denied, or a failure of the server.
            aiohttp.ClientError, TimeoutError: no whole answer.
            EOFError: an answer that is not what was asked for.
        """
        try:
            async with self._answer(key, range_header(start, end), known) as response:
                return await self._received(response, start, end, most_bytes, known)
        except TRANSIENT_FAILURES as failure:
            if self._one_try:
                raise
            raise Unsettled(failure) from failure

    @asynccontextmanager
    async def _answer(
        self, key: str, byte_range: str | None, known: str | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a GET, of whose body nothing is read yet."""
        path = self.form.path(key)
        keys = None if self._signer is None else await keys_of(self._client)
        headers = self.form.signed(path, byte_range, self._signer, keys)
        if known is not None:
            headers["if-none-match"] = known  # need not be signed: only S3's own headers must
        connection = self._connection
        async with connection.session.get(
            URL(self.form.origin + path, encoded=True),
            headers=headers,
            allow_redirects=False,
            proxy=connection.proxy,
            proxy_headers=connection.proxy_headers,
            read_bufsize=UNPAUSED_BYTES,
        ) as response:
            yield response

    async def _received(
        self,
        response: aiohttp.ClientResponse,
        start: int | None,
        end: int | None,
        most_bytes: int | None,
        known: str | None,
    ) -> Received:
        came = response.headers
        is_range = start is not None or end is not None
        match response.status:
            case 206 if is_range:
                data = await whole_body(response, most_of_answer(start, end, most_bytes))
                return check_content_range(data, start, end, came.get("content-range", "")), came
            case 200 if is_range:  # a server without ranges, or an empty value
                return await body_part(response, start, end, most_bytes), came
            case 200:
                return await whole_body(response, most_bytes), came
            case 304 if known is not None:
                raise NotModified
            case status:
                answer = S3Answer(status, response.reason, came, await body_beginning(response))
                raise answer if self._is_final(answer) else Unsettled(answer)

    def _is_final(self, answer: S3Answer) -> bool:
        match answer.status:
            case 404 | 416:
                return True
            case 403:
                return answer.code == "AccessDenied"
            case status:
                return self._one_try and status in TRANSIENT_STATUSES


async def gets_like(client: Client, request: Sent, key: str) -> BucketGets | None:
    """GETs in the form of the `request` for `key` that `client` sent; None: s3fs reads alone."""
    form = form_of(request.url, request.headers, key, await keys_of(client))
    connection = await connection_of(client, request.url)
    if form is None or connection is None:
        return None
    return BucketGets(client, form, connection)


@dataclass(frozen=True, slots=True)
class Asked:
    """One read: its path, the bucket and key that the path names, its range and bound."""

    path: str
    bucket: str
    key: str
    start: int | None
    end: int | None
    most_bytes: int | None


class S3Reader:
    """Reads values of an s3fs filesystem by plain signed GETs where these suffice.

    The first GET of each bucket is s3fs's own, without the HEAD that it sends before a whole
    object; those that follow have its form (see `s3_requests`) and go over the same connections.
    Whatever a plain GET cannot settle is read by s3fs again, so errors are those of s3fs.
    """

    def __init__(self, fs: AsyncFileSystem) -> None:
        self._s3fs = S3Calls(fs)
        self._only_s3fs = self._s3fs.makes_every_request
        self._client: Client = None
        self._gets: dict[str, BucketGets] = {}
        self._alone: dict[str, float] = {}  # buckets that s3fs reads alone, and until when

    async def read(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        data, _ = await self._received(path, start, end, most_bytes, None)
        return data

    async def read_part(
        self, path: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> Part:
        data, came = await self._received(path, start, end, most_bytes, None)
        return part_told(data, start, end, came)

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
        client = await self._s3fs.client()
        if client is not self._client:  # the first, or s3fs has connected anew
            self._client, self._gets, self._alone = client, {}, {}
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
            data = await self._s3fs.value(asked.path, asked.start, asked.end)
        return check_size(data, asked.start, asked.end, asked.most_bytes)

    async def _learn(self, asked: Asked, failed: BucketGets | None) -> Received:
        """Have s3fs read, since a plain GET has `failed` or no form is known; learn its form."""
        client = await self._s3fs.client_of(asked.bucket)
        with exchange_of(client) as exchange:
            try:
                data = await self._ask_s3fs(asked)
            except Exception as error:
                if kind_of(error) in (Kind.MISSING_KEY, Kind.PAST_END):
                    await self._note(client, asked, exchange.sent, failed)
                raise
        await self._note(client, asked, exchange.sent, failed)
        # s3fs does not notice an answer with a part of the range.
        content_range = exchange.came.get("content-range", "")
        return check_content_range(data, asked.start, asked.end, content_range), exchange.came

    async def _note(
        self, client: Client, asked: Asked, sent: list[Sent], failed: BucketGets | None
    ) -> None:
        """Take the form of the request that s3fs `sent`, or leave the bucket to s3fs."""
        if time.monotonic() < self._alone.get(asked.bucket, 0.0):
            return
        meant = (asked.bucket, asked.key, None)
        try:
            plain = sent and self._s3fs.split(asked.path) == meant
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
            if failed.overruled >= MOST_OVERRULED:
                self._leave(asked.bucket, time.monotonic() + ALONE_SECONDS)

    def _leave(self, bucket: str, until: float) -> None:
        self._gets.pop(bucket, None)
        self._alone[bucket] = until

    async def find(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, await self._s3fs.find(path))

    async def names(self, root: str, prefix: str) -> list[str]:
        path = joined(root, prefix)
        return below(path, [name.rstrip("/") for name in await self._s3fs.names(path)])

    async def root_is_there(self, root: str) -> bool:
        # S3 tells NoSuchKey from NoSuchBucket itself.
        return True
