"""The reading of other libraries' exceptions."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, NoCredentialsError, ReadTimeoutError

from app.errors import StoreError, StoreMissing, StoreRefused, StoreTimeout
from app.store.failures import Kind, kind_of, reason_of, redacted, store_error


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
        (answered("SlowDown", 503), Kind.FAILED),
        (NoCredentialsError(), Kind.REFUSED),
        (ReadTimeoutError(endpoint_url="x"), Kind.TIMEOUT),
        (TimeoutError(), Kind.TIMEOUT),
        (IsADirectoryError(), Kind.MISSING_KEY),
        (NotADirectoryError(), Kind.MISSING_KEY),
        (ConnectionResetError(), Kind.FAILED),
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


def test_the_servers_own_words_are_the_reason() -> None:
    """Its code and message are quoted; without them, the innermost exception speaks."""
    assert reason_of(caused(OSError("x"), answered("NoSuchKey", 404))) == "NoSuchKey: Because"
    assert reason_of(caused(OSError("x"), ValueError("why\nmore"))) == "ValueError: why"


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
