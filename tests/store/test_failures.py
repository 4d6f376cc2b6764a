"""The reading of other libraries' exceptions."""

from __future__ import annotations

import aiohttp
import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
    SSLError,
)

from sluice.errors import (
    StoreError,
    StoreFaltered,
    StoreMissing,
    StoreOversized,
    StoreRefused,
    StoreSlow,
    StoreTimeout,
    redacted,
)
from sluice.store.failures import Kind, kind_of, reason_of, store_error


def answered(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code, "Message": "Because."}}
    return ClientError({**answer, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


def caused(outer: Exception, cause: Exception) -> Exception:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered("NoSuchKey", 404), Kind.MISSING_KEY),
        (answered("404", 404), Kind.MISSING_KEY),
        (caused(FileNotFoundError(), answered("NoSuchBucket", 404)), Kind.MISSING_ROOT),
        (caused(OSError(22, "x"), answered("InvalidRange", 416)), Kind.PAST_END),
        (caused(PermissionError(), answered("SignatureDoesNotMatch", 403)), Kind.REFUSED),
        (answered("SomethingNew", 403), Kind.REFUSED),
        (answered("ExpiredToken", 400), Kind.REFUSED),
        (answered("SlowDown", 503), Kind.SLOWED),
        (caused(OSError(16, "x"), answered("503", 503)), Kind.FALTERED),
        (answered("SomethingNew", 500), Kind.FALTERED),
        (answered("SomethingNew", 429), Kind.SLOWED),
        (answered("InvalidRequest", 400), Kind.FAILED),
        (answered("NotImplemented", 501), Kind.FAILED),
        (NoCredentialsError(), Kind.REFUSED),
        (ReadTimeoutError(endpoint_url="x"), Kind.TIMEOUT),
        (TimeoutError(), Kind.TIMEOUT),
        (IsADirectoryError(), Kind.MISSING_KEY),
        (NotADirectoryError(), Kind.MISSING_KEY),
        (ConnectionResetError(), Kind.FALTERED),
        (EOFError(), Kind.FALTERED),
        (EndpointConnectionError(endpoint_url="x"), Kind.FALTERED),
        (ConnectionClosedError(endpoint_url="x"), Kind.FALTERED),
        (SSLError(endpoint_url="x", error="x"), Kind.FAILED),
        (aiohttp.ServerDisconnectedError(), Kind.FALTERED),
        (aiohttp.ClientPayloadError(), Kind.FALTERED),
        (aiohttp.ClientOSError(104, "reset"), Kind.FALTERED),
        (aiohttp.ServerTimeoutError(), Kind.TIMEOUT),
        (aiohttp.InvalidURL("x"), Kind.FAILED),
        (KeyError("x"), Kind.FAILED),
    ],
)
def test_the_most_telling_exception_decides(error: Exception, kind: Kind) -> None:
    """A server's code outranks the Python type that a library made of it."""
    assert kind_of(error) is kind


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.REFUSED, StoreRefused),
        (Kind.TIMEOUT, StoreTimeout),
        (Kind.MISSING_ROOT, StoreMissing),
        (Kind.MISSING_KEY, StoreMissing),
        (Kind.FALTERED, StoreFaltered),
        (Kind.SLOWED, StoreSlow),
        (Kind.OVERSIZED, StoreOversized),
        (Kind.ELSEWHERE, StoreError),
        (Kind.FAILED, StoreError),
        (Kind.PAST_END, StoreError),
    ],
)
def test_each_kind_has_its_error(kind: Kind, expected: type[StoreError]) -> None:
    """The sentence says what was being done and why it failed; the facts come along."""
    error = store_error(kind, "NoLuck: today", doing="reading a of b", root="b")
    assert type(error) is expected
    assert "reading a of b" in error.detail
    assert "NoLuck: today" in error.detail
    assert error.facts == {"root": "b"}


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("AccessDenied: No", "grant this"),
        ("ExpiredToken: Old", "renew them"),
        ("Unable to locate credentials", "anon: true"),
    ],
)
def test_advice_goes_with_the_reason(reason: str, advice: str) -> None:
    """What to grant is said where that would help, and else what is wrong with the keys."""
    assert advice in store_error(Kind.REFUSED, reason, doing="reading", advice="grant this").detail


def test_the_servers_own_words_are_the_reason() -> None:
    """Its code and message are quoted; without them, the innermost exception speaks, in words."""
    assert reason_of(caused(OSError("x"), answered("NoSuchKey", 404))) == "NoSuchKey: Because"
    assert reason_of(caused(OSError("x"), ValueError("why\nmore"))) == "why"
    assert reason_of(answered("InternalError", 500)) == "internal error: Because"
    assert reason_of(FileNotFoundError(2, "No such file or directory", "x")) == (
        "No such file or directory"
    )
    assert reason_of(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)")) == (
        "Connection refused"
    )
    assert reason_of(TimeoutError()) == "timeout error"
    assert reason_of(RecursionError("maximum")) == "its answer is nested too deeply"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:pass@host/path", "https://host/path"),
        ("get https://host/a?X-Amz-Signature=abc&b=1 now", "get https://host/a?... now"),
        ("url='http://host/a?sig=1'", "url='http://host/a?...'"),
        ("s3://bucket/key", "s3://bucket/key"),
    ],
)
def test_urls_lose_their_secrets(text: str, clean: str) -> None:
    """User names, passwords and query strings are cut out of any text."""
    assert redacted(text) == clean
