"""The bound of answers that libraries read by themselves: whole, whatever comes, if not stopped.

s3fs, gcsfs, adlfs and fsspec's HTTP filesystem speak through aiohttp. Their sessions are told to
make answers that know this bound (see `bounded_answers`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from sluice.store.parts import OversizedBody

# Documents of errors are a few lines.
ERROR_BYTES: Final = 64 * 2**10
# Listings have a few hundred bytes for each name.
LISTING_BYTES: Final = 64 * 2**20


@dataclass(slots=True)
class Bound:
    """The most that one answer of this read may have, and whether one had more."""

    most_bytes: int
    exceeded: bool = False


bound_of_answers: ContextVar[Bound | None] = ContextVar("bound of answers", default=None)


@contextmanager
def bounded_answers(most_bytes: int | None) -> Iterator[None]:
    """No answer to a request that the block makes has more than `most_bytes` (None: any number).

    Raises:
        OversizedBody: one had, whatever the library made of that.
    """
    if most_bytes is None:
        yield
        return
    bound = Bound(most_bytes)
    token = bound_of_answers.set(bound)
    try:
        yield
    except Exception as error:
        if bound.exceeded:
            raise OversizedBody(most_bytes) from error
        raise
    finally:
        bound_of_answers.reset(token)
