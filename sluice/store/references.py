"""kerchunk reference sets: a document, or a Parquet table, that says where each key's bytes are."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, TypeAlias, TypeGuard

from fsspec.implementations.reference import LazyReferenceMapper, ReferenceFileSystem

from sluice.aliases import Array, Document
from sluice.errors import (
    CatalogError,
    MetadataError,
    StoreError,
    StoreMissing,
    StoreOversized,
    redacted,
)
from sluice.store.blocking import Calls
from sluice.store.documents import check_compression, decompressed, json_object
from sluice.store.failures import failure_of

# Documents up to this size are read at any time; of longer ones one at a time.
_SMALL_BYTES: Final = 8 * 2**20

KNOWN_OPTIONS = ("fo", "remote_options", "remote_protocol", "target_options")

# Inline text, or a target's address with or without an offset and a size.
Reference: TypeAlias = str | list[object]


@dataclass(frozen=True, slots=True)
class Malformed:
    """In place of the target of a reference that is not valid: `why` it is not."""

    why: str


_TEMPLATE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def checked_options(options: Document) -> Document:
    """`options`, once they are those of a ``reference://`` entry.

    Raises:
        CatalogError: `fo` is absent or lacks what goes with it, or an option is unknown.
    """
    for name in options:
        if name not in KNOWN_OPTIONS:
            raise CatalogError(
                f"storage_options.{name} is unknown for reference://; "
                f"it knows {', '.join(KNOWN_OPTIONS)}",
                field=f"storage_options.{name}",
            )
    if not options.get("fo"):
        raise CatalogError(
            "reference:// needs storage_options.fo, the address of the references",
            field="storage_options.fo",
        )
    if is_table(options["fo"]) and not options.get("remote_protocol"):
        # To find it in the table would mean reading all of it.
        raise CatalogError(
            "References in Parquet need storage_options.remote_protocol",
            field="storage_options.remote_protocol",
        )
    if isinstance(target := options.get("target_options"), Mapping):
        check_compression(target.get("compression"))
    return options


def is_table(fo: object) -> TypeGuard[str]:
    """Whether the references are a directory of Parquet files rather than a JSON document."""
    return isinstance(fo, str) and (
        fo.rstrip("/").endswith((".parq", ".parquet")) or fo.endswith("/")
    )


async def table_filesystem(address: str, options: Document, calls: Calls) -> ReferenceFileSystem:
    """The references in the Parquet table at `address`, which fsspec opens with `options`.

    Raises:
        StoreError: the table cannot be read.
        CatalogError: a package that it needs is not installed.
        MetadataError: it is no such table.
    """

    def make() -> ReferenceFileSystem:
        fs = ReferenceFileSystem(
            address, target_options=dict(options), fs={None: None}, asynchronous=True
        )
        fs.references.setup()  # else an absent table would read as one without keys
        _mark_missing(fs.references)
        return fs

    try:
        return await calls.run(address, make)
    except StoreError:
        raise
    except OSError as error:
        raise failure_of(error, doing=f"reading the references {redacted(address)}") from error
    except ImportError as error:
        raise CatalogError(
            "References in Parquet need a package that reads it: pip install fastparquet pandas"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MetadataError(
            f"{redacted(address)} is no table of references in Parquet, as kerchunk writes it."
        ) from error


def _mark_missing(table: LazyReferenceMapper) -> None:
    """Make `table` read absent paths as None.

    With PyArrow installed pandas reads them as NaN, which fsspec takes for a path.
    """
    read = table.open_refs

    @lru_cache(maxsize=int(table.cache_size))
    def open_refs(field: str, record: int) -> dict[str, Array] | None:
        found: dict[str, Array] | None = read(field, record)
        paths = None if found is None else found.get("path")
        if paths is not None and paths.dtype == object:
            paths[paths != paths] = None
        return found

    table.open_refs = open_refs


class ReferenceDocuments:
    """Opens JSON documents of references, of at most `most_bytes` once decompressed.

    One at a time is parsed, and one at a time of the long ones is read: they take much memory.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._large = asyncio.Lock()
        self._parsing = asyncio.Lock()

    async def given(self, document: Document) -> ReferenceFileSystem:
        """The references of a document that stands in the catalog entry itself."""
        return await asyncio.to_thread(_filesystem, document)

    async def read(
        self,
        read: Callable[[int], Awaitable[bytes | None]],
        shown: str,
        compression: str | None,
    ) -> ReferenceFileSystem:
        """The references of the document that ``read(most_bytes)`` brings.

        `shown` is its address for messages.

        Raises:
            StoreMissing: there is none.
            MetadataError: it is no JSON, too large, or does not follow kerchunk's specification.
        """
        opened = partial(self._opened, read, shown, compression)
        if self._most_bytes <= _SMALL_BYTES:
            return await opened(self._most_bytes)
        try:
            return await opened(_SMALL_BYTES)
        except StoreOversized:
            # Only now is it known to be long; many such at once would fill the memory.
            async with self._large:
                return await opened(self._most_bytes)

    async def _opened(
        self,
        read: Callable[[int], Awaitable[bytes | None]],
        shown: str,
        compression: str | None,
        stored_bytes: int,
    ) -> ReferenceFileSystem:
        """The references of the document, which has at most `stored_bytes` in the store."""
        document = await read(stored_bytes)
        if document is None:
            raise StoreMissing(f"There is no reference document at {shown}.")
        name = f"the reference set {shown}"

        def make() -> ReferenceFileSystem:
            most = self._most_bytes
            text = decompressed(document, name, compression=compression, most_bytes=most)
            return _filesystem(json_object(text, name))

        async with self._parsing:
            return await asyncio.to_thread(make)


