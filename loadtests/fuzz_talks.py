"""What is sent over one connection: a request, several at once, or bytes that two servers might cut
into requests at different places (RFC 9112, section 11.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from loadtests.fuzz_requests import Request, requests

# Answers repeat the id of their request: no answer may have this one.
HIDDEN_ID = "hidden"
_HIDDEN = (
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-ID: %b\r\n\r\n"
    % HIDDEN_ID.encode()
)
_POST = b"POST /datasets/sample/isel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_BODY = b'{"time": 0}'
_CHUNKS = b"b\r\n" + _BODY + b"\r\n0\r\n\r\n"
_LENGTH = b"Content-Length: 11\r\n"
# Lines that leave open where the body ends, or that no two servers read alike: whatever follows
# them must not be answered.
_DOUBTFUL = (
    _LENGTH + _CHUNKED,
    _CHUNKED + _LENGTH,
    _LENGTH + b"Content-Length: 5\r\n",
    b"Content-Length: 11, 5\r\n",
    b"Content-Length: +11\r\n",
    b"Content-Length: 0xb\r\n",
    b"Content-Length: 1 1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length:\r\n",
    b"Content-Length : 11\r\n",
    b"Content-Length\x00: 11\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    b"X: a\nTransfer-Encoding: chunked\r\n",
    b"X: a\rTransfer-Encoding: chunked\r\n",
)
_DOUBTFUL_CHUNKS = (
    b"0xb\r\n" + _BODY + b"\r\n0\r\n\r\n",
    b"-b\r\n" + _BODY + b"\r\n0\r\n\r\n",
    b"+b\r\n" + _BODY + b"\r\n0\r\n\r\n",
    b"f" * 17 + b"\r\n" + _BODY + b"\r\n0\r\n\r\n",
    b"b\n" + _BODY + b"\n0\n\n",
    b"b\r\n" + _BODY + b"0\r\n\r\n",
    b"b;\n\r\n" + _BODY + b"\r\n0\r\n\r\n",
)
# These are as they should be, if rare: both requests are answered.
_RARE = (
    _LENGTH + b"Expect: 100-continue\r\n\r\n" + _BODY,
    _LENGTH + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n" + _BODY,
    _LENGTH + b"Transfer-Encoding:\r\n\r\n" + _BODY,
    b"transfer-ENCODING: Chunked\r\n\r\n" + _CHUNKS,
    _CHUNKED + b"\r\nb;a=1;b=\"2\"\r\n" + _BODY + b"\r\n000\r\nX-Trailer: 1\r\n\r\n",
    _CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in _BODY) + b"0\r\n\r\n",
)


@dataclass(frozen=True, slots=True)
class Talk:
    """All that a client sends before it reads, and the methods of the requests in it, in order.

    `hidden` says that the last of them is none: a server that answers it was led astray.
    """

    sent: bytes
    methods: tuple[str, ...]


def talks() -> st.SearchStrategy[Talk]:
    """Mostly one request."""
    one = requests().map(lambda request: _together([request]))
    several = st.lists(requests(), min_size=2, max_size=5).map(_together)
    return st.one_of(*[one] * 10, several, _framed())


def _together(several: list[Request]) -> Talk:
    """One after the other, without waiting for answers."""
    *first, last = several
    sent = [replace(request, last=False).encoded() for request in first] + [last.encoded()]
    return Talk(b"".join(sent), tuple(request.method.decode("latin-1") for request in several))


def _framed() -> st.SearchStrategy[Talk]:
    doubtful = [_POST + lines + b"\r\n" + _CHUNKS for lines in _DOUBTFUL]
    doubtful += [_POST + _CHUNKED + b"\r\n" + chunks for chunks in _DOUBTFUL_CHUNKS]
    hidden = st.sampled_from(doubtful).map(lambda sent: Talk(sent + _HIDDEN, ("POST",)))
    ...
