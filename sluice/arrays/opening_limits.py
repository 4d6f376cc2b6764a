"""How much a store may make its opening take, judged from metadata before anything is made of it.

A few hundred bytes of metadata can ask for coordinates of any size. A coordinate that exceeds a
limit is left out; what exceeds one for all of the store is an error. Each names the setting by
which an operator allows more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sluice.aliases import Document
from sluice.arrays.metadata import ArrayMeta
from sluice.arrays.texts import TextMeter
from sluice.errors import MetadataError, StoreTooLarge
from sluice.sizes import attribute_bytes

_SETTING: Final = "SLUICE_STORE_"


@dataclass(frozen=True, slots=True)
class OpeningLimits:
    """The most that one group may have.

    The defaults leave room for what archives have: thousands of variables, a million labels of an
    hourly series, one chunk for each step of some years. Variables that are `dropped` count for
    none of them but the metadata, which is read before anything of it is known.
    """

    metadata_bytes: int = 32 * 2**20
    attribute_bytes: int = 16 * 2**20
    variables: int = 10_000
    coordinate_bytes: int = 128 * 2**20
    coordinate_chunks: int = 100_000
    dropped: frozenset[str] = frozenset()

    def check_metadata(self, nbytes: int) -> None:
        """Raise StoreTooLarge for more bytes of metadata documents."""
        self._check("metadata_bytes", "bytes of metadata", nbytes)

    def check_variables(self, names: Collection[str]) -> None:
        """Raise StoreTooLarge for more arrays in one group."""
        self._check("variables", "variables", len(set(names) - self.dropped))

    def check_attributes(self, attributes: Document, arrays: Mapping[str, Document]) -> None:
        """Raise StoreTooLarge for more bytes of attributes, of the group and of its arrays."""
        kept = [array for name, array in arrays.items() if name not in self.dropped]
        each = [attributes, *(array.get("attributes") for array in kept)]
        nbytes = sum([attribute_bytes(one) for one in each if isinstance(one, Mapping)])
        self._check("attribute_bytes", "bytes of attributes", nbytes)

    def _check(self, limited: str, what: str, found: int) -> None:
        limit: int = getattr(self, limited)
        if found > limit:
            raise StoreTooLarge(
                f"the store has {found} {what}, of which {_SETTING}{limited.upper()} allows"
                f" {limit}",
                limited=limited,
                found=found,
                limit=limit,
            )


DEFAULT_LIMITS: Final = OpeningLimits()


class CoordinateRoom:
    """What the coordinates of one store may still take while it is opened."""

    def __init__(self, limits: OpeningLimits) -> None:
        self._limits = limits
        self._bytes = 0
        self._chunks = 0

    def meter(self) -> TextMeter:
        """What counts the texts of one coordinate, whose length shows only as they are read."""
        limit = self._limits.coordinate_bytes
        return TextMeter(self._bytes, limit, 0, limit)

    def take(self, nbytes: int) -> None:
        """So many bytes of text were read."""
        self._bytes += nbytes

    def enter(self, meta: ArrayMeta, values: int, chunks: int) -> None:
        """So many `values` out of so many `chunks` are to be read; MetadataError if too many.

        One chunk is the least that is decoded, however few of its values are wanted.
        """
        nbytes = max(values * meta.dtype.itemsize, min(chunks, 1) * meta.chunk_bytes)
        for limited, what, found, limit in (
            ("coordinate_bytes", "bytes", self._bytes + nbytes, self._limits.coordinate_bytes),
            ("coordinate_chunks", "chunks", self._chunks + chunks, self._limits.coordinate_chunks),
        ):
            if found > limit:
                raise too_large(limited, what, found, limit)
        self._bytes += nbytes
        self._chunks += chunks


def too_large(limited: str, what: str, found: int, limit: int) -> MetadataError:
    """The reason why a coordinate is left out."""
    return MetadataError(
        "its values are read when the dataset is opened, and with them the coordinates take"
        f" {found} {what} or more, of which {_SETTING}{limited.upper()} allows {limit}",
        advice="Raise that setting, or name it in drop_variables.",
    )