def _filesystem(document: Document) -> ReferenceFileSystem:
    """The references of a parsed document; slow, so called in a thread.

    The filesystem only holds them: it has no other one to read targets with. An invalid reference
    fails when it is read (see `Malformed`), as one does whose target is gone; others are read.
    """
    return ReferenceFileSystem(expanded(document), fs={None: None}, asynchronous=True)


def expanded(document: Document) -> dict[str, Reference]:
    """The references of a document by key, with its templates filled in.

    A template is a name that stands for a text; nothing in a document is ever evaluated.
    (https://fsspec.github.io/kerchunk/spec.html, versions 0 and 1; ``gen`` and templates with
    expressions are refused.)

    Raises:
        MetadataError: it does not follow the specification as a whole, or would have to be
            evaluated.
    """
    version = document.get("version")
    if version not in (None, 1):
        raise MetadataError(f"the references are of version {json.dumps(version)}; 1 is known")
    if document.get("gen"):
        raise MetadataError(
            "the references have rules that generate others (gen), and expressions in documents "
            "are never run: write each reference out, as save_json of fsspec's references does"
        )
    refs = document.get("refs", {}) if version == 1 or "refs" in document else document
    if not isinstance(refs, Mapping):
        raise MetadataError("'refs' in the references is not a JSON object")
    templates = _templates(document.get("templates") or {}) if refs is not document else {}
    return {str(key): _reference(value, templates) for key, value in refs.items()}


def _templates(given: object) -> Mapping[str, str]:
    if not isinstance(given, Mapping):
        raise MetadataError("'templates' in the references is not a JSON object")
    for name, text in given.items():
        if not isinstance(text, str) or "{{" in text:
            raise MetadataError(
                f"the template {name!r} of the references is an expression, and those in documents "
                "are never run: write the addresses out"
            )
    return given


def _reference(value: object, templates: Mapping[str, str]) -> Reference:
    match value:
        case str():
            return value
        case Mapping():
            return json.dumps(value)
        case [None | str() as address] | [None | str() as address, None, None]:
            return [_filled(address, templates)]
        case [None | str() as address, first, length]:
            offset, size = _count(first), _count(length)
            if offset is not None and size is not None:
                return [_filled(address, templates), offset, size]
    return [Malformed("neither text nor an address, which offset and size may follow")]


def _count(number: object) -> int | None:
    """A count of bytes, however JSON spells it; None for what is none."""
    match number:
        case bool():
            return None
        case float() if number.is_integer() and number >= 0:
            return int(number)
        case int() if number >= 0:
            return number
        case _:
            return None


def _filled(address: str | None, templates: Mapping[str, str]) -> str | Malformed | None:
    """`address` with its templates filled in; without `templates` braces in it are ordinary."""
    if address is None or not templates or "{{" not in address:
        return address
    filled = _TEMPLATE.sub(lambda mark: templates.get(mark[1], mark[0]), address)
    if "{{" in filled:
        return Malformed(
            f"the address {redacted(address)[:200]!r}, which has more than names of templates in "
            "it, and expressions in documents are never run: write it out"
        )
    return filled


def protocols_of(fs: ReferenceFileSystem) -> set[str]:
    """The protocols of all targets of a parsed document, in small letters (RFC 3986, 3.1).

    It looks at each of what may be millions of references: slow, so called in a thread.
    """
    targets = (part[0] for part in fs.references.values() if isinstance(part, list))
    named = (target for target in targets if isinstance(target, str) and "://" in target)
    return {target.partition("://")[0].lower() for target in named}
