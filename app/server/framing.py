"""Where heads and bodies of requests begin and end on a connection: RFC 9112, to the letter.

The parser behind this forgives what other servers read otherwise, and bounds nothing. It is given
heads of one form, and bodies without what came between their chunks and after them: extensions
and trailers have an end here, and go nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Final, NoReturn, Protocol

from ..errors import MalformedRequest

Headers = Sequence[tuple[bytes, bytes]]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_REQUEST_LINE: Final = re.compile(_TOKEN + rb" [!\"$-~]++ HTTP/[0-9]\.[0-9]\r\n")
_FIELD: Final = re.compile(_TOKEN + rb":[\t -~\x80-\xff]*+")
_HEAD: Final = re.compile(
    _REQUEST_LINE.pattern + rb"(?:" + _FIELD.pattern + rb"\r\n)*+\r\n",
)
_TRAILING_BLANKS: Final = re.compile(rb"[ \t]++\r\n")
_BLANK_LINES: Final = re.compile(rb"(?:\r\n)*+")
# What no head has in it; a CR at the end may still become a line's.
_STRAY: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r(?!\n|\Z)")
_HEAD_END: Final = b"\r\n\r\n"
# RFC 9112, section 7.1.1, without the blanks that only recipients of old forgive.
_CHUNK_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;" + _TOKEN + rb"(?:=(?:" + _TOKEN + rb'|"(?:[\t !#-\[\]-~\x80-\xff]'
    rb'|\\[\t -~\x80-\xff])*+"))?)*+'
)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")

# What frames a body may take its own bound, and this part of the body's bytes.
_FRAMED_PART: Final = 8
# What each line of it counts as at least.
_LEAST_LINE_BYTES: Final = 16


class Heads:
    """Cuts the heads of requests out of what a connection sends; holds one that has begun."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._held = b""
        # Of blank lines before the head, which are left out.
        self._blank_bytes = 0

    @property
    def begun(self) -> bool:
        """Whether a part of a head has come."""
        return self._held not in (b"", b"\r")

    def cut(self, data: bytes) -> tuple[bytes, bytes]:
        """The head that `data` completes, and what follows it; of a part of a head nothing.

        Raises MalformedRequest for what is no head, or is longer than one may be.
        """
        looked = max(0, len(self._held) - len(_HEAD_END) + 1)
        if self._held:
            data = self._held + data
        if data[:1] == b"\r" and (blank := _BLANK_LINES.match(data)):
            self._blank_bytes += blank.end()
            data, looked = data[blank.end() :], 0
        end = data.find(_HEAD_END, looked)
        size = end + len(_HEAD_END) if end >= 0 else len(data)
        if self._blank_bytes + size > self._most_bytes:
            self._refuse_size(data)
        if end < 0:
            self._check_part(data, looked)
            self._held = data
            return b"", b""
        head, self._held, self._blank_bytes = data[:size], b"", 0
        if not _HEAD.fullmatch(head):
            raise MalformedRequest(_flaw_of(head))
        if b" \r\n" in head or b"\t\r\n" in head:
            # No part of a value (RFC 9110, section 5.5), and the parser leaves some of them.
            head = _TRAILING_BLANKS.sub(b"\r\n", head)
        return head, data[size:]

    def _check_part(self, data: bytes, looked: int) -> None:
        """Raise for what can be no head whatever follows: nobody waits for the rest."""
        if _STRAY.search(data, looked) or (data and data != b"\r" and not data[:1].isalpha()):
            raise MalformedRequest(_flaw_of(data))

    def _refuse_size(self, data: bytes) -> NoReturn:
        line = data.find(b"\r\n")
        long_url = (len(data) if line < 0 else line) > self._most_bytes // 2
        what = "URL is" if long_url else "headers are"
        detail = f"The {what} longer than {self._most_bytes} bytes."
        raise MalformedRequest(detail, status=414 if long_url else 431)


def _flaw_of(head: bytes) -> str:
    """What keeps `head`, or its first part, from being one."""
    line, _, fields = head.partition(b"\r\n")
    if _STRAY.search(head):
        return "The head has a control character in it; its lines end with CRLF."
    if fields and not _REQUEST_LINE.fullmatch(line + b"\r\n"):
        if b"#" in line:
            return "The target has a fragment (#), the part of a URL that is not sent."
        if any(byte > 0x7F for byte in line):
            return "The first line has letters outside of ASCII: in a URL they are written as %XX."
        return "The first line is METHOD, target and version, with one blank between each two."
    if re.search(rb"\r\n[ \t]", head):
        return "A header goes on in a second line (obs-fold): write it in one."
    return "A line of the head is no NAME: VALUE with the colon right behind the name."


