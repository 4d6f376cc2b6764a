"""What the references of a document may read: places below the roots of its catalog entry.

A document is data from somebody else, and each of its references is an address that this service
would read with its own rights. So each target is checked against the roots when it is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final, Self, TypeAlias
from urllib.parse import unquote

from yarl import URL

from sluice.aliases import Document
from sluice.errors import CatalogError, ReferenceRefused, StoreError, shown
from sluice.store.blocking import Calls
from sluice.store.failures import causes
from sluice.store.inner_network import INSIDE, names_inside
from sluice.store.protocols import BUCKETS, LOCAL, WEB, canonical
from sluice.store.readers import FilesystemReader, Redirected

MOST_REDIRECTS: Final = 10

FILE: Final = LOCAL[0]
KNOWN: Final = (FILE, *WEB, *BUCKETS, "memory")

# Options of a web filesystem that carry credentials, which no other host may receive.
_CREDENTIALS: Final = ("headers", "auth", "cookies")
# A path that is still quoted after so many rounds of unquoting is refused.
_UNQUOTED_MOST: Final = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where an address points: its protocol, host or bucket (empty: any), and the path there."""

    protocol: str
    holder: str
    path: str

    def holds(self, other: Place) -> bool:
        """Whether `other` is this place or lies below it; files are compared by `real_path`."""
        if (self.protocol, self.holder) != (other.protocol, other.holder):
            return False
        root = self.path.rstrip("/")
        return other.path.rstrip("/") == root or other.path.startswith(f"{root}/")

    @property
    def folder(self) -> str:
        """The address of the folder that it lies in."""
        path = self.path.rpartition("/")[0]
        if self.protocol == FILE:
            return path or "/"
        return f"{self.protocol}://{self.holder}{path}/"

    @property
    def is_inner(self) -> bool:
        """Whether its host lies inside this network, as far as its text tells."""
        return self.protocol in WEB and names_inside(re.sub(r":\d+$", "", self.holder))


def place_of(address: str, folder: str = "") -> Place:
    """The place of `address`; a relative path starts at `folder`.

    Raises:
        ValueError: it cannot be a target; the sentence says why.
    """
    protocol, mark, rest = address.partition("://")
    protocol = canonical(protocol) if mark else FILE
    if "\0" in address:
        raise ValueError("no address has a NUL character in it")
    if not mark and "::" in address.partition("/")[0]:
        raise ValueError("chained addresses are not served")
    if protocol == FILE:
        return Place(FILE, "", os.path.join(folder or os.getcwd(), rest if mark else address))
    if protocol not in KNOWN:
        chained = " (chained addresses are not served)" if "::" in protocol else ""
        raise ValueError(f"references cannot be read by {protocol}://{chained}")
    if _climbs(rest):
        raise ValueError("a path with '.' or '..' in it is not read")
    if protocol in WEB:
        return _web_place(address)
    if protocol == "memory":
        return Place(protocol, "", f"/{rest.lstrip('/')}")
    holder, _, path = rest.partition("/")
    # Azure's addresses may name the account behind the container; the account is the options'.
    return Place(protocol, holder.partition("@")[0] if protocol == "az" else holder, f"/{path}")


def _web_place(address: str) -> Place:
    url = URL(address)
    if url.host is None:
        raise ValueError("an address of the web needs a host")
    host = f"[{url.host}]" if ":" in url.host else url.host.rstrip(".")
    port = "" if url.is_default_port() else f":{url.port}"
    return Place(url.scheme, f"{host}{port}", url.raw_path)


def _climbs(path: str) -> bool:
    """Whether a part of `path` is ``.`` or ``..``, however often it is quoted."""
    for _ in range(_UNQUOTED_MOST):
        if {".", ".."} & set(path.partition("?")[0].replace("\\", "/").split("/")):
            return True
        path, before = unquote(path), path
        if path == before:
            return False
    return True


@dataclass(frozen=True, slots=True)
class Admitted:
    """A target that may be read: its address as the filesystem of its protocol takes it.

    It lies below a root that the entry has `named`. Otherwise it may lie anywhere outside of this
    network, and the connection must not lead to an inner address.
    """

    protocol: str
    address: str
    named: bool


