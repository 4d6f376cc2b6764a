"""Everything that Sluice raises on purpose, as one tree.

    SluiceError                    carries a sentence and the facts behind it
    ├── QueryError                 the request's text cannot be understood
    ├── SelectionError             understood, but this dataset cannot satisfy it
    │   └── UnusableVariable       it asks for a variable that the store has, and nobody can read
    ├── LimitError                 it would cost more than a limit allows
    ├── NotAcceptable              no encoder offers what the client accepts
    ├── NotJson                    a body that says it is something else than JSON
    ├── RequestTimeout             a body that did not arrive in time
    ├── MalformedRequest           what came on a connection is no request as HTTP/1.1 writes it
    ├── UnknownDataset             no dataset of that name in the catalog
    ├── Unauthorized               no key, or a wrong one, where one is needed
    ├── Forbidden                  a key that lacks the right to this
    ├── TooManyRequests            this client has too many requests running just now
    ├── Overloaded                 the server has no room for the request just now
    ├── DeadlineExceeded           it took longer than a request may
    ├── CatalogError               the catalog or its keys are wrong: names the entry and the field
    ├── CatalogRefused             they are wrong now, so what was served before stays
    ├── NotTold                    there is no room to tell the other worker processes
    ├── NotLoaded                  a lazy variable was touched without awaiting it
    └── StoreError                 the store did not do its part
        ├── StoreRefused           credentials or permissions (also a PermissionError)
        ├── StoreMissing           bucket, root or store is not there (also a FileNotFoundError)
        ├── StoreTimeout           no answer in time (also a TimeoutError)
        ├── StoreFaltered          it hung up, sent too little, or answered that it cannot now
        ├── ReferenceRefused       a reference leads where the catalog entry does not let it
        ├── StoreUnavailable       it failed so often that it is left alone for a while
        ├── MetadataError          metadata documents absent or broken (also a ValueError)
        ├── StoreTooLarge          its metadata asks for more than an opening may take
        └── CorruptChunk           a chunk does not decode to its declared shape

Nothing here knows HTTP; `app.api.problems` owns the one table from these classes to statuses.
A missing *key* is never an error: sources answer ``None`` for it.
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


class UnusableVariable(SelectionError):
    """The request names a variable that the store has, but that cannot be read or decoded."""

    @classmethod
    def named(cls, parameter: str, name: str, reason: str, **facts: Any) -> UnusableVariable:
        """The error for what `parameter` asks of the variable `name`, which fails for `reason`."""
        detail = f"{name} cannot be used: {reason}"
        return cls(detail, parameter=parameter, variable=name, reason=reason, **facts)


class LimitError(SluiceError):
    """The request would touch or return more than a limit allows; at most texts were read."""


class NotAcceptable(SluiceError):
    """None of the known formats is one that the client accepts."""


class RequestTimeout(SluiceError):
    """The rest of the request did not arrive in the time that one may take for it."""


class MalformedRequest(SluiceError):
    """What came on a connection is not a request as HTTP/1.1 writes it, or has no end.

    The connection is of no more use. `status` is that of the answer.
    """

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status


class NotJson(SluiceError):
    """The body says that it is something else than JSON."""


class UnknownDataset(SluiceError):
    """The catalog has no dataset of this name, or none that the caller may know of."""

    @classmethod
    def named(cls, dataset_id: str) -> UnknownDataset:
        """The error for this id: the same words whether there is nothing or something hidden."""
        sentence = "The catalog has no dataset of this name; GET /datasets lists them."
        return cls(sentence, dataset=dataset_id)


class Unauthorized(SluiceError):
    """Who asks is not known: there is no key, or a wrong one, where one is needed."""


class Forbidden(SluiceError):
    """Who asks is known, and has no right to this."""


class CatalogError(SluiceError):
    """The catalog, or its keys, cannot be used; the sentence names the entry and the field."""


class CatalogRefused(SluiceError):
    """A new catalog, or its keys, cannot be used, so what was served before stays."""


class TooManyRequests(SluiceError):
    """One client has as many requests running as it may; the fact `retry_after` is in seconds."""


class Overloaded(SluiceError):
    """There is no room for the request just now; the fact `retry_after` is in seconds."""


class DeadlineExceeded(SluiceError):
    """The request was not answered in the time that one may take; all that it began was ended."""


class NotTold(SluiceError):
    """All worker processes were to be told something, and there is no room for it: none is."""


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
    """The store was not asked: it failed so often that it is left alone for a while.

    The fact `retry_after` tells in how many seconds it is asked again.
    """


class MetadataError(StoreError, ValueError):
    """The store's metadata documents are absent, unreadable or contradict each other."""


class StoreTooLarge(StoreError):
    """The store has more metadata, attributes or variables than opening one may take."""


class CorruptChunk(StoreError):
    """A stored chunk does not decode to the shape that its metadata declares.

    The fact `variable` names what was read, where that is known.
    """
