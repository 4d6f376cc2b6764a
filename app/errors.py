"""What the service raises on purpose, beside what `sluice.errors` has.

    SluiceError
    ├── SelectionError
    │   └── UnusableVariable       it asks for a variable that the store has, and nobody can read
    ├── NotJson                    a body that says it is something else than JSON
    ├── NotForm                    a body that says it is something else than a form
    ├── RequestTimeout             a body that did not arrive in time
    ├── MalformedRequest           what came on a connection is no request as HTTP/1.1 writes it
    ├── UnknownDataset             no dataset of that name in the catalog
    ├── NoSuchKey                  the Zarr store that a dataset is served as has no such key
    ├── OtherEdition               the Zarr store that a client opened has other chunks by now
    ├── UnknownSuffix              no format has files of this suffix
    ├── Unauthorized               no key, or a wrong one, where one is needed
    ├── Forbidden                  a key that lacks the right to this
    ├── TooManyRequests            this client has too many requests running just now
    ├── Overloaded                 the server has no room for the request just now
    ├── DeadlineExceeded           it took longer than a request may
    ├── CatalogRefused             the catalog is wrong now, so what was served before stays
    ├── PreconditionFailed         the answer is not the one that `If-Match` names
    ├── RangeNotSatisfiable        no byte of the answer lies in the range that is asked for
    └── NotTold                    there is no room to tell the other worker processes

`app.api.problems` owns the one table from all these classes to statuses.
"""

from __future__ import annotations

from sluice.errors import SelectionError, SluiceError


class UnusableVariable(SelectionError):
    """The request names a variable that the store has, but that cannot be read or decoded."""

    @classmethod
    def named(cls, parameter: str, name: str, reason: str, **facts: object) -> UnusableVariable:
        """The error for what `parameter` asks of the variable `name`, which fails for `reason`."""
        detail = f"{name} cannot be used: {reason}"
        return cls(detail, parameter=parameter, variable=name, reason=reason, **facts)


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


class NotForm(SluiceError):
    """The body says that it is something else than a form."""


class UnknownDataset(SluiceError):
    """The catalog has no dataset of this name, or none that the caller may know of."""

    @classmethod
    def named(cls, dataset_id: str, meant: str | None = None) -> UnknownDataset:
        """The error for this id: the same words whether there is nothing or something hidden.

        `meant` is the id of a dataset that the caller may know of and may have meant.
        """
        none = "The catalog has no dataset of this name"
        if meant is None:
            return cls(f"{none}; GET /datasets lists them.", dataset=dataset_id)
        sentence = f"{none}; did you mean {meant}? GET /datasets lists them."
        return cls(sentence, dataset=dataset_id, did_you_mean=meant)


class UnknownSuffix(SluiceError):
    """No format has files of the suffix that the path ends in; the fact `known` has those."""


class NoSuchKey(SluiceError):
    """The Zarr store that a dataset is served as has no such key; the fact `key` has it."""


class OtherEdition(SluiceError):
    """Chunks are asked for of an edition of the dataset that is not served any more."""


class Unauthorized(SluiceError):
    """Who asks is not known: there is no key, or a wrong one, where one is needed."""


class Forbidden(SluiceError):
    """Who asks is known, and has no right to this."""


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


class PreconditionFailed(SluiceError):
    """The answer is not the one that the request is for; the fact `etag` is the tag that it has."""


class RangeNotSatisfiable(SluiceError):
    """No byte of the answer lies in the range that was asked for; the fact `size` is its length."""
