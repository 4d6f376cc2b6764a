"""What the header fields of HTTP say that stores send and take: ranges, tags, pauses, regions.

Byte ranges as sources take them have an exclusive end, a negative start is a suffix, and all are
clipped.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


def check_range(start: int | None, end: int | None) -> None:
    """Refuse what the source protocol does not define.

    Raises:
        ValueError: a negative `end`, or a suffix (negative `start`) with an `end`.
    """
    if end is not None and (end < 0 or (start is not None and start < 0)):
        raise ValueError(f"Not a byte range: {start} to {end}; a suffix has a negative start alone")


def resolved(start: int | None, end: int | None, size: int) -> tuple[int, int]:
    """The range within a value of `size` bytes, as a first byte and an exclusive end."""
    if start is None:
        start = 0
    first = max(size + start, 0) if start < 0 else min(start, size)
    return first, max(first, size if end is None else min(end, size))


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
    """`data` of a 206 answer, once it is what its Content-Range says, and that what was asked for.

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


# Web servers make tags of files out of their size and the second in which they were written: a
# value that is younger may be another one under the same tag (RFC 9110, 8.8.1 and 8.8.2.2).
SETTLED: Final = timedelta(seconds=2)


def tag_of(headers: Mapping[str, str]) -> str | None:
    """The tag among the headers of an answer, their names in lower case, if it can be relied on."""
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
    """The moment that a header names (RFC 9110, 5.6.7), if it names one."""
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
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
    """The headers of the answer that `error` was made of, by names in lower case, where kept.

    botocore keeps them in its response, azure in its own one, aiohttp beside it.
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
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        said = response.get("Error", {})
        if region := said.get("Region"):
            return str(region)
        if endpoint := _ENDPOINT.search(str(said.get("Endpoint", ""))):
            return endpoint[1]
    found = _REGION.search(str(error))
    return None if found is None else found[1] or found[2]
