"""kerchunk reference sets: one document that says where each key's bytes are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsspec.asyn import AsyncFileSystem
from fsspec.implementations.reference import ReferenceFileSystem

from app.errors import CatalogError, MetadataError, StoreError
from app.store.blocking import Calls
from app.store.failures import failure_of, redacted

KNOWN_OPTIONS = ("fo", "remote_options", "remote_protocol", "target_options")


def checked_options(options: Mapping[str, Any]) -> Mapping[str, Any]:
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
    return options


def is_table(fo: Any) -> bool:
    """Whether the references are a directory of Parquet files rather than a JSON document."""
    return isinstance(fo, str) and (
        fo.rstrip("/").endswith((".parq", ".parquet")) or fo.endswith("/")
    )


async def reference_filesystem(
    references: Mapping[str, Any] | str,
    default: AsyncFileSystem,
    *,
    target_options: Mapping[str, Any] | None = None,
    calls: Calls,
) -> ReferenceFileSystem:
    """The references over `default`, the filesystem of targets without a protocol.

    A mapping is a parsed document; a string is the address of a Parquet table, which fsspec opens
    itself (blocking, hence by `calls`). Other targets' filesystems go into `fss` afterwards.

    Raises:
        StoreError: the table cannot be read.
        CatalogError: a package that this kind of reference set needs is not installed.
        MetadataError: the document does not follow kerchunk's specification.
    """

    def make() -> ReferenceFileSystem:
        options: dict[str, Any] = {"fs": {None: default}, "asynchronous": True}
        if isinstance(references, str):
            fs = ReferenceFileSystem(references, target_options=target_options, **options)
            fs.references.setup()  # else an absent table would read as one without keys
            return fs
        # Generated references are left out, silently, unless templates are rendered in full.
        simple = not references.get("gen")
        return ReferenceFileSystem(dict(references), simple_templates=simple, **options)

    try:
        return await calls.run(_named(references), make)
    except StoreError:
        raise
    except OSError as error:
        doing = f"reading the references {redacted(_named(references))}"
        raise failure_of(error, doing=doing) from error
    except ImportError as error:
        raise CatalogError(f"These references need a package: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MetadataError(f"The references cannot be understood: {error!r}") from error


def _named(references: Mapping[str, Any] | str) -> str:
    return references if isinstance(references, str) else "references"


def target_protocols(fs: ReferenceFileSystem) -> set[str]:
    """The protocols of all targets of a parsed document."""
    targets = (part[0] for part in fs.references.values() if isinstance(part, list) and part[0])
    return {target.partition("://")[0] for target in targets if "://" in target}
