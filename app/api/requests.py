"""What a route learns of its request: the service behind it, its headers, who sent it.

And what that caller may see, by its API key. All work for a request ends when its time is over, or
its client has left.
"""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from difflib import get_close_matches
from typing import Final, Protocol, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from sluice.errors import QueryError

from ..admission import client_at
from ..catalog.configuration import Key, Keys
from ..catalog.entry import LONGEST_ID, DatasetEntry
from ..catalog.globs import GroupTree
from ..catalog.opened import Opened
from ..errors import DeadlineExceeded, Forbidden, Unauthorized, UnknownDataset
from .state import Service

# Where the key of a request is kept, once it was looked for.
KEY: Final = "sluice.key"
# How alike a name must be that is offered in the place of an unknown one.
_CLOSE: Final = 0.75

_HOW: Final = "send yours as `Authorization: Bearer KEY` or `X-API-Key: KEY`"


class Drain(Protocol):
    """Whether the server that asks us was told to stop, and whether it has begun to."""

    told: bool
    began: bool


def service(request: Request) -> Service:
    """The service that this request came to."""
    serving: Service | None = request.scope["app"].service
    if serving is None:
        raise RuntimeError(
            "the application is asked outside of its lifespan; that of a mounted application is"
            " entered by whoever mounts it: `async with app.router.lifespan_context(app)`"
        )
    return serving


def stopping(scope: Scope) -> bool:
    """Whether the server behind `scope` has begun to stop."""
    # Our own server's protocol puts it there.
    drain: Drain | None = scope.get("state", {}).get("drain")
    return drain is not None and drain.began


def told_to_stop(scope: Scope) -> bool:
    """Whether the server behind `scope` was told to stop: a moment before it begins to."""
    drain: Drain | None = scope.get("state", {}).get("drain")
    return drain is not None and (drain.told or drain.began)


def lines_of(request: Request, name: bytes) -> list[str]:
    """All lines of the header of this `name`, which is in small letters."""
    return [str(value, "latin-1") for key, value in request.scope["headers"] if key == name]


def header_of(request: Request, name: bytes) -> str | None:
    """The header of this `name` as if it were one line (RFC 9110, section 5.3); None without."""
    lines = lines_of(request, name)
    return ", ".join(lines) if lines else None


def caller(request: Request) -> str:
    """Who asks: ``key:NAME`` for the holder of a key, else whoever is at the client's address.

    Raises as `key_of` does.
    """
    key = key_of(request, service(request))
    if key is not None:
        return f"key:{key.name}"
    return client_at(request.client.host) if request.client else ""


def key_of(request: Request, serving: Service) -> Key | None:
    """The key that came with this request; None for none, and where the service has no keys.

    Raises Unauthorized for one that is not ours, whatever was asked for: who sends a key means to
    be known. Two different ones are a QueryError (RFC 6750, sections 2 and 3.1).
    """
    keys = serving.keys
    if not keys.valid:
        return None
    scope = request.scope
    if KEY not in scope:
        presented = _presented(scope)
        found = keys.find(presented) if presented else None
        if presented is not None and found is None:
            raise Unauthorized(f"The key is none of this service's; {_HOW}.")
        scope[KEY] = found
    key: Key | None = scope[KEY]
    return key


def _presented(scope: Scope) -> bytes | None:
    """The one key among the headers, as it is written there."""
    presented = set()
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            presented.add(value.strip())
        elif name == b"authorization":
            presented.add(_credential(value.strip()))
    if len(presented) > 1:
        raise QueryError(f"There are two different keys; {_HOW}, not both.")
    return presented.pop() if presented else None


def _credential(authorization: bytes) -> bytes:
    """The key in these credentials: a bearer's token, or the password of any user.

    Clients of the field know Basic alone, and files of passwords (RFC 6750, RFC 7617). Other
    schemes' credentials are no key, and no key is what they are answered as.
    """
    scheme, _, token = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return token.strip()
        case b"basic":
            try:
                return b64decode(token.strip(), validate=True).partition(b":")[2]
            except ValueError:
                return b""
        case _:
            return b""


def require_admin(request: Request) -> None:
    """Return if the request comes with a key that has the right to change the service.

    Raises Unauthorized without a key (a service without keys has nobody to let in), Forbidden for
    one without the right.
    """
    require_right(request, "admin")


def require_right(request: Request, right: str) -> None:
    """Return if the request comes with a key that has this right; raises as `require_admin`."""
    key = key_of(request, service(request))
    if key is None:
        raise Unauthorized(f"This needs a key with the right {right!r}; {_HOW}.", right=right)
    if not key.has_right(right):
        raise Forbidden(f"Your key lacks the right {right!r}.", right=right)


