"""Addresses of stores: how they are split, named and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import unquote, urlsplit

from sluice.aliases import Document
from sluice.errors import CatalogError, plain_words
from sluice.store.obstore_options import s3_store_options
from sluice.store.protocols import KIND_OF, LOCAL, REFERENCE, ROOTLESS, WEB
from sluice.store.references import checked_options, is_table

Engine = Literal["s3fs", "obstore"]

# `s3:/bucket`, `s3:bucket` and `simplecache::path` would otherwise pass for local paths. A drive's
# single letter, and a colon later in a path, are left alone.
_ALMOST_A_PROTOCOL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(?!//)([:/]?)")


def split_url(url: str) -> tuple[str, str]:
    """Protocol and path of `url`; a plain path is ``file``."""
    protocol, mark, path = url.partition("://")
    return (protocol, path) if mark else ("file", url)


def split_document(address: str) -> tuple[str, str]:
    """URL of the folder of the document at `address`, and the document's name in it."""
    # The query of a web address goes with each name, and names are quoted when they are asked for.
    web = split_url(address)[0] in WEB
    path, mark, query = address.partition("?") if web else (address, "", "")
    folder, slash, name = path.rpartition("/")
    if not slash:
        return ".", name
    if web:
        return f"{folder}{mark}{query}", unquote(name)
    # The slash of a root belongs to it: `/refs.json` is not in the working directory.
    return (f"{folder}/" if not folder or folder.endswith("/") else folder), name


def store_key(url: str, storage_options: Document) -> str:
    """One key for all URLs that fail together: those of one bucket or host with one set of options.

    It holds the options, secrets and all, and is never to be shown.
    """
    protocol, path = split_url(url)
    place = path if protocol in (*LOCAL, *ROOTLESS) else path.partition("/")[0]
    options = json.dumps(storage_options, sort_keys=True, default=repr)
    return f"{protocol}://{place} {options}"


def store_label(url: str) -> str:
    """The bucket or host of `url`, as metrics name it: without path and secrets."""
    protocol, path = split_url(url)
    if protocol in (*LOCAL, *ROOTLESS):
        return protocol
    return f"{protocol}://{path.partition('/')[0].rpartition('@')[2]}"


def check_url(url: str, storage_options: Document, engine: Engine) -> None:
    """Refuse what no store can be found with, whatever the network and the disk hold.

    Looks at the words alone: imports no engine, opens nothing. Which package an engine needs, and
    whether it takes each of its options, shows when the store is opened.

    Raises:
        CatalogError: carries the field that is wrong, and never shows the URL, which may hold
            secrets.
    """
    protocol = _checked_address(url, "url")
    match engine:
        case "s3fs":
            pass
        case "obstore":
            if not KIND_OF[protocol].by_obstore:
                raise CatalogError(
                    f"the obstore engine serves s3://, not {protocol}://", field="engine"
                )
            _check_obstore_options(storage_options)
        case _:
            raise CatalogError(
                f"engine {engine!r} is unknown; known are s3fs, obstore", field="engine"
            )
    if protocol == REFERENCE:
        _check_references(storage_options)


def check_protocol(protocol: str, field: str) -> None:
    """Refuse a protocol that no filesystem here serves; ``reference`` is not one of them.

    Raises:
        CatalogError: lists the known ones.
    """
    kind = KIND_OF.get(protocol)
    if kind is None or kind.connect is None:
        known = ", ".join(f"{name}://" for name in sorted(KIND_OF))
        shown = protocol if protocol.isprintable() else ascii(protocol)[1:-1]
        raise CatalogError(f"{shown}:// is unknown; known are {known}", field=field)


def check_target_protocol(protocol: str) -> None:
    """Refuse a protocol by which no reference can be read.

    Raises:
        CatalogError: lists the known ones.
    """
    if "::" in protocol:
        shown = protocol if protocol.isprintable() else ascii(protocol)[1:-1]
        raise CatalogError(f"the references use chained addresses ({shown}://), which are not read")
    if protocol == REFERENCE:
        raise CatalogError("references cannot be read through references")
    check_protocol(protocol, "storage_options.fo")


def _checked_address(url: str, field: str) -> str:
    """The protocol of `url`, once the URL names something."""
    _check_text(url, field)
    _check_form(url, field)
    protocol, path = split_url(url)
    if protocol != REFERENCE:
        check_protocol(protocol, field)
    _check_place(protocol, path, url, field)
    return protocol


def _check_text(url: str, field: str) -> None:
    if not url.strip():
        raise CatalogError("the address is blank", field=field)
    if "\0" in url:
        raise CatalogError("no address has a NUL character in it", field=field)


def _check_form(url: str, field: str) -> None:
    almost = _ALMOST_A_PROTOCOL.match(url)
    if almost is None:
        return
    name, next_character = almost.groups()
    if next_character == ":":
        raise CatalogError(f"chained addresses ({name}::) are not served", field=field)
    if next_character == "/" or name.lower() in KIND_OF:
        raise CatalogError(
            f"{name}:{next_character} is neither a protocol nor a path: "
            f"a protocol is written {name}://, a path of that name ./{name}:",
            field=field,
        )


def _check_place(protocol: str, path: str, url: str, field: str) -> None:
    match KIND_OF[protocol].needs:
        case "":
            return
        case "host":
            named = _host(url, field)
        case "path":
            named = path
        case "bucket":
            named = path.partition("/")[0]
    if not named.strip():
        raise CatalogError(f"{protocol}:// needs a {KIND_OF[protocol].needs} after it", field=field)


def _host(url: str, field: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # looked at for its ValueError alone
    except ValueError as error:
        raise CatalogError("the host or its port is malformed", field=field) from error
    return parts.hostname or ""


def _check_references(options: Document) -> None:
    field = "storage_options.fo"
    match checked_options(options)["fo"]:
        case str() as table if is_table(table):
            # fsspec opens tables itself, from wherever it can.
            _check_text(table, field)
        case str() as document:
            _check_text(document, field)
            if _checked_address(split_document(document)[0], field) == REFERENCE:
                raise CatalogError("references cannot be read through references", field=field)
        case Mapping():
            pass
        case other:
            raise CatalogError(
                f"references are an address or a mapping, not {type(other).__name__}", field=field
            )
    _check_remote(options)


def _check_remote(options: Document) -> None:
    match options.get("remote_protocol"):
        case None | "":
            pass
        case str() as remote:
            check_protocol(remote, "storage_options.remote_protocol")
        case other:
            raise CatalogError(
                f"a protocol is text, not {type(other).__name__}",
                field="storage_options.remote_protocol",
            )
    for name in ("remote_options", "target_options"):
        if not isinstance(options.get(name) or {}, Mapping):
            raise CatalogError(
                "the options of a filesystem are a mapping", field=f"storage_options.{name}"
            )


def _check_obstore_options(options: Document) -> None:
    try:
        s3_store_options(options)
    except (TypeError, ValueError, OverflowError) as error:
        raise CatalogError(
            f"an option has a value that obstore cannot have: {plain_words(str(error))}",
            field="storage_options",
        ) from error
