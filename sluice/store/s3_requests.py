"""Signed GETs of S3 in the form of s3fs's own first GET of a bucket.

Endpoint, addressing style, region, headers: s3fs and botocore settle all of that for their own
first request of a bucket. It is copied from there, and trusted only if signing that request here
gives the signature that it had. A request that is not understood gives no form: s3fs reads then.

Signatures are of AWS Signature Version 4, for requests without body and query, with the day's key
kept (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html).
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote, urlsplit

ALGORITHM = "AWS4-HMAC-SHA256"
# What stands for the payload of a request that has none.
NO_PAYLOAD = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials as they are now; temporary ones have a session token."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs requests for one region and service.

    The signing key depends on the secret and the day alone, so the last one is kept: that saves
    four of the five HMACs of a signature.
    """

    def __init__(self, region: str, service: str = "s3") -> None:
        self.region = region
        self.service = service
        self._made_of = ("", "")
        self._empty = hmac.new(b"", digestmod="sha256")

    def authorization(
        self, keys: Keys, moment: str, path: str, headers: Mapping[str, str], method: str = "GET"
    ) -> str:
        """The Authorization header of a request for `path`, which is percent-encoded as it is sent.

        `headers` are all that shall be signed, by lower-case name (`host` must be one of them);
        `moment` is the time of ``x-amz-date``, such as 20130524T000000Z.
        """
        names = sorted(headers)
        signed = ";".join(names)
        lines = [f"{name}:{' '.join(headers[name].split())}" for name in names]
        # The canonical request has an empty line for the query and one after the headers.
        request = "\n".join([method, path, "", *lines, "", signed, NO_PAYLOAD])
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        digest = sha256(request.encode()).hexdigest()
        text = f"{ALGORITHM}\n{moment}\n{scope}\n{digest}"
        signature = self._begun(keys.secret, moment[:8]).copy()
        signature.update(text.encode())
        return (
            f"{ALGORITHM} Credential={keys.access}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature.hexdigest()}"
        )

    def _begun(self, secret: str, day: str) -> hmac.HMAC:
        """An HMAC with the signing key of the day, to be copied and fed with the text to sign."""
        if self._made_of != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._made_of, self._empty = (secret, day), hmac.new(key, digestmod="sha256")
        return self._empty


# What becomes of each header of s3fs's request. If it has one that is not listed here (a customer's
# key for encryption, the token of a directory bucket, one of an event handler), s3fs reads alone.
SENT_AGAIN = frozenset({"user-agent", "x-amz-expected-bucket-owner", "x-amz-request-payer"})
MADE_ANEW = frozenset(
    {"accept-encoding", "authorization", "host", "range"}
    | {"x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
)
# Tracing of botocore's tries, and a checksum that nobody here would verify (a store that wants
# chunks checked has the crc32c codec; without TLS a shorter body is noticed all the same).
LEFT_OUT = frozenset({"amz-sdk-invocation-id", "amz-sdk-request", "x-amz-checksum-mode"})
KNOWN = SENT_AGAIN | MADE_ANEW | LEFT_OUT

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/(?P<region>[^/]+)/(?P<service>s3)/aws4_request, "
    r"SignedHeaders=(?P<signed>[^,]+), Signature=[0-9a-f]{64}"
)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True)
class GetForm:
    """How values of one bucket are asked for; without a signature where `region` is None.

    `origin` is scheme and host, `folder` the path before each key, `headers` those to send again.
    """

    origin: str
    folder: str
    headers: tuple[tuple[str, str], ...]
    host: str
    region: str | None

    def path(self, key: str) -> str:
        """The path of `key`: every byte but S3's unreserved ones and the slash is quoted, once."""
        return self.folder + quote(key, safe="/~")

    def signed(
        self, path: str, byte_range: str | None, signer: Signer | None, keys: Keys | None
    ) -> dict[str, str]:
        """All headers of a GET of `path`, signed for this second where there are keys."""
        headers = {"accept-encoding": "identity", **dict(self.headers)}
        if byte_range is not None:
            headers["range"] = byte_range
        if signer is None or keys is None:
            return headers
        moment = _moment(int(time.time()))
        to_sign = {"host": self.host, "x-amz-date": moment, "x-amz-content-sha256": NO_PAYLOAD}
        if byte_range is not None:
            to_sign["range"] = byte_range
        if keys.token is not None:
            to_sign["x-amz-security-token"] = keys.token
        to_sign |= {name: value for name, value in self.headers if name.startswith("x-amz-")}
        authorization = signer.authorization(keys, moment, path, to_sign)
        return headers | to_sign | {"authorization": authorization}


@lru_cache(maxsize=2)
def _moment(since_1970: int) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(since_1970))


def form_of(
    url: str, sent: Mapping[str, str | bytes], key: str, keys: Keys | None
) -> GetForm | None:
    """The form of the GET of `key` that went to `url` with the headers `sent`.

    None where it is not understood. `keys` are the client's, with which it should be signed; an
    anonymous request has no signature.
    """
    parts = urlsplit(url)
    quoted = quote(key, safe="/~")
    headers = {name.lower(): _text(value) for name, value in sent.items()}
    if parts.query or not parts.path.endswith(f"/{quoted}") or not headers.keys() <= KNOWN:
        return None
    host = parts.netloc.rpartition("@")[2].removesuffix(_DEFAULT_PORTS.get(parts.scheme, ""))
    again = tuple((name, headers[name]) for name in sorted(SENT_AGAIN & headers.keys()))
    form = GetForm(
        f"{parts.scheme}://{parts.netloc}", parts.path.removesuffix(quoted), again, host, None
    )
    if "authorization" not in headers:
        return form
    return None if keys is None else _checked(form, headers, parts.path, keys)


def _checked(form: GetForm, headers: Mapping[str, str], path: str, keys: Keys) -> GetForm | None:
    """`form` with its region, if signing the request here gives the signature that it has."""
    stated = _AUTHORIZATION.fullmatch(headers["authorization"])
    if stated is None or headers.get("x-amz-content-sha256") != NO_PAYLOAD:
        return None
    region = stated["region"]
    present = {"host": form.host, **headers}
    names = stated["signed"].split(";")
    if not set(names) <= present.keys() or "x-amz-date" not in present:
        return None
    ours = Signer(region).authorization(
        keys, present["x-amz-date"], path, {name: present[name] for name in names}
    )
    if ours != headers["authorization"]:
        return None
    return GetForm(form.origin, form.folder, form.headers, form.host, region)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
