"""What stores say beside their errors: when to come back, and to which region to go."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from sluice.store.tags import moment_of

REGION_HEADER = "x-amz-bucket-region"

_SECONDS = re.compile(r"\s*(\d{1,9})(?:\.\d*)?\s*")
# What S3 says of a region: in a document of its own, or in its words, which some libraries keep.
_REGION = re.compile(r"<Region>([\w-]+)</Region>|expecting '([\w-]+)'")
# Amazon's endpoints have it in their names
# (https://docs.aws.amazon.com/general/latest/gr/s3.html).
_ENDPOINT = re.compile(r"(?:^|\.)s3(?:\.dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com")


def headers_of(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer that `error` was made of, by names in lower case, where kept.

    botocore keeps them in its response, azure in its own one, aiohttp beside it.
    """
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPHeaders")
    else:
        found = getattr(error, "headers", None) or getattr(response, "headers", None)
    if not isinstance(found, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in found.items()}


def asked_pause(error: BaseException) -> float | None:
    """For how many seconds the store wants to be left (RFC 9110, 10.2.3), if it says so.

    A date is compared with the answer's own, since clocks differ.
    """
    headers = headers_of(error)
    said = headers.get("retry-after")
    if said is None:
        return None
    if seconds := _SECONDS.fullmatch(said):
        return float(seconds[1])
    until = moment_of(said)
    if until is None:
        return None
    answered = moment_of(headers.get("date"))
    since = time.time() if answered is None else answered.timestamp()
    return max(0.0, until.timestamp() - since)


def named_region(error: BaseException) -> str | None:
    """The region in which S3 says that the bucket lies."""
    if region := headers_of(error).get(REGION_HEADER):
        return region
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):
        said = response.get("Error", {})
        if region := said.get("Region"):
            return str(region)
        if endpoint := _ENDPOINT.search(str(said.get("Endpoint", ""))):
            return endpoint[1]
    found = _REGION.search(str(error))
    return None if found is None else found[1] or found[2]
