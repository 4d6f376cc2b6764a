"""Plain signed GETs over the connections of an aiobotocore client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp
from yarl import URL

from sluice.store.bodies import (
    UNPAUSED_BYTES,
    body_beginning,
    body_part,
    most_of_answer,
    whole_body,
)
from sluice.store.failures import S3Answer
from sluice.store.headers import check_content_range, range_header
from sluice.store.s3_requests import GetForm, Keys, Signer, form_of
from sluice.store.source import NotModified

# A value, or a range of it, and the headers that it came with, by names in lower case.
Received: TypeAlias = tuple[bytes, Mapping[str, str]]

# botocore tells its listeners of every request that it is about to send, and of every answer.
GET_EVENT = "before-send.s3.GetObject"
GOT_EVENT = "after-call.s3.GetObject"
# What botocore tries again (its standard mode), if its configuration lets it.
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})
TRANSIENT_FAILURES = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)


class Unsettled(Exception):
    """Something on which s3fs must have the last word: a redirect, another region, wrong keys.

    So is a failure that its configuration tries again.
    """


class BucketGets:
    """GETs of one bucket in one form; the client and its connections belong to s3fs."""

    def __init__(self, client: Any, form: GetForm, session: aiohttp.ClientSession) -> None:
        http = client._endpoint.http_session
        url = f"{form.origin}{form.folder}"
        self.form = form
        self.overruled = 0
        self._client = client
        self._session = session
        self._signer = None if form.region is None else Signer(form.region)
        self._proxy = http._proxy_config.proxy_url_for(url)
        self._proxy_headers = http._proxy_config.proxy_headers_for(url) or None
        retries = client.meta.config.retries or {}
        self._one_try = retries.get("total_max_attempts") == 1

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
            Unsettled: ask s3fs.
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
            headers["if-none-match"] = known  # which need not be signed, as only S3's own must
        async with self._session.get(
            URL(self.form.origin + path, encoded=True),
            headers=headers,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
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


async def keys_of(client: Any) -> Keys | None:
    """What `client` signs with just now, refreshed if that is due; None where it has no keys."""
    credentials = client._get_credentials()
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return Keys(frozen.access_key, frozen.secret_key, frozen.token)


async def gets_like(client: Any, request: Any, key: str) -> BucketGets | None:
    """GETs of the form of the `request` for `key` that `client` sent; None: leave them to s3fs."""
    form = form_of(request.url, request.headers, key, await keys_of(client))
    http = client._endpoint.http_session
    session = await http._get_session(http._proxy_config.proxy_url_for(request.url))
    # aiobotocore can also be told to speak through httpx.
    if form is None or not isinstance(session, aiohttp.ClientSession):
        return None
    return BucketGets(client, form, session)


@dataclass(slots=True)
class Exchange:
    """What a client sent as GetObject, as botocore prepared it, and which headers came back."""

    sent: list[Any] = field(default_factory=list)
    came: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def exchange_of(client: Any) -> Iterator[Exchange]:
    """What `client` sends and receives on behalf of this task."""
    exchange = Exchange()
    task = asyncio.current_task()

    def sending(request: Any, **_: Any) -> None:
        if asyncio.current_task() is task:
            exchange.sent.append(request)

    def received(parsed: Any, **_: Any) -> None:
        if asyncio.current_task() is task:
            exchange.came = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {})

    events = client.meta.events
    events.register(GET_EVENT, sending)
    events.register(GOT_EVENT, received)
    try:
        yield exchange
    finally:
        events.unregister(GET_EVENT, sending)
        events.unregister(GOT_EVENT, received)
