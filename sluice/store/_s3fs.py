"""All uses of undocumented names of s3fs, aiobotocore and aiohttp; no other module has any.

`PRIVATE` lists these names, and a test tells which of them a newer version has moved. Where one is
gone, values are read by s3fs itself (see `s3_reader`); only connecting and closing would fail.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

import aiohttp
import s3fs
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession

from sluice.aliases import Document
from sluice.store.http_headers import REGION_HEADER
from sluice.store.http_reader import BoundedAnswer
from sluice.store.readers import OURS, Opened
from sluice.store.s3_requests import Keys

PRIVATE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # (Coroutines with an underscore are the interface of fsspec's asynchronous filesystems.)
        "s3fs.S3FileSystem": ("_call_s3", "_cat_file", "_find", "_ls", "_s3creator"),
        "aiobotocore.client.AioBaseClient": ("_endpoint", "_get_credentials"),
        "aiobotocore.httpsession.AIOHTTPSession": ("_get_session", "_proxy_config"),
        "aiohttp.ClientSession": ("_response_class",),
    }
)

# A client of botocore, which has no types.
Client: TypeAlias = Any


class Sent(Protocol):
    """A request as botocore prepared it."""

    url: str
    headers: Mapping[str, str | bytes]


class Answered(Protocol):
    """An answer as botocore received it."""

    status_code: int
    headers: Mapping[str, str]


# botocore's events for every request that it is about to send, and for every answer.
GET_EVENT: Final = "before-send.s3.GetObject"
GOT_EVENT: Final = "after-call.s3.GetObject"


async def connect(options: Document) -> Opened:
    """s3fs, connected, by its own options; each request is tried once (see `retry_policy`)."""
    config = {
        "http_session_cls": _BoundedSession,
        "max_pool_connections": 64,
        "connect_timeout": 5,
        "read_timeout": 20,
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        **options.get("config_kwargs", {}),
    }
    # One part per value: more would mean a HEAD before each.
    ours = {**OURS, "max_concurrency": 1, **options, "config_kwargs": config, "asynchronous": True}
    fs = s3fs.S3FileSystem(**ours)
    # s3fs has five tries of its own, nested twice: each would multiply those above and below.
    fs.retries = 1
    if fs.session is None:
        fs.session = AioSession(**fs.kwargs)
    # Registered with the session, so that it runs before the handlers of clients.
    fs.session.register("needs-retry.s3.HeadBucket", _end_of_redirects)
    client = await fs.set_session()
    # The first connection loads the trusted certificates, which takes 60 ms: not in a request.
    with suppress(OSError, AttributeError):
        await connection_of(client, client.meta.endpoint_url)
    await _rehearse(fs, client)

    async def aclose() -> None:
        # Through its creator, which also knows the clients of other regions.
        await fs._s3creator.__aexit__(None, None, None)

    return Opened(fs, aclose)


async def _rehearse(fs: s3fs.S3FileSystem, client: Client) -> None:
    """Fill the caches of s3fs and botocore that the first request of a process would wait for.

    Patterns of paths, rules of endpoints, a signature, the error classes of the service's model
    take 5 to 10 ms. A GET is prepared and signed for its URL alone, and nothing is sent.
    """
    # Without keys nothing is signed; whatever else fails here, a request will tell.
    with suppress(Exception):
        bucket, key, _ = fs.split_path("bucket/key")
        client.meta.service_model.shape_for_error_code("NoSuchKey")
        await client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})


class _BoundedSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore has no types
    """aiobotocore's session, with answers that know a bound (see `http_bodies`)."""

    async def _get_session(self, proxy_url: str | None) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = await super()._get_session(proxy_url)
        session._response_class = BoundedAnswer
        return session


def _end_of_redirects(
    request_dict: Document, response: tuple[Answered, object] | None, **_: object
) -> None:
    """Stop botocore from repeating the HEAD of a bucket whose redirect names no region.

    It would ask the same again to learn the region, without end, until the stack is full.
    """
    answered = None if response is None else response[0]
    if answered is None or answered.status_code not in (301, 302, 307, 308):
        return
    if REGION_HEADER not in answered.headers:
        request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


