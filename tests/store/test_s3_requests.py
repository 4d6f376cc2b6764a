"""Requests are signed as AWS signs them, in the form that s3fs showed, or left to s3fs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import botocore.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from sluice.store.s3_requests import NO_PAYLOAD, Keys, Signer, form_of

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


def test_the_s3_example() -> None:
    """The GET of a range in the S3 documentation has the signature printed there."""
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = {
        "host": "examplebucket.s3.amazonaws.com",
        "range": "bytes=0-9",
        "x-amz-content-sha256": NO_PAYLOAD,
        "x-amz-date": "20130524T000000Z",
    }
    made = Signer("us-east-1").authorization(keys, "20130524T000000Z", "/test.txt", headers)
    assert made == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_the_suites_plain_get() -> None:
    """`get-vanilla` of the Signature Version 4 test suite has the signature of the suite."""
    keys = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    headers = {"host": "example.amazonaws.com", "x-amz-date": "20150830T123600Z"}
    made = Signer("us-east-1", "service").authorization(keys, "20150830T123600Z", "/", headers)
    assert made.endswith(
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )


@given(
    key=st.text(min_size=1).filter(lambda key: key.isprintable()),
    headers=st.dictionaries(names.map("x-amz-meta-{}".format), values, max_size=4),
    secret=st.text(min_size=1).filter(lambda text: text.isprintable()),
    token=st.none() | names,
    region=names,
)
def test_botocore_signs_the_same(
    key: str, headers: dict[str, str], secret: str, token: str | None, region: str
) -> None:
    """For any key, header, secret and token, our signature is botocore's."""
    url = f"https://host.example/bucket/{quote(key, safe='/~')}"
    request = AWSRequest("GET", url, headers=dict(headers))
    S3SigV4Auth(Credentials("access", secret, token), "s3", region).add_auth(request)
    theirs = request.headers["Authorization"]
    del request.headers["Authorization"]
    sent = {name.lower(): value for name, value in request.headers.items()}
    path = url.removeprefix("https://host.example")
    ours = Signer(region).authorization(
        Keys("access", secret, token), sent["x-amz-date"], path, {"host": "host.example", **sent}
    )
    assert ours == theirs


def test_a_signer_keeps_no_key_too_long() -> None:
    """Another secret and another day are signed as by a new signer."""
    signer = Signer("r")
    first, second = "20240101T000000Z", "20240102T000000Z"
    for secret, day in (("a", first), ("b", first), ("b", second), ("a", second), ("a", first)):
        asked = (Keys("access", secret), day, "/", {"host": "h"})
        assert signer.authorization(*asked) == Signer("r").authorization(*asked)


def test_secrets_are_not_shown() -> None:
    """Neither the secret nor the token is part of what a log would print."""
    assert "hidden" not in repr(Keys("access", "hidden-secret", "hidden-token"))


KEYS = Keys("access", "secret/+", None)
ODD = "a b/ü+~/%41//(x)*!'=&@:,;$.json"


class Body:
    """A body without bytes."""

    def stream(self, **_: Any) -> list[bytes]:
        return []

    def read(self, *_: Any) -> bytes:
        return b""


def prepared(
    key: str = ODD,
    *,
    bucket: str = "bucket",
    config: dict[str, Any] | None = None,
    token: str | None = None,
    keys: Keys | None = KEYS,
    call: dict[str, Any] | None = None,
    header: str | None = None,
    **client_words: Any,
) -> Any:
    """The GetObject that a client of these words would send, caught before it is sent."""
    if keys is not None:
        client_words |= {
            "aws_access_key_id": keys.access,
            "aws_secret_access_key": keys.secret,
            "aws_session_token": token,
        }
    client = botocore.session.get_session().create_client(
        "s3", config=Config(**(config or {})), **client_words
    )
    sent: list[Any] = []

    def caught(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, {"content-length": "0"}, Body())

    client.meta.events.register("before-send.s3.GetObject", caught)
    if header is not None:
        client.meta.events.register(
            "before-sign.s3.GetObject", lambda request, **_: request.headers.add_header(header, "x")
        )
    client.get_object(Bucket=bucket, Key=key, **(call or {}))
    client.close()
    return sent[-1]


