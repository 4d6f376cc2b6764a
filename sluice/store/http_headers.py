"""Headers of HTTP messages of stores: byte ranges, entity tags, pauses, regions.

Byte ranges are those of `ByteSource.get`: an exclusive end, a negative start for a suffix, clipped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from sluice.store.source import Part, resolved

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def sliced(data: bytes, start: int | None, end: int | None) -> bytes:
    """The range out of the whole value."""
    first, last = resolved(start, end, len(data))
    return data if (first, last) == (0, len(data)) else data[first:last]


def range_header(start: int | None, end: int | None) -> str | None:
    """The range as a Range header has it (RFC 9110, 14.1.2); None for the whole value."""
    if start is None and end is None:
        return None
    if start is not None and start < 0:
        return f"bytes={start}"
    return f"bytes={start or 0}-{'' if end is None else end - 1}"


def check_content_range(
    data: bytes, start: int | None, end: int | None, content_range: str
) -> bytes:
    """The `data` of a 206 answer: as long as its Content-Range says, and that is the range asked.

    Raises:
        EOFError: it is something else.
    """
    stated = _CONTENT_RANGE.match(content_range)
    if stated is None:
        return data
    first, stop = int(stated[1]), int(stated[2]) + 1
    if stated[3] != "*":
        asked = resolved(start, end, int(stated[3]))
    else:
        asked = (first if start is None or start < 0 else start, stop)
    if len(data) != stop - first or (first, stop) != asked:
        raise EOFError(f"{len(data)} bytes came for {content_range}, asked were {start} to {end}")
    return data


def part_told(data: bytes, start: int | None, end: int | None, headers: Mapping[str, str]) -> Part:
    """The `data` that came for a range, with the size of the whole value by the answer's `headers`.

    Header names are in lower case. Without a ``Content-Range`` the answer had the whole value, of
    which `data` is the range.
    """
    stated = _CONTENT_RANGE.match(headers.get("content-range", ""))
    if stated is not None:
        return Part(data, int(stated[1]), None if stated[3] == "*" else int(stated[3]))
    length = "" if "transfer-encoding" in headers else headers.get("content-length", "")
    size = int(length) if length.isdecimal() else None
    if size is None and start is None and end is None:
        size = len(data)
    if size is not None:
        start, _ = resolved(start, end, size)
    return Part(data, max(start or 0, 0), size)


# Web servers make tags of files out of their size and the second in which they were written: a
# value that is younger may be another one under the same tag (RFC 9110, 8.8.1 and 8.8.2.2).
SETTLED: Final = timedelta(seconds=2)


def tag_of(headers: Mapping[str, str]) -> str | None:
    """The entity tag of an answer, if it can be relied on; header names are in lower case."""
    modified, answered = (moment_of(headers.get(name)) for name in ("last-modified", "date"))
    return settled_tag(headers.get("etag"), modified, answered)


def settled_tag(
    tag: str | None, modified: datetime | None, answered: datetime | None
) -> str | None:
    """`tag`, unless its value was `modified` so shortly before it was `answered` (None: now)."""
    if not tag or not (tag.isascii() and tag.isprintable()):
        return None
    if modified is None:
        return tag
    return tag if (answered or datetime.now(UTC)) - modified >= SETTLED else None


def moment_of(text: str | None) -> datetime | None:
    """The moment that a header's `text` names (RFC 9110, 5.6.7); None where it names none."""
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (ValueError, OverflowError):
        return None
    # A zone of -0000 is read as none at all.
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


REGION_HEADER = "x-amz-bucket-region"

_SECONDS = re.compile(r"\s*(\d{1,9})(?:\.\d*)?\s*")
# What S3 says of a region: in a document of its own, or in its words, which some libraries keep.
_REGION = re.compile(r"<Region>([\w-]+)</Region>|expecting '([\w-]+)'")
# Amazon's endpoints have it in their names
# (https://docs.aws.amazon.com/general/latest/gr/s3.html).
_ENDPOINT = re.compile(r"(?:^|\.)s3(?:\.dualstack)?[.-]([a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com")


def headers_of(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer that `error` was made of, by names in lower case; {} if not kept.

    botocore keeps them in a dict called response, azure in a response object, aiohttp in headers.
    """
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        found = response.get("ResponseMetadata", {}).get("HTTPHeaders")
    else:
        found = getattr(error, "headers", None) or getattr(response, "headers", None)
    if not isinstance(found, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in found.items()}


def asked_pause(error: BaseException) -> float | None:
    """The Retry-After of the answer in seconds (RFC 9110, 10.2.3); None where it has none.

    A date there is compared with the answer's own Date, since clocks differ.
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
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        said = response.get("Error", {})
        if region := said.get("Region"):
            return str(region)
        if endpoint := _ENDPOINT.search(str(said.get("Endpoint", ""))):
            return endpoint[1]
    found = _REGION.search(str(error))
    return None if found is None else found[1] or found[2]
