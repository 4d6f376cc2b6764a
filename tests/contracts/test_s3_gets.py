"""Reads of an s3fs filesystem: the first is s3fs's own, later ones are plain, and no less right."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import s3fs

from sluice.errors import StoreError, StoreMissing, StoreRefused, StoreTimeout
from sluice.store import AsyncFSMap, Filesystems, s3_reader
from sluice.store.s3_reader import MOST_OVERRULED
from sluice.store.source import ByteSource

from .web import Web

BODY = bytes(range(256)) * 4
PATH = "/bucket/base/key"
KEYS = {"key": "access", "secret": "hidden"}


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with Web({PATH: BODY, "/bucket/base/empty": b""}) as web:
        yield web
    gc.collect()


@asynccontextmanager
async def learned(
    web: Web, *, retries: int = 2, patience: float = 20, **options: Any
) -> AsyncIterator[ByteSource]:
    """A source that has read once, so that s3fs has shown how."""
    config = {"read_timeout": patience, "retries": {"max_attempts": retries, "mode": "standard"}}
    words = {"endpoint_url": web.address, **KEYS, "config_kwargs": config, **options}
    async with Filesystems() as filesystems:
        source = await filesystems.source("s3://bucket/base", storage_options=words)
        assert await source.get("key") == BODY
        web.requests.clear()
        web.heads.clear()
        yield source


def by_s3fs(web: Web) -> list[bool]:
    """Of each request since, whether s3fs made it: only botocore numbers its tries."""
    return ["amz-sdk-request" in head.lower() for head in web.heads]


def sent(web: Web, name: str) -> list[str | None]:
    """One header of each request since."""
    return [
        next((line[len(name) + 2 :] for line in head.split("\r\n") if _named(line, name)), None)
        for head in web.heads
    ]


def _named(line: str, name: str) -> bool:
    return line.lower().startswith(f"{name.lower()}: ")


async def test_only_the_first_get_is_s3fss(web: Web) -> None:
    """Values, ranges, suffixes, absent keys and empty values then cost one plain GET each."""
    async with learned(web) as source:
        assert await source.get("key") == BODY
        assert await source.get("key", 5, 9) == BODY[5:9]
        assert await source.get("key", -9) == BODY[-9:]
        assert await source.get("key", 1020, 4000) == BODY[1020:]
        assert await source.get("key", 4000, 5000) == b""
        assert await source.get("empty") == b""
        assert await source.get("empty", -3) == b""
        assert await source.get("none") is None
        assert not await source.exists("none")
        assert by_s3fs(web) == [False] * 9
        assert all(head.startswith("GET ") for head in web.heads)
        assert None not in sent(web, "authorization")


async def test_what_was_learned_serves_all_stores(web: Web) -> None:
    """Another store of the same bucket and options is read by plain GETs from the first one on."""
    web.values["/bucket/other/key"] = BODY[::-1]
    async with Filesystems() as filesystems:
        words = {"endpoint_url": web.address, **KEYS}
        source = await filesystems.source("s3://bucket/base", storage_options=words)
        assert await source.get("key") == BODY
        for root, value in [("other", BODY[::-1]), ("base", BODY)]:
            source = await filesystems.source(f"s3://bucket/{root}", storage_options=words)
            assert await source.get("key") == value
        assert by_s3fs(web) == [True, False, False]


async def test_an_absent_key_also_shows_how(web: Web) -> None:
    """A store that begins with a missing document is learned from all the same."""
    async with Filesystems() as filesystems:
        words = {"endpoint_url": web.address, **KEYS}
        source = await filesystems.source("s3://bucket/base", storage_options=words)
        assert await source.get("none") is None
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [True, False]


async def test_anonymous_reads_bear_no_signature(web: Web) -> None:
    """`anon` sends neither keys nor a signature."""
    async with learned(web, key=None, secret=None, anon=True) as source:
        assert await source.get("key", 0, 3) == BODY[:3]
        assert by_s3fs(web) == [False]
        assert sent(web, "authorization") == sent(web, "x-amz-date") == [None]


async def test_keys_are_asked_for_each_time(web: Web) -> None:
    """Keys and tokens that change between reads are those of the next request."""
    async with learned(web, token="first") as source:
        assert isinstance(source, AsyncFSMap)
        keys = (await source.fs.set_session())._get_credentials()
        assert await source.get("key") == BODY
        keys.access_key, keys.token = "renewed", "second"
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False, False]
        assert sent(web, "x-amz-security-token") == ["first", "second"]
        bearers = [str(value).split("=")[1].split("/")[0] for value in sent(web, "authorization")]
        assert bearers == ["access", "renewed"]


async def test_the_requester_pays(web: Web) -> None:
    """s3fs's word for it is said, and signed, in every request."""
    async with learned(web, requester_pays=True) as source:
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False]
        assert sent(web, "x-amz-request-payer") == ["requester"]
        assert "x-amz-request-payer" in str(sent(web, "authorization")[0])