def visible_id(request: Request, serving: Service) -> str:
    """The dataset's id in the path of this request, if its caller may see that dataset.

    Raises Unauthorized where a key could help, so that without one nobody learns which datasets
    there are, and UnknownDataset, in the same words, for one that is hidden and one that is not.
    """
    dataset_id = str(request.path_params["dataset_id"])
    key = key_of(request, serving)
    catalog = serving.opened.catalog
    entry = catalog.entries.get(dataset_id) or catalog.expected(dataset_id)
    if entry is not None and may_see(serving, key, entry):
        return dataset_id
    if key is None and serving.keys:
        raise Unauthorized(f"This needs a key; {_HOW}.")
    raise UnknownDataset.named(dataset_id, meant_group(serving, key, dataset_id))


def visible_tree(request: Request, serving: Service) -> GroupTree | None:
    """The hierarchy whose entry has the id in the path, if the caller may see all of it."""
    tree = serving.catalog.trees.get(str(request.path_params["dataset_id"]))
    return tree if tree and may_see(serving, key_of(request, serving), tree.entry) else None


def meant_group(serving: Service, key: Key | None, dataset_id: str) -> str | None:
    """The group that somebody may mean by this id, who may see that group; None: no idea."""
    catalog = serving.catalog
    close = catalog.close_groups(dataset_id)
    visible = [name for name in close if may_see(serving, key, catalog.entries[name])]
    if dataset_id in catalog.trees:
        return visible[0] if visible else None  # there are groups, and no array beside them
    return next(iter(get_close_matches(dataset_id[:LONGEST_ID], visible, n=1, cutoff=_CLOSE)), None)


def visible_entries(request: Request) -> list[DatasetEntry]:
    """The datasets that the caller may see, in the catalog's order; raises as `key_of`."""
    serving = service(request)
    return list(seen_entries(serving, key_of(request, serving)))


def seen_entries(serving: Service, key: Key | None) -> Iterator[DatasetEntry]:
    """The datasets that the holder of `key` (None: anybody) may see, in the catalog's order."""
    return (entry for entry in serving.catalog.entries.values() if may_see(serving, key, entry))


def may_see(serving: Service, key: Key | None, entry: DatasetEntry) -> bool:
    """Whether the holder of `key` (None: anybody) may read this dataset, and know that it is."""
    return is_public(serving.keys, entry) or (key is not None and key.opens(entry))


def is_public(keys: Keys, entry: DatasetEntry) -> bool:
    """Whether anybody may read this dataset."""
    return entry.access == "public" or (entry.access is None and not keys.valid)


T = TypeVar("T")

# Where the first wait of a request leaves the time by which it must be answered.
_DEADLINE: Final = "sluice.deadline"


class Expired(Exception):
    """The time for something is over."""


class Deadline:
    """When work has to end: at its `end`, for want of progress, or because its client left."""

    def __init__(self, timeout: asyncio.Timeout, end: float) -> None:
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._end = end
        self.left = False

    def expect(self, seconds: float | None) -> None:
        """Progress is to come within so many seconds; None: by the end."""
        if not self.left:
            soon = self._end if seconds is None else self._loop.time() + seconds
            self._timeout.reschedule(min(soon, self._end))

    async def watch(self, receive: Receive) -> None:
        """End the work when its client leaves."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._timeout.reschedule(self._loop.time())


@asynccontextmanager
async def ending(receive: Receive, end: float) -> AsyncIterator[Deadline]:
    """The block is cancelled at `end` of the loop's time, or as its deadline says.

    The body of the request must have been read. Raises Expired, and Starlette's ClientDisconnect.
    """
    timeout = asyncio.timeout_at(end)
    deadline = Deadline(timeout, end)
    try:
        async with timeout:
            watching = asyncio.create_task(deadline.watch(receive))
            try:
                yield deadline
            finally:
                watching.cancel()
    except TimeoutError as error:
        # A store that times out raises a kind of its own, which is not ours to explain.
        if type(error) is not TimeoutError or not timeout.expired():
            raise
        if deadline.left:
            raise ClientDisconnect from None
        raise Expired from None


async def cancellable(
    request: Request, work: Coroutine[object, object, T], advice: Callable[[], str] = str
) -> T:
    """What `work` brings; it is cancelled when the deadline comes or the client leaves before.

    So everything is awaited that may take long. The deadline is that of the request, however many
    parts of it are awaited so; `advice` is told to who meets it. The body of the request must have
    been read. Raises DeadlineExceeded, and Starlette's ClientDisconnect.
    """
    admission = service(request).admission
    end = asyncio.get_running_loop().time() + admission.seconds
    deadline: float = request.scope.setdefault(_DEADLINE, end)
    try:
        async with ending(request.receive, deadline):
            return await work
    except Expired:
        admission.refuse("deadline")
        raise DeadlineExceeded(
            f"There was no answer within {admission.seconds:g} seconds, the most that a request may"
            f" take: ask for a smaller part.{advice()}",
            limit_seconds=admission.seconds,
        ) from None


async def opened_dataset(request: Request, serving: Service, dataset_id: str) -> Opened:
    """The dataset as requests get it now, opened if it is not open; raises what opening raises."""
    opened = serving.opened.current(dataset_id)
    if opened is None:
        opened = await cancellable(request, serving.opened.get(dataset_id))
    return opened
