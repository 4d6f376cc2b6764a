"""What is sent over one connection: a request, several at once, or bytes that two servers might cut
into requests at different places (RFC 9112, section 11.2)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from loadtests.fuzz_requests import Request, requests

# Answers repeat the id of their request.
HIDDEN_ID = "hidden"
_HIDDEN = (
    b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Request-ID: %b\r\n\r\n"
    % HIDDEN_ID.encode()
)
_POST = b"POST /datasets/sample/isel HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
_BODY = b'{"time": 0, "explain": true}'
_SIZE = b"%x" % len(_BODY)
_CHUNKS = _SIZE + b"\r\n" + _BODY + b"\r\n0\r\n\r\n"
_LENGTH = b"Content-Length: %d\r\n" % len(_BODY)
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
# Two servers might find the body's end at different places: nothing that follows may be answered.
_DOUBTFUL = (
    _LENGTH + _CHUNKED,
    _CHUNKED + _LENGTH,
    _LENGTH + b"Content-Length: 5\r\n",
    b"Content-Length: %d, 5\r\n" % len(_BODY),
    b"Content-Length: +%d\r\n" % len(_BODY),
    b"Content-Length: 0x%b\r\n" % _SIZE,
    b"Content-Length: 2 8\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Content-Length:\r\n",
    _LENGTH.replace(b":", b" :"),
    _LENGTH.replace(b":", b"\0:"),
    _CHUNKED.replace(b":", b" :"),
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: gzip\r\n" + _CHUNKED,
    b"TE: gzip, chunked\r\n" + _CHUNKED,
    b"Transfer-Encoding: chunked, identity\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n",
    _CHUNKED + b"Transfer-Encoding: x\r\n",
    b"X: a\n" + _CHUNKED,
    b"X: a\r" + _CHUNKED,
    b"X: a\r\n " + _CHUNKED,
    _LENGTH + b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    _CHUNKED + b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
)
_DOUBTFUL_CHUNKS = (
    b"0x" + _CHUNKS,
    b"-" + _CHUNKS,
    b"+" + _CHUNKS,
    b"f" * 17 + _CHUNKS,
    _CHUNKS.replace(b"\r\n", b"\n"),
    _CHUNKS.replace(b"}\r\n", b"}"),
    _CHUNKS.replace(b"\r\n{", b";\n\r\n{"),
    _CHUNKS.replace(b"\r\n{", b" \r\n{"),
)
_GET = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
_DOUBTFUL_HEADS = (
    _GET.replace(b" ", b"  ", 1),
    _GET.replace(b" HTTP", b"  HTTP"),
    _GET.replace(b"1.1", b"1.1 "),
    _GET.replace(b" ", b"\t", 1),
    _GET.replace(b" HTTP", b"#part HTTP"),
    _GET.replace(b" HTTP", b"?a=b#part HTTP"),
    _GET.replace(b"\r\n", b"\n", 1),
    _GET.replace(b"\r\n", b"\r\n A: b\r\n", 1),
    b"\n" + _GET,
)
# Of chunks: what may stand behind a size, and behind the last one; the second of each pair may not.
_EXTENSIONS = (b"", b";a", b";a=b", b';a="b;c"', b";a;b=c"), (b";", b" ", b";a=", b";a b", b";a\n")
_TRAILERS = (
    (b"X-API-Key: a\r\n", b"Accept: text/csv\r\n", b"X-Forwarded-For: 203.0.113.9\r\n",
     b"X-Request-ID: trailer\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: x\r\n",
     b"A:\r\n"),
    (b"A\r\n", b" a\r\n", b"A : b\r\n", b"A: b\n", b"A: \0\r\n", b":\r\n", b"A: b\rC: d\r\n"),
)  # fmt: skip
# Rare, and as they should be: what follows is answered.
_RARE = (
    _LENGTH + b"Expect: 100-continue\r\n\r\n" + _BODY,
    b"transfer-ENCODING: Chunked\r\n\r\n" + _CHUNKS,
    _CHUNKED + b"\r\n" + _CHUNKS.replace(b"\r\n{", b';a=1;b="2"\r\n{').replace(b"\n0", b"\n00"),
    _CHUNKED + b"\r\n" + _CHUNKS.removesuffix(b"\r\n") + b"X-Trailer: 1\r\n\r\n",
    _CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % byte for byte in _BODY) + b"0\r\n\r\n",
)
_UPGRADE = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
# How a client begins that speaks HTTP/2 unasked (RFC 9113, section 3.4).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Talk:
    """All that a client sends before it reads, and the methods of the requests in it, in order.

    What comes has an answer to each, up to the first that the server refuses and hangs up on; none
    to a request with the `HIDDEN_ID` where the talk is `doubtful`.
    """

    sent: bytes
    methods: tuple[str, ...]
    doubtful: bool = False


def talks() -> st.SearchStrategy[Talk]:
    """Mostly one request."""
    one = requests().map(lambda request: Talk(request.encoded(), (_method(request),)))
    several = st.lists(requests(), min_size=2, max_size=5).map(_together)
    # Chosen first: `one_of` would count each way in which one request is made.
    return st.sampled_from([one] * 10 + [several, _framed(), _in_chunks()]).flatmap(lambda it: it)


def _together(several: list[Request]) -> Talk:
    """One after the other, without waiting for answers; the last one ends the connection."""
    *first, last = (replace(request, version=b"HTTP/1.1") for request in several)
    sent = [replace(request, last=False).encoded() for request in first]
    return Talk(b"".join([*sent, last.encoded()]), tuple(map(_method, several)))


def _method(request: Request) -> str:
    return request.method.decode("latin-1")


@st.composite
def _in_chunks(draw: st.DrawFn) -> Talk:
    """A body in chunks of any size, with extensions and trailers, one of which may be wrong."""
    wrong = draw(st.sampled_from(["", "", "extension", "trailer"]))
    cuts = draw(st.sets(st.integers(1, len(_BODY) - 1), max_size=8))
    ends = [*sorted(cuts), len(_BODY)]
    parts = [_BODY[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    extensions = [draw(st.sampled_from(_EXTENSIONS[0])) for _ in parts]
    trailers = draw(st.lists(st.sampled_from(_TRAILERS[0]), max_size=4))
    if wrong == "extension":
        extensions[-1] = draw(st.sampled_from(_EXTENSIONS[1]))
    elif wrong == "trailer":
        trailers.append(draw(st.sampled_from(_TRAILERS[1])))
    zeros = b"0" * draw(st.integers(0, 6))
    chunks = [
        b"%b%x%b\r\n%b\r\n" % (zeros, len(part), extension, part)
        for part, extension in zip(parts, extensions, strict=True)
    ]
    body = b"".join([*chunks, b"0\r\n", *trailers, b"\r\n"])
    sent = _POST + _CHUNKED + b"\r\n" + body + _HIDDEN
    return Talk(sent, ("POST", "GET"), doubtful=bool(wrong))


def _framed() -> st.SearchStrategy[Talk]:
    """A body that ends where nobody, or everybody, knows, and a request after it."""
    doubtful = [_POST + lines + b"\r\n" + _CHUNKS for lines in _DOUBTFUL]
    doubtful += [_POST + _CHUNKED + b"\r\n" + chunks for chunks in _DOUBTFUL_CHUNKS]
    found = [Talk(sent + _HIDDEN, ("POST", "GET"), doubtful=True) for sent in doubtful]
    found += [Talk(head + _HIDDEN, ("GET", "GET"), doubtful=True) for head in _DOUBTFUL_HEADS]
    found.append(Talk(_PREFACE + _HIDDEN, ("PRI", "GET"), doubtful=True))
    found += [Talk(_POST + rare + _HIDDEN, ("POST", "GET")) for rare in _RARE]
    return st.sampled_from([*found, Talk(_UPGRADE + _HIDDEN, ("GET", "GET"))])