async def test_a_proxy_stays_the_way(web: Web) -> None:
    """What the configuration sends through a proxy goes through it."""
    web.values["http://store.invalid/bucket/base/key"] = BODY
    proxied = {"proxies": {"http": web.address}}
    async with learned(web, endpoint_url="http://store.invalid", config_kwargs=proxied) as source:
        assert await source.get("key", 1, 3) == BODY[1:3]
        assert by_s3fs(web) == [False]
        assert web.requests == ["GET http://store.invalid/bucket/base/key"]
        assert sent(web, "host") == ["store.invalid"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [((500, "InternalError"), "internal error"), ((503, "SlowDown"), "SlowDown")],
)
async def test_what_passes_is_tried_again(web: Web, answer: tuple[int, str], told: str) -> None:
    """By s3fs, if its configuration says so; a read of one try is one request."""
    async with learned(web) as source:
        web.first = [(*answer, [])] * 2
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False, True, True]
    async with learned(web, retries=0) as source:
        web.first = [(*answer, [])]
        with pytest.raises(StoreError, match=told):
            await source.get("key")
        assert by_s3fs(web) == [False]


async def test_a_truncated_body_is_an_error(web: Web) -> None:
    """Half a value never passes for a value, nor half a range for a range."""
    async with learned(web, retries=0) as source:
        web.truncate = True
        for limits in [(), (0, 100), (-100,)]:
            with pytest.raises(StoreError):
                await source.get("key", *limits)
        web.truncate = False
        assert await source.get("key") == BODY


async def test_a_stalled_read_times_out(web: Web) -> None:
    """A server that falls silent ends in a StoreTimeout, and the next read is a new one."""
    async with learned(web, retries=0, patience=0.5) as source:
        web.delay = 2
        with pytest.raises(StoreTimeout, match="key"):
            await source.get("key")
        web.delay = 0
        assert await source.get("key") == BODY


async def test_a_server_that_goes_away_is_an_error() -> None:
    """Nobody listening any more is the store's failure."""
    async with Web({PATH: BODY}) as web, learned(web, retries=0) as source:
        await web.__aexit__()
        with pytest.raises(StoreError, match="key"):
            await source.get("key")


async def test_a_range_that_is_not_honoured_is_cut_out(web: Web) -> None:
    """The whole value for a range is never taken for the range."""
    async with learned(web) as source:
        web.ranges = False
        assert await source.get("key", 5, 9) == BODY[5:9]
        assert await source.get("key", -9) == BODY[-9:]


async def test_a_cancelled_read_is_cancelled(web: Web) -> None:
    """Cancellation passes through as itself, and the next read gets its own answer."""
    async with learned(web) as source:
        web.delay = 0.2
        read = asyncio.create_task(source.get("key"))
        await asyncio.sleep(0.1)
        read.cancel()
        with pytest.raises(asyncio.CancelledError):
            await read
        web.delay = 0
        assert await source.get("key", 3, 5) == BODY[3:5]


async def test_a_denial_needs_no_second_opinion(web: Web) -> None:
    """AccessDenied is what S3 answers for absent keys that one may not list: one GET."""
    async with learned(web) as source:
        web.first = [(403, "AccessDenied", [])]
        with pytest.raises(StoreRefused, match=r"AccessDenied: Words.*s3:ListBucket"):
            await source.get("none")
        assert by_s3fs(web) == [False]


async def test_a_missing_bucket_needs_none_either(web: Web) -> None:
    """A bucket that went away after the first read is no missing key."""
    async with learned(web) as source:
        web.first = [(404, "NoSuchBucket", [])]
        with pytest.raises(StoreMissing, match="NoSuchBucket"):
            await source.get("key")
        assert by_s3fs(web) == [False]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "AuthorizationHeaderMalformed"),
        (400, "ExpiredToken"),
        (403, "RequestTimeTooSkewed"),
        (403, "SignatureDoesNotMatch"),
        (307, "TemporaryRedirect"),
    ],
)
async def test_s3fs_has_the_last_word(web: Web, status: int, code: str) -> None:
    """Of any other answer s3fs is asked; if it fails, too, the error is its own."""
    async with learned(web) as source:
        web.first = [(status, code, [])]
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False, True]
        web.heads.clear()
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False]
        web.first = [(status, code, [])] * 2
        with pytest.raises(StoreError, match=code):
            await source.get("key")


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_end(web: Web, status: int) -> None:
    """They are no values, and reading them comes to an end, the second time too."""
    async with learned(web, retries=0) as source:
        for _ in range(3):
            web.first = [(status, "", [])]
            assert await source.get("key") == BODY
        assert by_s3fs(web) == [False, True] * 3