LEARNED: dict[str, dict[str, Any]] = {
    "path style": {"endpoint_url": "http://127.0.0.1:9000", "region_name": "us-east-1"},
    "a folder before the bucket": {
        "endpoint_url": "http://127.0.0.1:9000/s3/",
        "region_name": "here",
    },
    "default port": {"endpoint_url": "https://s3.example:443", "region_name": "x-1"},
    "AWS, virtual hosts": {"region_name": "eu-central-1"},
    "AWS, path style": {
        "region_name": "eu-central-1",
        "config": {"s3": {"addressing_style": "path"}},
    },
    "dots in the bucket": {"region_name": "us-west-2", "bucket": "a.b.c"},
    "dual stack": {"region_name": "us-west-2", "config": {"s3": {"use_dualstack_endpoint": True}}},
    "accelerated": {
        "region_name": "us-west-2",
        "config": {"s3": {"use_accelerate_endpoint": True}},
    },
    "a token": {"region_name": "us-west-2", "token": "tok+/="},
    "requester pays": {"region_name": "us-west-2", "call": {"RequestPayer": "requester"}},
    "a range": {"region_name": "us-west-2", "call": {"Range": "bytes=0-3"}},
    "a plain key": {"region_name": "us-west-2", "key": "a/c/0/0"},
}


@pytest.mark.parametrize("name", LEARNED)
def test_the_next_get_is_what_botocore_would_send(name: str) -> None:
    """Learned from one request, the next key goes to botocore's URL, with its signature."""
    words = {"key": ODD, **LEARNED[name]}
    keys = Keys(KEYS.access, KEYS.secret, words.get("token"))
    seen = prepared(**words)
    form = form_of(seen.url, seen.headers, words["key"], keys)
    assert form is not None
    assert form.region is not None
    assert form.region == words["region_name"]
    other = prepared(**{**words, "key": f"other/{ODD}"})
    path = form.path(f"other/{ODD}")
    assert form.origin + path == other.url
    headers = form.signed(path, "bytes=5-", Signer(form.region), keys)
    # botocore signs the same headers at the same second; Host is its own business.
    request = AWSRequest("GET", other.url, headers=_without(headers, "authorization", "host"))
    signer = S3SigV4Auth(Credentials(keys.access, keys.secret, keys.token), "s3", form.region)
    _sign_at(signer, request, headers["x-amz-date"], headers)
    assert request.headers["Authorization"] == headers["authorization"]
    payer = "requester" if name == "requester pays" else None
    assert headers.get("x-amz-request-payer") == payer


def _without(headers: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def _sign_at(signer: Any, request: Any, moment: str, headers: dict[str, str]) -> None:
    request.context["timestamp"] = moment
    signed = {"host": headers["host"]} | {
        name: value
        for name, value in headers.items()
        if name == "range" or name.startswith("x-amz-")
    }
    signer.headers_to_sign = lambda _: _Message(signed)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))


class _Message(dict[str, str]):
    """Headers as botocore's signer reads them."""

    def get_all(self, name: str) -> list[str]:
        return [self[name]]


def test_anonymous_requests_have_a_form_without_region() -> None:
    """What bears no signature is asked for without one, also by a client that has keys."""
    seen = prepared(keys=None, config={"signature_version": botocore.UNSIGNED}, region_name="r")
    for keys in (None, KEYS):
        form = form_of(seen.url, seen.headers, ODD, keys)
        assert form is not None
        assert form.region is None
        headers = form.signed(form.path("k"), None, None, None)
        assert headers.keys() == {"accept-encoding", "user-agent"}


LEFT: dict[str, dict[str, Any]] = {
    "a customer's key": {
        "call": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32},
    },
    "a version": {"call": {"VersionId": "v"}},
    "a header of somebody's handler": {"header": "X-Amz-Surprise"},
    "another signature": {"config": {"signature_version": "s3"}},
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_not_understood_is_left_to_s3fs(name: str) -> None:
    """A request that holds more than a plain signed GET has no form."""
    seen = prepared(region_name="us-east-1", endpoint_url="https://s3.example", **LEFT[name])
    assert form_of(seen.url, seen.headers, ODD, KEYS) is None


def test_a_version_is_left_to_s3fs_without_a_signature_too() -> None:
    """No signature gives away what an anonymous request has in its query."""
    config = {"signature_version": botocore.UNSIGNED}
    seen = prepared(keys=None, config=config, region_name="r", call={"VersionId": "v"})
    assert form_of(seen.url, seen.headers, ODD, None) is None


def test_a_signature_that_cannot_be_made_is_left_to_s3fs() -> None:
    """Other keys, no keys, another key or another host than was signed: no form."""
    seen = prepared(region_name="us-east-1", endpoint_url="https://s3.example")
    assert form_of(seen.url, seen.headers, ODD, KEYS) is not None
    assert form_of(seen.url, seen.headers, ODD, Keys("access", "other")) is None
    assert form_of(seen.url, seen.headers, ODD, None) is None
    assert form_of(seen.url, seen.headers, "other", KEYS) is None
    moved = seen.url.replace("s3.example", "s4.example")
    assert form_of(moved, seen.headers, ODD, KEYS) is None