class S3Calls:
    """The calls of an s3fs filesystem that reading needs."""

    def __init__(self, fs: s3fs.S3FileSystem) -> None:
        self._fs = fs
        # An s3fs that can read a value in several parts asks for its size first, unless told to
        # read one part; older ones read one part and do not know the word.
        parts = "max_concurrency" in inspect.signature(fs._cat_file).parameters
        self._one_part: dict[str, int] = {"max_concurrency": 1} if parts else {}

    @property
    def makes_every_request(self) -> bool:
        """Whether plain GETs could differ from what this s3fs does: then they are not made."""
        fs, theirs = type(self._fs), s3fs.S3FileSystem
        is_subclass = (
            fs._cat_file is not theirs._cat_file
            or fs._call_s3 is not theirs._call_s3
            or fs.get_s3 is not theirs.get_s3
        )
        checksums = self._fs.config_kwargs.get("response_checksum_validation")
        # With versions, paths may name one. With that option set, bodies have to be compared with
        # the checksums that S3 keeps.
        return is_subclass or bool(self._fs.version_aware) or checksums == "when_supported"

    def client(self) -> Awaitable[Client]:
        """The current client; another one after s3fs has connected anew."""
        client: Awaitable[Client] = self._fs.set_session()
        return client

    def client_of(self, bucket: str) -> Awaitable[Client]:
        """The client of the region of `bucket`."""
        client: Awaitable[Client] = self._fs.get_s3(bucket)
        return client

    def split(self, path: str) -> tuple[str, str, str | None]:
        """Bucket, key and version that `path` means."""
        bucket, key, version = self._fs.split_path(path)
        return bucket, key, version

    async def value(self, path: str, start: int | None, end: int | None) -> bytes:
        """The range of a value, in one request."""
        return bytes(await self._fs._cat_file(path, start=start, end=end, **self._one_part))

    async def find(self, path: str) -> list[str]:
        """The full names of all values below `path`."""
        return list(await self._fs._find(path))

    async def names(self, path: str) -> list[str]:
        """The full names of what lies one level below `path`."""
        # Refreshed, because a listing that s3fs remembers hides what was written since.
        return list(await self._fs._ls(path, detail=False, refresh=True))


async def keys_of(client: Client) -> Keys | None:
    """The credentials of `client`, refreshed if that is due; None where it has none."""
    credentials = client._get_credentials()
    if credentials is None:
        return None
    frozen = await credentials.get_frozen_credentials()
    return Keys(frozen.access_key, frozen.secret_key, frozen.token)


@dataclass(frozen=True, slots=True)
class Connection:
    """The connections of a client: its session of aiohttp, and the proxy that they go through."""

    session: aiohttp.ClientSession
    proxy: str | None
    proxy_headers: Mapping[str, str] | None


async def connection_of(client: Client, url: str) -> Connection | None:
    """How `client` connects for `url`; None where it speaks through another library (httpx)."""
    http = client._endpoint.http_session
    proxy = http._proxy_config.proxy_url_for(url)
    session = await http._get_session(proxy)
    if not isinstance(session, aiohttp.ClientSession):
        return None
    return Connection(session, proxy, http._proxy_config.proxy_headers_for(url) or None)


def tries_once(client: Client) -> bool:
    """Whether its configuration lets it try no request again."""
    retries = client.meta.config.retries or {}
    return bool(retries.get("total_max_attempts") == 1)


@dataclass(slots=True)
class Exchange:
    """What a client sent as GetObject, as botocore prepared it, and which headers came back."""

    sent: list[Sent] = field(default_factory=list)
    came: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def exchange_of(client: Client) -> Iterator[Exchange]:
    """What `client` sends and receives on behalf of this task."""
    exchange = Exchange()
    task = asyncio.current_task()

    def sending(request: Sent, **_: object) -> None:
        if asyncio.current_task() is task:
            exchange.sent.append(request)

    def received(parsed: Document, **_: object) -> None:
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