class Body(Protocol):
    """The rest of a request behind its head."""

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What the parser gets for `data`, and what follows the body; raises MalformedRequest."""


def body_of(headers: Headers, version: str, most_framing_bytes: int) -> Body | None:
    """The body that a head announces (RFC 9112, section 6.3), or None.

    Raises MalformedRequest where two readers might find its end at different places.
    """
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    lengths = [value for name, value in headers if name == b"content-length"]
    if not codings:
        return _measured(lengths)
    if lengths:
        raise MalformedRequest("A body has a Content-Length or a Transfer-Encoding, not both.")
    if version != "1.1":
        raise MalformedRequest(f"HTTP/{version} has no Transfer-Encoding.")
    *others, last = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")]
    if last != b"chunked" or b"chunked" in others:
        raise MalformedRequest("The last Transfer-Encoding, and no other one, is chunked.")
    if others:
        detail = "Transfer-Encoding: chunked is understood, and no coding before it."
        raise MalformedRequest(detail, status=501)
    return ChunkedBody(most_framing_bytes)


def _measured(lengths: Sequence[bytes]) -> MeasuredBody | None:
    if not lengths:
        return None
    if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
        raise MalformedRequest("Content-Length is one number of bytes, in digits.")
    length = int(lengths[0])
    return MeasuredBody(length) if length else None


class MeasuredBody:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def ended(self) -> bool:
        """Whether all of it has been read."""
        return not self._left

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """What of `data` is in the body, and what follows it."""
        part = data[: self._left]
        self._left -= len(part)
        return part, data[len(part) :]


class _Expected(Enum):
    SIZE = auto()
    END_OF_CHUNK = auto()
    TRAILER = auto()
    NOTHING = auto()


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1), made plain: extensions and trailers are dropped.

    What is not data (sizes, extensions, line ends, trailers) takes at most `most_framing_bytes`
    and an eighth of the data. Many small chunks are work too: none counts as nothing.
    """

    def __init__(self, most_framing_bytes: int) -> None:
        self._most_framing_bytes = most_framing_bytes
        self._framing_bytes = 0
        self._data_bytes = 0
        self._left = 0
        self._held = b""
        self._expected = _Expected.SIZE

    @property
    def ended(self) -> bool:
        """Whether all of it, trailers included, has been read."""
        return self._expected is _Expected.NOTHING

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """The data of what has come as one chunk for the parser, and what follows the body."""
        data, self._held = self._held + data, b""
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not self.ended:
            if self._left:
                part = data[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                self._data_bytes += len(part)
                continue
            end = data.find(b"\r\n", at)
            if end < 0:
                self._hold(data[at:])
                at = len(data)
                break
            self._read_line(data[at:end])
            at = end + 2
        plain = b"".join(parts)
        if plain:
            plain = b"%x\r\n%b\r\n" % (len(plain), plain)
        return (plain + b"0\r\n\r\n" if self.ended else plain), data[at:]

    def _hold(self, part: bytes) -> None:
        """Keep the beginning of a line."""
        if _STRAY.search(part) or (self._expected is _Expected.END_OF_CHUNK and part != b"\r"):
            raise MalformedRequest(_NO_CHUNK)
        self._check(len(part))
        self._held = part

    def _read_line(self, line: bytes) -> None:
        """Learn what a line that is not data says."""
        if self._expected is _Expected.END_OF_CHUNK:
            if line:
                raise MalformedRequest(_NO_CHUNK)
            self._expected = _Expected.SIZE
            return
        self._framing_bytes += max(len(line) + 2, _LEAST_LINE_BYTES)
        self._check(0)
        if self._expected is _Expected.SIZE:
            found = _CHUNK_LINE.fullmatch(line)
            if found is None:
                raise MalformedRequest(_NO_CHUNK)
            self._left = int(found[1], 16)
            self._expected = _Expected.END_OF_CHUNK if self._left else _Expected.TRAILER
        elif not line:
            self._expected = _Expected.NOTHING
        elif not _FIELD.fullmatch(line):
            raise MalformedRequest(_NO_CHUNK)

    def _check(self, held_bytes: int) -> None:
        most = self._most_framing_bytes + self._data_bytes // _FRAMED_PART
        if self._framing_bytes + held_bytes > most:
            what = "trailers" if self._expected is _Expected.TRAILER else "sizes and extensions"
            detail = (
                f"The {what} of the body's chunks take more than {self._most_framing_bytes} bytes"
                f" and an {_FRAMED_PART}th of its data."
            )
            raise MalformedRequest(detail, status=431)


_NO_CHUNK: Final = "A chunk of the body, or a trailer, is not written as RFC 9112 has it."


def names_chunked(name: bytes, value: bytes) -> bool:
    """Whether this header is a TE that names ``chunked``, as none may (RFC 9110, 10.1.4)."""
    codings = (coding.partition(b";")[0].strip(b" \t") for coding in value.lower().split(b","))
    return name == b"te" and b"chunked" in codings
