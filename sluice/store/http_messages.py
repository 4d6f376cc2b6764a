"""What HTTP messages of stores say in their headers, and how much of their bodies is taken.

Byte ranges as sources take them have an exclusive end, a negative start is a suffix, and all are
clipped. The libraries speak through aiohttp, and read answers whole, which may have no end: their
sessions are told to make answers that know a bound (see `bounded_answers`).
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from sluice.store.source import Part, resolved

if TYPE_CHECKING:
    import aiohttp

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


def part_told(data: bytes, start: int | None, end: int | None, headers: Mapping[str, str]) -> Part:
    """The `data` that came for a range, and what the headers of its answer say of the whole value.

    Their names are in lower case. Without a ``Content-Range`` the whole came, and `data` of it.
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


class OversizedBody(Exception):
    """More bytes came, or are said to come, than the value can have; the rest was not taken."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(f"it has more than the {most_bytes} bytes that it may have")
        self.most_bytes = most_bytes


def most_of_answer(start: int | None, end: int | None, most_bytes: int | None) -> int | None:
    """The most bytes of an answer that has the range, and nothing else, of a bounded value."""
    if end is not None:
        asked = end - (start or 0)
    elif start is not None and start < 0:
        asked = -start
    else:
        return most_bytes
    return asked if most_bytes is None else min(asked, most_bytes)


def check_size(data: bytes, start: int | None, end: int | None, most_bytes: int | None) -> bytes:
    """`data` that came for the range, unless it is more than that can have (OversizedBody)."""
    most = most_of_answer(start, end, most_bytes)
    if most is not None and len(data) > most:
        raise OversizedBody(most)
    return data


class PartTaken:
    """The range of a value that comes in pieces (see `headers`): holds no more than it.

    Raises OversizedBody where the value goes on beyond `most_bytes`.
    """

    def __init__(self, start: int | None, end: int | None, most_bytes: int | None) -> None:
        self._start = start or 0
        self._end = end
        self._most_bytes = most_bytes
        self._seen = 0
        self._kept = bytearray()

    @property
    def data(self) -> bytes:
        """What the range has of the pieces so far."""
        return bytes(self._kept)

    def add(self, piece: bytes | memoryview) -> bool:
        """Take what the range has of the next piece; whether the range is complete."""
        before = self._seen
        self._seen += len(piece)
        if self._start < 0:
            self._kept += piece
            del self._kept[: self._start]
        else:
            end = None if self._end is None else max(self._end - before, 0)
            self._kept += piece[max(self._start - before, 0) : end]
        if self._end is not None and self._seen >= self._end:
            return True
        if self._most_bytes is not None and self._seen > self._most_bytes:
            self._kept.clear()  # an error keeps whatever raised it
            raise OversizedBody(self._most_bytes)
        return False


# Documents of errors are a few lines.
ERROR_BYTES: Final = 64 * 2**10
# Listings have a few hundred bytes for each name.
LISTING_BYTES: Final = 64 * 2**20


@dataclass(slots=True)
class Bound:
    """The most that one answer of this read may have, and whether one had more."""

    most_bytes: int
    exceeded: bool = False


bound_of_answers: ContextVar[Bound | None] = ContextVar("bound of answers", default=None)


@contextmanager
def bounded_answers(most_bytes: int | None) -> Iterator[None]:
    """No answer to a request that the block makes has more than `most_bytes` (None: any number).

    Raises:
        OversizedBody: one had, whatever the library made of that.
    """
    if most_bytes is None:
        yield
        return
    bound = Bound(most_bytes)
    token = bound_of_answers.set(bound)
    try:
        yield
    except Exception as error:
        if bound.exceeded:
            raise OversizedBody(most_bytes) from error
        raise
    finally:
        bound_of_answers.reset(token)


# aiohttp asks a connection to pause when twice as much waits to be read, and to go on when some of
# it was. Who wants the whole body would be woken up for each piece to say so, and read no less.
# Its parser takes no larger number: bodies of 4 GiB would pause, and wait until their deadline.
UNPAUSED_BYTES: Final = 2**31 - 1


async def whole_body(response: aiohttp.ClientResponse, most_bytes: int | None) -> bytes:
    """The body of `response`, joined once; raises aiohttp.ClientError where it breaks off.

    The request was made with a `read_bufsize` of `UNPAUSED_BYTES`, and without `auto_decompress`:
    then that would inflate without bounds.

    Raises:
        OversizedBody: it has more than `most_bytes`.
    """
    if most_bytes is None or _is_said_to_end(response, most_bytes):
        content = response.content
        if content.exception() is None:
            await content.wait_eof()
        return content.read_nowait()
    return await body_part(response, None, None, most_bytes)


async def body_part(
    response: aiohttp.ClientResponse, start: int | None, end: int | None, most_bytes: int | None
) -> bytes:
    """The range out of the whole value that is the body of `response`, as its pieces come.

    No more than the range is held, and nothing behind it is waited for.

    Raises:
        OversizedBody: the value has more than `most_bytes`.
    """
    taken = PartTaken(start, end, most_bytes)
    async for piece in response.content.iter_any():
        if taken.add(piece):
            break
    return taken.data


async def body_beginning(response: aiohttp.ClientResponse, nbytes: int = ERROR_BYTES) -> bytes:
    """The first `nbytes` of the body, or all of it."""
    return await body_part(response, 0, nbytes, None)


def uncoded(data: bytes, coding: str, most_bytes: int | None) -> bytes:
    """The value whose body came in this content coding (RFC 9110, 8.4), though none was asked for.

    Raises:
        OversizedBody: it inflates to more than `most_bytes`.
        EOFError: it ends early.
        ValueError: it is coded in a way that is not known here.
    """
    match coding.strip().lower():
        case "" | "identity":
            return data
        case "gzip" | "x-gzip" | "deflate":
            inflating = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
            made = inflating.decompress(data, 0 if most_bytes is None else most_bytes + 1)
            if most_bytes is not None and len(made) > most_bytes:
                raise OversizedBody(most_bytes)
            if not inflating.eof:
                raise EOFError(f"a body in {coding} ends early")
            return made
        case other:
            raise ValueError(f"the body is coded as {other!r}, which was not asked for")


def _is_said_to_end(response: aiohttp.ClientResponse, most_bytes: int) -> bool:
    """Whether the head bounds the body."""
    stated = response.content_length
    if stated is None or "Transfer-Encoding" in response.headers:
        return False
    if stated > most_bytes:
        raise OversizedBody(most_bytes)
    return True
