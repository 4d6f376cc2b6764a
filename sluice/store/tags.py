"""Values with the tags by which stores know them: one that is unchanged need not be sent again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Protocol, runtime_checkable

from sluice.store.source import ByteSource

# Web servers make tags of files out of their size and the second in which they were written: a
# value that is younger may be another one under the same tag (RFC 9110, 8.8.1 and 8.8.2.2).
SETTLED: Final = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A whole value and its entity tag (RFC 9110, 8.8.3); None: there is none to rely on."""

    data: bytes
    tag: str | None


@dataclass(frozen=True, slots=True)
class Unchanged:
    """In place of a value: the store still has the one whose tag it was shown."""


class NotModified(Exception):
    """The answer 304 to a read that showed a tag."""


@runtime_checkable
class TaggingSource(Protocol):
    """A `ByteSource` that may spare the reader a value that he has."""

    async def get_tagged(self, key: str, known: str | None = None) -> Tagged | Unchanged | None:
        """The whole value of `key`, unless it is still the one of the tag `known`; else as `get`.

        A key that is gone is None, whatever tag is shown.
        """
        ...


async def get_tagged(
    source: ByteSource, key: str, known: str | None = None
) -> Tagged | Unchanged | None:
    """What `source` says of `key`; of a source that knows no tags, the value."""
    if isinstance(source, TaggingSource):
        return await source.get_tagged(key, known)
    return await get_untagged(source, key)


async def get_untagged(source: ByteSource, key: str) -> Tagged | None:
    """The whole value of `key`, without a tag."""
    data = await source.get(key)
    return None if data is None else Tagged(data, None)


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
