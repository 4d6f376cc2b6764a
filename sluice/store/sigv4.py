"""AWS Signature Version 4 for requests without body and query, with the day's key kept.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"
# What stands for the payload of a request that has none.
NO_PAYLOAD = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """The credentials of one moment; a token goes with keys that expire."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class Signer:
    """Signs for one region and service.

    A signing key depends on the secret and the day alone, so the last one is kept: four of the five
    HMACs of a signature.
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
        # The empty line after the headers and the one that stands for the query are the form's.
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
        """The signature of no text yet, with the signing key in it."""
        if self._made_of != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self.region, self.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._made_of, self._empty = (secret, day), hmac.new(key, digestmod="sha256")
        return self._empty
