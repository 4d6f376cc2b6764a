"""What globs and hierarchies bring: the names that were listed, and the catalog with them in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from sluice.errors import redacted

from .catalog import Catalog
from .entry import DATASET_ID, ID_RULE, DatasetEntry, GroupEntry
from .globs import Glob, GroupTree, why_unserved

# What is listed now and then, and brings datasets.
Listed: TypeAlias = Glob | GroupTree


@dataclass(frozen=True, slots=True)
class ListingLimits:
    """How many datasets globs may bring together, and how many groups of hierarchies there are.

    A listing may take so many `seconds`.
    """

    datasets: int
    groups: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NewNames:
    """A glob, or a tree, lists other names below its root than before; `place` is that of it."""

    place: str
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A store that a glob found, or a group of a tree, that is not served, and why."""

    listed: Listed
    found: str
    reason: str

    def __str__(self) -> str:
        return f"{self.found}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Expanded:
    """A catalog with the entries that globs and trees bring, and what they found beside these."""

    catalog: Catalog
    left_out: tuple[LeftOut, ...] = ()


class Listings:
    """The names that were listed, by the `place` of the glob or the tree.

    Names are kept of those that no catalog has any more, and of those that it does not have yet.
    """

    def __init__(self, limits: ListingLimits) -> None:
        self.limits = limits
        self._names: dict[str, frozenset[str]] = {}
        # What one catalog's globs and trees bring: most of it stays from listing to listing.
        self._made_for: Catalog | None = None
        self._made: dict[tuple[str, str], DatasetEntry] = {}
        self._groups: dict[tuple[str, str], GroupEntry] = {}
        self._trees: dict[str, GroupTree] = {}

    def knows(self, listed: Listed) -> bool:
        """Whether it was ever listed."""
        return listed.place in self._names

    def count(self, listed: Listed) -> int:
        """How many names the last listing had."""
        return len(self._names.get(listed.place, ()))

    def change(self, listed: Listed, names: Iterable[str]) -> NewNames | None:
        """How a listing of these `names` differs from what is known; None where it does not."""
        now, before = frozenset(names), self._names.get(listed.place)
        if now == before:
            return None
        known = before or frozenset()
        return NewNames(listed.place, tuple(sorted(now - known)), tuple(sorted(known - now)))

    def apply(self, change: NewNames) -> None:
        """Know from now on what has changed."""
        known = self._names.get(change.place, frozenset())
        self._names[change.place] = (known | set(change.added)) - set(change.removed)

    def expanded(self, catalog: Catalog) -> Expanded:
        """The `catalog` of a file with what its globs bring, and groups in the place of trees.

        An id that is taken stays whose it is: the entries of the file come first, then the globs
        in the order of the file, and the stores of each in the order of their names, then groups.
        """
        if not catalog.globs and not catalog.trees:
            return Expanded(catalog)
        if self._made_for is not catalog:
            self._made_for, self._made, self._groups, self._trees = catalog, {}, {}, {}
        left_out: list[LeftOut] = []
        entries = self._with_globs(catalog, left_out)
        trees = {name: self._tree(entry) for name, entry in entries.items() if entry.has_groups}
        groups = dict(self._groups_of(trees, entries, left_out))
        whole: dict[str, DatasetEntry] = {}
        for name, entry in entries.items():
            whole |= groups.get(name, {name: entry})
        ids = {name: sorted(served) for name, served in groups.items()}
        found = Catalog(
            MappingProxyType(whole), catalog.globs, MappingProxyType(trees), MappingProxyType(ids)
        )
        return Expanded(found, tuple(left_out))

    def _with_globs(self, catalog: Catalog, left_out: list[LeftOut]) -> dict[str, DatasetEntry]:
        """The entries of the file, and those that the globs bring."""
        before, self._made = self._made, {}
        entries = dict(catalog.entries)
        room = self.limits.datasets
        for number, glob in enumerate(catalog.globs):
            found: list[DatasetEntry] = []
            for name in sorted(self._names.get(glob.place, ())):
                key = f"{number} {glob.place}", name
                self._made[key] = before.get(key) or glob.entry_of(name)
                found.append(self._made[key])
            served = _served(glob, found, entries, (room, self.limits.datasets), left_out)
            entries |= served
            room -= len(served)
        return entries

    def _tree(self, entry: DatasetEntry) -> GroupTree:
        known = self._trees.get(entry.id)
        if known is None or known.entry is not entry:
            known = self._trees[entry.id] = GroupTree.of(entry)
        return known

    def _groups_of(
        self,
        trees: Mapping[str, GroupTree],
        entries: Mapping[str, DatasetEntry],
        left_out: list[LeftOut],
    ) -> Iterator[tuple[str, dict[str, DatasetEntry]]]:
        """The groups of each tree that was listed, by their ids."""
        before, self._groups = self._groups, {}
        taken = dict(entries)
        room = self.limits.groups
        for own, tree in trees.items():
            if not self.knows(tree):
                continue
            found: list[GroupEntry] = []
            for path in sorted(self._names[tree.place]):
                key = f"{own} {tree.place}", path
                self._groups[key] = before.get(key) or tree.entry_of(path)
                found.append(self._groups[key])
            served = _served(tree, found, taken, (room, self.limits.groups), left_out)
            taken |= served
            room -= len(served)
            yield own, served


def _served(
    listed: Listed,
    entries: Iterable[DatasetEntry],
    taken: Mapping[str, DatasetEntry],
    room: tuple[int, int],
    left_out: list[LeftOut],
) -> dict[str, DatasetEntry]:
    """Those of the `entries` that are served beside the `taken` ids; the others are `left_out`.

    There is `room` for the first number of them, of the second in all. The root of a tree has the
    id of the tree's own entry, whose place it takes.
    """
    served: dict[str, DatasetEntry] = {}
    for entry in entries:
        earlier = served.get(entry.id)
        if entry.id != listed.entry.id:
            earlier = earlier or taken.get(entry.id)
        reason = _why_none(entry)
        if reason is None and earlier is not None:
            reason = f"the id {entry.id!r} is that of {redacted(earlier.url)}"
        if reason is None and len(served) >= room[0]:
            what = "globs" if isinstance(listed, Glob) else "hierarchies"
            reason = f"there are more than the {room[1]} datasets that {what} may bring"
            left_out.append(LeftOut(listed, f"{_found(entry)} and what follows it", reason))
            break
        if reason is None:
            served[entry.id] = entry
        else:
            left_out.append(LeftOut(listed, _found(entry), reason))
    return served


def _why_none(entry: DatasetEntry) -> str | None:
    """Why no dataset can have the id of this entry."""
    if isinstance(entry, GroupEntry):
        return why_unserved(entry)
    return None if DATASET_ID.fullmatch(entry.id) else f"{entry.id!r} is no id: {ID_RULE}"


def _found(entry: DatasetEntry) -> str:
    """What a line of the log calls it."""
    if isinstance(entry, GroupEntry):
        return f"the group {entry.group or ''!r}"
    return redacted(entry.url)
