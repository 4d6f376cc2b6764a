"""What globs bring: the names that were listed, and the catalog with them in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType

from .catalog import Catalog
from .entry import DatasetEntry
from .globs import Glob, LeftOut, brought


@dataclass(frozen=True, slots=True)
class NewNames:
    """A glob lists other names below its root than before; `place` is that of the `Glob`."""

    place: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expanded:
    """A catalog with the entries that its globs bring, and what they found that is not served."""

    catalog: Catalog
    left_out: tuple[LeftOut, ...] = ()


class Listings:
    """The names that globs list, by their `place`; they bring `most` datasets together.

    Names are kept of globs that no catalog has any more, and of those that it does not have yet.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: dict[str, frozenset[str]] = {}
        # The entries of one catalog's globs, by place and name: most stay from listing to listing.
        self._made_for: Catalog | None = None
        self._made: dict[tuple[str, str], DatasetEntry] = {}

    def knows(self, glob: Glob) -> bool:
        """Whether the glob was ever listed."""
        return glob.place in self._names

    def count(self, glob: Glob) -> int:
        """How many names the glob listed."""
        return len(self._names.get(glob.place, ()))

    def change(self, glob: Glob, names: Iterable[str]) -> NewNames | None:
        """How a listing of these `names` differs from what is known; None where it does not."""
        now, before = frozenset(names), self._names.get(glob.place)
        if now == before:
            return None
        known = before or frozenset()
        return NewNames(glob.place, tuple(sorted(now - known)), tuple(sorted(known - now)))

    def apply(self, change: NewNames) -> None:
        """Know from now on what has changed."""
        known = self._names.get(change.place, frozenset())
        self._names[change.place] = (known | set(change.added)) - set(change.removed)

    def expanded(self, catalog: Catalog) -> Expanded:
        """The `catalog` of a file with what its globs bring behind what the file names.

        An id that is taken stays whose it is: the entries of the file come first, then the globs
        in the order of the file, and the stores of each in the order of their names.
        """
        if not catalog.globs:
            return Expanded(catalog)
        before = self._made if self._made_for is catalog else {}
        made: dict[tuple[str, str], DatasetEntry] = {}
        entries = dict(catalog.entries)
        left_out: list[LeftOut] = []
        room = self._most
        for number, glob in enumerate(catalog.globs):
            found: list[DatasetEntry] = []
            for name in sorted(self._names.get(glob.place, ())):
                key = f"{number} {glob.place}", name
                made[key] = before.get(key) or glob.entry_of(name)
                found.append(made[key])
            served, others = brought(glob, found, entries, room, self._most)
            entries |= served
            left_out += others
            room -= len(served)
        self._made_for, self._made = catalog, made
        whole = Catalog(MappingProxyType(entries), catalog.globs)
        return Expanded(whole, tuple(left_out))
