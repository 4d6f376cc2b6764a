"""The response of a selection: which bytes it will be, what is said of them, and who has it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

import xarray as xr
from fastapi import Request, Response

from sluice import __version__
from sluice.aliases import record
from sluice.encoders.encoder import Encoder
from sluice.encoders.formats import compress_pieces, negotiate_coding
from sluice.instrumentation import Phases

from ..catalog.entry import DatasetEntry
from ..catalog.opened import Opened
from ..errors import PreconditionFailed
from .requests import caller, header_of, is_public
from .response_bodies import (
    PIECE_BYTES,
    BackpressureResponse,
    ByteCounter,
    LongBody,
    Piece,
    RawHeader,
    RawHeaders,
)
from .state import Service
from .streaming import StreamedFile, StreamedRows

_TAG = re.compile(r'(?:W/)?("[^"]*+")')
_STRONG_TAG = re.compile(r'(?:^|[,\s])("[^"]*+")')


def entity_tag(shared: str, own: str) -> str:
    """A strong tag of everything that an answer's bytes follow from; other parts, another tag.

    `shared` is the `digest` of what many answers have in common; `own` is what each has besides, in
    signs that a tag may have.
    """
    return f'"{shared}.{own}"'


def spelled(value: Hashable) -> bytes:
    """Texts, numbers and tuples of them as Python spells them: ("ab", "c") is not ("a", "bc")."""
    return repr(value).encode()


def digest(spelled: bytes) -> str:
    """A few signs in place of a long text; no two texts have the same."""
    return blake2b(spelled, digest_size=16).hexdigest()


def is_matched(if_match: Iterable[str], tag: str) -> bool:
    """Whether lines of an ``If-Match`` header name the strong `tag`, or any (``*``)."""
    return any(line.strip() == "*" or tag in _STRONG_TAG.findall(line) for line in if_match)


def is_not_modified(if_none_match: Iterable[str], tag: str) -> bool:
    """Whether lines of an ``If-None-Match`` header name `tag`, which exists, or any (``*``)."""
    return any(line.strip() == "*" or tag in _TAG.findall(line) for line in if_none_match)


# What is there in one piece is sent so, unless it is longer than a piece of a stored value.
_UNCUT_BYTES: Final = 4 * 2**20
# Directives that allow shared caches to keep an answer, or tell them how (`private` is put first).
_DIRECTIVE: Final = re.compile(r'(?:[^,"]|"[^"]*")+')
_SHARED: Final = ("private", "public", "s-maxage", "proxy-revalidate")
# Of answers that depend on who asks, and hold nothing but names.
PRIVATE: Final = {"Cache-Control": "private, no-cache", "Vary": "Authorization, X-API-Key"}

# What is kept of the part of a tag that many answers share, besides the signs of its names.
_DIGEST_BYTES: Final = 512
_SIGN_BYTES: Final = 4

# What a request chooses: what many choose alike, and in a few signs where that leads this one.
SelectionKey: TypeAlias = tuple[Hashable, str]


@record
class Representation:
    """The form that an answer will have, known before anything is read."""

    opened: Opened
    encoder: Encoder
    coding: str | None

    def tag(self, key: SelectionKey) -> str:
        """The entity tag: of what the dataset is, what the `key` chooses of it, and the form."""
        chosen, own = key
        common = (self.encoder.media_type, self.coding, chosen, self.encoder.writer)
        shared = self.opened.tag_digests.get(common)
        if shared is None:
            text = spelled((self.opened.identity, *common, __version__))
            shared = digest(text)
            self.opened.tag_digests.put(common, shared, _DIGEST_BYTES + _SIGN_BYTES * len(text))
        return entity_tag(shared, own)

    def plain_tag(self, key: SelectionKey) -> str:
        """The tag that the answer has without a content coding."""
        return (self if self.coding is None else replace(self, coding=None)).tag(key)

    def pieces(self, dataset: xr.Dataset, form: Hashable, counted: ByteCounter) -> Iterator[Piece]:
        """The answer that `dataset` is, in pieces of a few milliseconds of work each.

        They are `counted` before any coding; for `form` see `FragmentCache`.
        """
        pieces = self.encoder.pieces(dataset, self.opened.fragments, form)
        pieces = counted.through(pieces)
        return pieces if self.coding is None else compress_pieces(self.coding, pieces)

    def headers(self, key: SelectionKey) -> RawHeaders:
        """What the answer says of its form, whether or not its body is sent."""
        headers = [(b"content-type", self.encoder.media_type.encode())]
        if self.coding is not None:
            headers.append((b"content-encoding", self.coding.encode()))
        if not self.encoder.media_type.partition(";")[0].endswith(("/json", "+json")):
            file = file_name(self.opened.entry.id, key, self.encoder.suffix)
            # A picture is shown where it is linked to; everything else is saved.
            shown = "inline" if self.encoder.media_type.startswith("image/") else "attachment"
            headers.append((b"content-disposition", f'{shown}; filename="{file}"'.encode()))
        return headers


def file_name(dataset_id: str, key: SelectionKey, suffix: str) -> str:
    """A file's name of at most 80 letters: the same for the same part of a dataset, at any time.

    Ids have no letter that a file system minds.
    """
    part = blake2b(repr((dataset_id, key)).encode(), digest_size=5).hexdigest()
    return f"{dataset_id[:60]}-{part}{suffix}"


def accepted_coding(request: Request) -> str | None:
    """The content coding that the client likes best of those that we have, for large answers."""
    return negotiate_coding(header_of(request, b"accept-encoding"))


async def respond(
    request: Request,
    serving: Service,
    representation: Representation,
    key: SelectionKey,
    phases: Phases,
    make: Callable[[], Awaitable[bytes | LongBody | StreamedFile | StreamedRows]],
    size: Callable[[], Awaitable[int | None]] | None = None,
) -> Response:
    """The answer with the body that `make` makes, which it does only if a body is wanted.

    Its tag is of all that `key` holds of the answer.

    A HEAD, and a GET of what the client has already, end before anything is read; `size` says how
    long a file will be. What answers a POST cannot be asked for again by its URL: no tag, and
    nothing to keep.
    """
    headers: RawHeaders = []
    if representation.opened.freshness.unreachable:
        headers.append((b"x-sluice-store", b"unreachable"))
    tag: str | None = None
    if request.method == "POST":
        headers.append((b"cache-control", b"no-store"))
    else:
        tag = representation.tag(key)
        weak = representation.opened.entry.rewritten
        headers.append((b"etag", f"W/{tag}".encode() if weak else tag.encode()))
        headers += caching(serving, representation.opened.entry, "Accept, Accept-Encoding")
        if is_known(request, tag, weak=weak):
            return RawResponse(304, [*headers, timing(phases)])
        if weak:
            # Parts of two moments would be put together (RFC 9110, section 13.1.5).
            tag = None
        elif representation.coding is None and (
            representation.encoder.file is not None or representation.encoder.spooled
        ):
            headers.append((b"accept-ranges", b"bytes"))
        if request.method == "HEAD":
            headers += [
                *representation.headers(key),
                *await _length(representation, size),
                timing(phases),
            ]
            return RawResponse(200, headers)
    content = await make()
    headers += (*representation.headers(key), timing(phases))
    if isinstance(content, StreamedFile | StreamedRows):
        return await content.response(request, headers, tag)
    return body_response(request, serving, headers, content)


def is_known(request: Request, tag: str, *, weak: bool) -> bool:
    """Whether the client has the answer of this tag already (RFC 9110, section 13.2.2).

    Raises PreconditionFailed where it asks for another one.
    """
    required: list[str] = []
    known: list[str] = []
    for name, value in request.scope["headers"]:
        if name == b"if-none-match":
            known.append(value.decode("latin-1"))
        elif name == b"if-match":
            required.append(value.decode("latin-1"))
    # Of rewritten chunks nobody knows whether they are the ones that were meant.
    if required and not is_matched(required, "" if weak else tag):
        raise PreconditionFailed("The answer is not the one that If-Match names.", etag=tag)
    return bool(known) and is_not_modified(known, tag)


def body_response(
    request: Request,
    serving: Service,
    headers: RawHeaders,
    content: bytes | LongBody,
    status: int = 200,
) -> Response:
    """The answer with a body that is there."""
    headers.append((b"content-length", str(len(content)).encode()))
    if isinstance(content, bytes):
        if len(content) <= PIECE_BYTES:
            return RawResponse(status, headers, content)
        if len(content) > _UNCUT_BYTES:
            content = LongBody([content], len(content))
    return BackpressureResponse(status, headers, content, caller(request), serving.admission)


async def _length(
    representation: Representation, size: Callable[[], Awaitable[int | None]] | None
) -> RawHeaders:
    """How long the body will be, where that is known before it is made."""
    found = None if size is None or representation.coding is not None else await size()
    return [] if found is None else [(b"content-length", str(found).encode())]


class RawResponse(Response):
    """A response that says what it is told to say, and nothing that Starlette would find out."""

    def __init__(self, status: int, headers: RawHeaders, content: bytes = b"") -> None:
        self.status_code = status
        self.raw_headers = headers
        self.body = content
        self.background = None


def timing(phases: Phases) -> RawHeader:
    return b"server-timing", phases.server_timing().encode()


def caching(serving: Service, entry: DatasetEntry, vary: str = "") -> tuple[RawHeader, ...]:
    """Who may keep an answer from this dataset, and which of the request's headers chose it.

    Without a ``Cache-Control`` of its own caches ask again, which a tag makes cheap. What not
    everybody may read is kept by nobody but who asked (RFC 9111, section 5.2.2.7).
    """
    return _caching(is_public(serving.keys, entry), entry.cache_control or "no-cache", vary)


# The entries of a catalog have few of these.
@lru_cache(maxsize=256)
def _caching(public: bool, control: str, vary: str) -> tuple[RawHeader, ...]:
    if not public:
        vary = ", ".join(filter(None, (vary, PRIVATE["Vary"])))
        control = _private(control)
    varied = ((b"vary", vary.encode("latin-1")),) if vary else ()
    return *varied, (b"cache-control", control.encode("latin-1"))


def _private(control: str) -> str:
    """A ``Cache-Control`` with nothing in it that is for shared caches."""
    told = [part.strip() for part in _DIRECTIVE.findall(control)]
    kept = [part for part in told if part.partition("=")[0].lower() not in _SHARED]
    return ", ".join(["private", *filter(None, kept)])
