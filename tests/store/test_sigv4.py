"""Signatures against AWS's published examples, and against botocore's own signer."""

from __future__ import annotations

from urllib.parse import quote

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from sluice.store.sigv4 import NO_PAYLOAD, Keys, Signer

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
