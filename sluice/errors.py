"""What the library raises on purpose, as one tree.

    SluiceError                    carries a sentence and the facts behind it
    ├── QueryError                 a label or a name cannot be understood
    ├── SelectionError             understood, but this dataset cannot satisfy it
    ├── LimitError                 it would cost more than a limit allows
    ├── NotAcceptable              the format has no form for this dataset
    ├── CatalogError               what says where a store is, and how to read it, is wrong
    ├── NotLoaded                  a lazy variable was touched without awaiting it
    └── StoreError                 the store did not do its part
        ├── StoreRefused           credentials or permissions (also a PermissionError)
        ├── StoreMissing           bucket, root or store is not there (also a FileNotFoundError)
        ├── StoreTimeout           no answer in time (also a TimeoutError)
        ├── StoreFaltered          it hung up, sent too little, or answered that it cannot now
        │   └── StoreSlow          it answered that it is only slow
        ├── StoreOversized         a value has more bytes than it may
        ├── ReferenceRefused       a reference leads where the catalog entry does not let it
        ├── StoreUnavailable       it failed so often that its circuit is open
        ├── MetadataError          metadata documents absent or broken (also a ValueError)
        │   └── MisalignedGroup    a group does not fit those that it lies in
        ├── StoreTooLarge          its metadata asks for more than an opening may take
        └── CorruptChunk           a chunk does not decode to its declared shape

Nothing here knows HTTP. A missing *key* is never an error: sources answer ``None`` for it.
"""

from __future__ import annotations

from typing import Any


class SluiceError(Exception):
    """One sentence for people (`detail`) and plain values for programs (`facts`)."""

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def __str__(self) -> str:
        # KeyError and OSError, which some subclasses also are, would quote or number the text.
        return self.detail


class QueryError(SluiceError):
    """The request cannot be parsed: the text itself is wrong, whatever the dataset holds."""


class SelectionError(SluiceError):
    """The request was parsed, but this dataset has nothing that satisfies it."""


class LimitError(SluiceError):
    """The request would touch or return more than a limit allows; at most texts were read."""


class NotAcceptable(SluiceError):
    """None of the known formats is one that the client accepts."""


class CatalogError(SluiceError):
    """The catalog, or its keys, cannot be used; the sentence names the entry and the field."""


class NotLoaded(SluiceError, RuntimeError):
    """A lazy variable was read synchronously; the sentence says what to await instead."""


class StoreError(SluiceError):
    """The store failed, for a reason that is not the client's."""


class StoreRefused(StoreError, PermissionError):
    """The store refused the credentials or the permission."""


class StoreMissing(StoreError, FileNotFoundError):
    """The bucket, the root or the Zarr store itself is not there."""


class StoreTimeout(StoreError, TimeoutError):
    """The store did not answer in time."""


class StoreFaltered(StoreError):
    """The store, or the way to it, failed in a way that may pass: another try may succeed."""


class StoreSlow(StoreFaltered):
    """The store is well and asks for fewer requests just now.

    The fact `retry_after` is how many seconds it wants to be left, None where it says nothing.
    """


class StoreOversized(StoreError):
    """A value in the store is larger than its metadata, or a limit, allows; it was not read on."""


class ReferenceRefused(StoreError):
    """A reference of a document leads where its catalog entry does not let it.

    The fact `root` is what would have to be added to the entry's `reference_roots`.
    """


class StoreUnavailable(StoreError):
    """The store was not asked: it failed so often that its circuit is open.

    The fact `retry_after` tells in how many seconds it is asked again.
    """


class MetadataError(StoreError, ValueError):
    """The store's metadata documents are absent, unreadable or contradict each other."""


class MisalignedGroup(MetadataError):
    """A group of a hierarchy is not aligned with those whose coordinates it would inherit.

    The fact `group` is its path.
    """


class StoreTooLarge(StoreError):
    """The store has more metadata, attributes or variables than opening one may take."""


class CorruptChunk(StoreError):
    """A stored chunk does not decode to the shape that its metadata declares.

    The fact `variable` names what was read, where that is known.
    """