@dataclass(frozen=True, slots=True)
class ReferenceRoots:
    """The roots of one document: `named` places, and protocols by which it may read `anywhere`.

    Relative paths in it start at `folder`, the first local root (of a local document: its own
    folder); addresses without a protocol have the protocol `default`.
    """

    named: tuple[Place, ...]
    anywhere: frozenset[str]
    folder: str
    default: str

    @classmethod
    def of(cls, options: Document, more: Iterable[str]) -> Self:
        """The roots of the document that the `options` name as `fo`, and `more` of its entry.

        Any document may read what lies beside it; a local one, or one within the entry itself, also
        buckets and the public web. A root in `more` that is a protocol alone (``https://``) stands
        for all addresses of that protocol but inner ones.
        """
        fo = options["fo"]
        own = [place] if isinstance(fo, str) and (place := _own_root(fo)) else []
        named = own + [place_of(root) for root in more if not _is_protocol(root)]
        anywhere = {canonical(root[:-3]) for root in more if _is_protocol(root)}
        if not isinstance(fo, str) or any(place.protocol == FILE for place in own):
            anywhere |= {*BUCKETS, *([] if _has_credentials(options) else WEB)}
        folders = [place.path for place in named if place.protocol == FILE]
        default = str(options.get("remote_protocol") or FILE)
        return cls(tuple(named), frozenset(anywhere), folders[0] if folders else "", default)

    def reaches(self, protocol: str) -> bool:
        """Whether anything at all may be read by `protocol`."""
        name = canonical(protocol)
        return name in self.anywhere or any(root.protocol == name for root in self.named)

    def admit(self, target: str) -> Admitted:
        """`target` as it may be read; a file has to pass `real_path` as well.

        Raises:
            ReferenceRefused: it lies below no root; names the root to add.
        """
        address = self._addressed(target)
        try:
            place = place_of(address, self.folder)
        except ValueError as error:
            raise ReferenceRefused(
                f"{shown(target)} is refused: {error}. Whoever made the document must fix it."
            ) from error
        if place.protocol == FILE:
            return Admitted(FILE, place.path, named=True)
        if place.protocol in BUCKETS:
            address = f"{place.protocol}://{place.holder}{place.path}"
        if any(root.holds(place) for root in self.named):
            return Admitted(place.protocol, address, named=True)
        if place.protocol not in self.anywhere:
            raise refusal(target, place)
        if place.is_inner:
            raise refusal(target, place, f"{place.holder} {INSIDE}")
        return Admitted(place.protocol, address, named=False)

    def _addressed(self, target: str) -> str:
        """`target` with its protocol in lower case, or else with the default protocol."""
        protocol, mark, rest = target.partition("://")
        if mark:
            return f"{protocol.lower()}://{rest}"
        return target if canonical(self.default) == FILE else f"{self.default}://{target}"

    def real_path(self, path: str) -> str:
        """The file that `path` leads to once its links are followed; a blocking call.

        Raises:
            ReferenceRefused: it lies below no root.
        """
        real = Place(FILE, "", os.path.realpath(path))
        roots = (root for root in self.named if root.protocol == FILE)
        if any(Place(FILE, "", os.path.realpath(root.path)).holds(real) for root in roots):
            return real.path
        raise refusal(path, real)


def refusal(target: str, place: Place, why: str = "") -> ReferenceRefused:
    """The error for a target outside the roots."""
    reason = why or "it lies below no root of the catalog entry"
    return ReferenceRefused(
        f"{shown(target)} is refused: {reason}. "
        f"If the document may be trusted with it, add {place.folder!r} to reference_roots.",
        root=place.folder,
    )


# From a protocol, and whether the entry names the place, to what reads addresses of that protocol.
Connect: TypeAlias = Callable[[str, bool], Awaitable[FilesystemReader]]


class RootedTargets:
    """Targets below the roots of a catalog entry: each is checked whenever it is read.

    So is each address that a web server redirects to. `connect` makes the readers.
    """

    def __init__(self, roots: ReferenceRoots, connect: Connect, calls: Calls) -> None:
        self._roots = roots
        self._connect = connect
        self._calls = calls

    async def read(
        self, target: str, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        for _ in range(1 + MOST_REDIRECTS):
            admitted = self._roots.admit(target)
            try:
                return await self._read(admitted, start, end, most_bytes)
            except Redirected as elsewhere:
                target = elsewhere.address
                if not target.lower().startswith(("http://", "https://")):
                    raise ReferenceRefused(
                        f"{shown(admitted.address)} redirects to {shown(target)}, which is no "
                        "address of the web."
                    ) from None
        raise StoreError(f"{shown(target)} is redirected more than {MOST_REDIRECTS} times.")

    async def _read(
        self, admitted: Admitted, start: int | None, end: int | None, most_bytes: int | None
    ) -> bytes:
        reader = await self._connect(admitted.protocol, admitted.named)
        address = admitted.address
        if admitted.protocol == FILE:
            address = await self._calls.run(address, self._roots.real_path, address)
        try:
            return await reader.read(address, start, end, most_bytes)
        except OSError as error:
            # The connection was refused in `outer_socket`, once the host's name was resolved.
            if admitted.named or not any(INSIDE in str(link) for link in causes(error)):
                raise
            place = place_of(address)
            raise refusal(address, place, f"{place.holder} {INSIDE}") from error


def check_root(root: str) -> None:
    """Refuse what cannot be a root of a catalog entry.

    Raises:
        CatalogError: says why, and does not show the root, which could hold a secret.
    """
    try:
        if not root.strip():
            raise ValueError("a root is an address or a path, not blank")
        if not _is_protocol(root):
            place_of(root)
    except ValueError as error:
        raise CatalogError(f"{error}", field="reference_roots") from error


def _is_protocol(root: str) -> bool:
    return root.endswith("://") and canonical(root[:-3]) in (*WEB, *BUCKETS)


def _own_root(fo: str) -> Place | None:
    """The folder of the document or table `fo`; None for an address that is no place."""
    try:
        place = place_of(fo)
    except ValueError:
        return None
    path = place.path.rstrip("/").rpartition("/")[0]
    return Place(place.protocol, place.holder, f"{path}/")


def _has_credentials(options: Document) -> bool:
    """Whether the options for web targets have credentials, which only named hosts may get."""
    remote = options.get("remote_options") or {}
    given = {*remote, *(remote.get("client_kwargs") or {})}
    return not given.isdisjoint(_CREDENTIALS)