async def test_a_bucket_that_moves_is_followed(web: Web) -> None:
    """Where S3 names another region, s3fs goes there, and the next GET is signed for it."""
    async with learned(web) as source:
        web.region = "eu-west-7"
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False, True, True]
        web.heads.clear()
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False]
        assert "/eu-west-7/s3/" in str(sent(web, "authorization")[0])


async def test_many_may_be_first(web: Web) -> None:
    """However many reads come before the first answer, those after it are plain."""
    async with Filesystems() as filesystems:
        words = {"endpoint_url": web.address, **KEYS}
        source = await filesystems.source("s3://bucket/base", storage_options=words)
        values = await source.getitems(["key", "empty", *map(str, range(3 * MOST_OVERRULED))])
        assert values == {"key": BODY, "empty": b""}
        web.heads.clear()
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False]


async def test_a_bucket_that_moves_under_many_is_followed(web: Web) -> None:
    """Reads that were all turned away at once all get through, and plain reads go on."""
    async with learned(web) as source:
        web.delay = 0.05
        web.region = "eu-west-7"
        many = 3 * MOST_OVERRULED
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(source.get("key")) for _ in range(many)]
        assert [read.result() for read in reads] == [BODY] * many
        web.heads.clear()
        assert await source.get("key") == BODY
        assert by_s3fs(web) == [False]


async def test_a_server_that_takes_s3fs_alone_gets_it(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where plain GETs are refused time and again and s3fs's are not, they rest for a while."""
    monkeypatch.setattr(s3_reader, "ALONE_SECONDS", rest := 1.0)
    async with learned(web) as source:
        for _ in range(MOST_OVERRULED):
            web.first = [(403, "SignatureDoesNotMatch", [])]
            assert await source.get("key") == BODY
        assert by_s3fs(web) == [False, True] * MOST_OVERRULED
        web.heads.clear()
        assert [await source.get("key") for _ in range(3)] == [BODY] * 3
        assert by_s3fs(web) == [True] * 3
        web.heads.clear()
        await asyncio.sleep(rest)
        assert [await source.get("key") for _ in range(3)] == [BODY] * 3
        assert by_s3fs(web) == [True, False, False]


class Counting(s3fs.S3FileSystem):  # type: ignore[misc]
    """Somebody's filesystem that reads in its own way."""

    async def _cat_file(self, path: str, **words: Any) -> bytes:
        return b"mine: " + bytes(await super()._cat_file(path, **words))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Counting, {}),
        (s3fs.S3FileSystem, {"version_aware": True}),
        (
            s3fs.S3FileSystem,
            {"config_kwargs": {"response_checksum_validation": "when_supported"}},
        ),
        (
            s3fs.S3FileSystem,
            {
                "s3_additional_kwargs": {
                    "SSECustomerAlgorithm": "AES256",
                    "SSECustomerKey": "k" * 32,
                }
            },
        ),
    ],
)
async def test_what_s3fs_alone_knows_stays_with_it(web: Web, kind: Any, words: Any) -> None:
    """Subclasses, versions, checksums and customers' keys are never read by plain GETs."""
    fs = kind(
        asynchronous=True, skip_instance_cache=True, endpoint_url=web.address, **KEYS, **words
    )
    client = await fs.set_session()
    source = AsyncFSMap("bucket/base", fs)
    for _ in range(3):
        assert await source.get("key") == (b"mine: " if kind is Counting else b"") + BODY
    await client.close()
    assert set(by_s3fs(web)) == {True}


async def test_a_new_session_is_learned_anew(web: Web) -> None:
    """A filesystem that its owner connects again reads on, over the new connections."""
    fs = s3fs.S3FileSystem(
        asynchronous=True, skip_instance_cache=True, endpoint_url=web.address, **KEYS
    )
    first = await fs.set_session()
    source = AsyncFSMap("bucket/base", fs)
    assert [await source.get("key") for _ in range(2)] == [BODY] * 2
    second = await fs.set_session(refresh=True)
    await first.close()
    assert [await source.get("key") for _ in range(2)] == [BODY] * 2
    assert by_s3fs(web) == [True, False] * 2
    await second.close()


async def test_each_bucket_is_learned(web: Web) -> None:
    """References may point into several buckets; each has a form of its own, under any name."""
    web.values["/other/key"] = b"other"
    parts = {f"{n}": ["s3://bucket/base/key", n, 4] for n in range(3)}
    parts |= {"a": ["s3://other/key"], "b": ["s3://other/key"]}
    remote = {"remote_protocol": "s3", "remote_options": {"endpoint_url": web.address, **KEYS}}
    async with Filesystems() as filesystems:
        options = {"fo": {"version": 1, "refs": parts}, **remote}
        source = await filesystems.source("reference://", storage_options=options)
        for number in range(3):
            assert await source.get(f"{number}") == BODY[number : number + 4]
        assert await source.get("a") == await source.get("b") == b"other"
        assert by_s3fs(web) == [True, False, False, True, False]
