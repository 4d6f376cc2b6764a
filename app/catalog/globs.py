"""Entries that stand for many datasets: stores by a pattern of addresses, groups of a hierarchy.

The id of a glob is a template (``{stem}``), and its URL has wildcards (``s3://bucket/*.zarr``) as
shells have them: ``*``, ``?`` and ``[...]`` stand for no slash and no leading dot.

Of an entry with ``group: "*"``, each group that holds arrays is a dataset of its own, with a tilde
for each slash of its path: ``era5~land~hourly`` is the group ``land/hourly`` of the entry ``era5``,
and ``era5`` itself is the root, where that holds arrays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from typing import Final

from sluice.errors import CatalogError
from sluice.store.addresses import split_url
from sluice.store.protocols import LOCAL, REFERENCE, ROOTLESS, WEB
from sluice.store.source import joined

from .entry import (
    DATASET_ID,
    GROUP_SIGN,
    ID_RULE,
    LONGEST_ID,
    DatasetEntry,
    GroupEntry,
    fingerprint,
    stem_of,
)

# What a template may name of a store: its name without the extension, and that of its folder.
FIELDS: Final = ("stem", "parent")
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_WILDCARD: Final = re.compile(r"[*?\[]")
# A question mark begins the query of a web address.
_WEB_WILDCARD: Final = re.compile(r"[*\[]")


def is_template(dataset_id: str) -> bool:
    """Whether an entry of this id stands for many."""
    return "{" in dataset_id or "}" in dataset_id


def has_wildcards(url: str) -> bool:
    """Whether the path of `url` has a ``*``, which no store is named by."""
    protocol, path = split_url(url)
    return "*" in (path.partition("?")[0] if protocol in WEB else path)


@dataclass(frozen=True)
class Glob:
    """The template of entries: their stores lie below the URL `root`, one level of names each.

    `place` is one name for all globs that list the same in the same way; it shows no secret.
    """

    entry: DatasetEntry
    root: str
    levels: tuple[str, ...]
    place: str

    @classmethod
    def of(cls, entry: DatasetEntry) -> Glob:
        """The glob of an entry whose id is a template; raises CatalogError where it is none."""
        _check_template(entry.id)
        root, levels = _split(entry.url)
        place = fingerprint(entry.url, entry.engine, entry.storage_options)
        return cls(entry, root, levels, place)

    @property
    def label(self) -> str:
        """What the log calls it."""
        return f"glob {self.entry.id!r}"

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """What the names of each level match."""
        return tuple(re.compile(translate(level)) for level in self.levels)

    @cached_property
    def _ids(self) -> re.Pattern[str]:
        words = _FIELD.split(self.entry.id)[::2]
        groups = f"({GROUP_SIGN}.+)?" if self.entry.has_groups else ""
        return re.compile(".+".join(map(re.escape, words)) + groups)

    def matches(self, level: int, name: str) -> bool:
        """Whether a `name` on this level belongs to it."""
        hidden = name.startswith(".") and not self.levels[level].startswith(".")
        return not hidden and self.patterns[level].match(name) is not None

    def may_bring(self, dataset_id: str) -> bool:
        """Whether its template can become this id."""
        return self._ids.fullmatch(dataset_id) is not None

    def url_of(self, name: str) -> str:
        """The address of the store with this name below the root."""
        if split_url(self.root)[0] in WEB:
            return joined(self.root, name)
        return f"{self.root}{name}" if self.root.endswith("/") else f"{self.root}/{name}"

    def entry_of(self, name: str) -> DatasetEntry:
        """The entry of the store with this name below the root."""
        folder, _, last = name.rpartition("/")
        path = split_url(self.root)[1].partition("?")[0]
        parent = (folder or path.rstrip("/")).rpartition("/")[2]
        values = {"stem": stem_of(last), "parent": parent}
        told = (self.entry.title, self.entry.description)
        title, description = [text and _filled(text, values) for text in told]
        changes = {
            "id": _filled(self.entry.id, values),
            "url": self.url_of(name),
            "title": title,
            "description": description,
            "also": tuple(
                copy.model_copy(update={"url": _filled(copy.url, values)})
                for copy in self.entry.also
            ),
        }
        return self.entry.model_copy(update=changes)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda field: values.get(field[1], field[0]), text)


def _check_template(dataset_id: str) -> None:
    named = _FIELD.findall(dataset_id)
    known = ", ".join(f"{{{field}}}" for field in FIELDS)
    for name in named:
        if name not in FIELDS:
            raise CatalogError(f"an id has no {{{name}}} in it; known are {known}", field="id")
    words = _FIELD.sub("", dataset_id)
    if not named or is_template(words):
        raise CatalogError(f"braces in an id are those of {known}", field="id")
    if not DATASET_ID.fullmatch(_FIELD.sub("x", dataset_id)):
        raise CatalogError(ID_RULE, field="id")


def _split(url: str) -> tuple[str, tuple[str, ...]]:
    """The folder above the first wildcard of `url`, and the patterns below it."""
    protocol, path = split_url(url)
    if protocol == REFERENCE:
        raise CatalogError(f"{REFERENCE}:// has no folder to list, so its id has no braces")
    path, mark, query = path.partition("?") if protocol in WEB else (path, "", "")
    segments = path.rstrip("/").split("/")
    wildcard = _WEB_WILDCARD if protocol in WEB else _WILDCARD
    wild = [number for number, one in enumerate(segments) if wildcard.search(one)]
    if protocol in WEB:
        # The brackets of a host are those of an IPv6 address.
        wild = [number for number in wild if number or "*" in segments[0]]
    if not wild:
        raise CatalogError("an id with braces needs an address with a wildcard, such as *.zarr")
    first = wild[0]
    if any("**" in segment for segment in segments):
        raise CatalogError("** is not served: write one * for each level of folders")
    if first == 0 and protocol not in ROOTLESS:
        raise CatalogError("a bucket, host or first folder is named without wildcards")
    root = "/".join(segments[:first])
    if protocol in LOCAL and not root:
        raise CatalogError("the root of the file system is not listed: name a folder in it")
    prefix = f"{protocol}://" if "://" in url else ""
    return f"{prefix}{root}{mark}{query}", tuple(segments[first:])


def some_may_bring(globs: Sequence[Glob], dataset_id: str) -> bool:
    """Whether one of the `globs` may come to have a dataset of this id."""
    return any(glob.may_bring(dataset_id) for glob in globs)


_NAMES: Final = re.compile(r"[A-Za-z0-9._-]+")
GROUP_RULE: Final = (
    "a group that is served has letters, digits, '.', '_' and '-' in its names alone"
)


@dataclass(frozen=True)
class GroupTree:
    """All groups of the hierarchy of one entry.

    `place` is one name for all trees that list the same in the same way; it shows no secret.
    """

    entry: DatasetEntry
    place: str

    @classmethod
    def of(cls, entry: DatasetEntry) -> GroupTree:
        """The tree of an entry that `has_groups`."""
        place = fingerprint(
            "groups",
            entry.url,
            entry.engine,
            entry.storage_options,
            entry.reference_roots,
            entry.zarr_format,
            entry.consolidated,
        )
        return cls(entry, place)

    @property
    def label(self) -> str:
        """What the log calls it."""
        return f"groups of {self.entry.id!r}"

    def id_of(self, path: str) -> str:
        """The id of the dataset that is the group at `path`."""
        return GROUP_SIGN.join([self.entry.id, *filter(None, path.split("/"))])

    def path_of(self, dataset_id: str) -> str:
        """The path of the group whose id this is, one that `may_bring` is true of."""
        return dataset_id[len(self.entry.id) + 1 :].replace(GROUP_SIGN, "/")

    def may_bring(self, dataset_id: str) -> bool:
        """Whether one of its groups can have this id."""
        own = self.entry.id
        return dataset_id == own or dataset_id.startswith(f"{own}{GROUP_SIGN}")

    def entry_of(self, path: str) -> GroupEntry:
        """The entry of the group at `path`: all that this one says is true of it."""
        title = self.entry.title
        changes = {
            "id": self.id_of(path),
            "group": path or None,
            "title": f"{title}: {path}" if title and path else title,
            "hierarchy": self.entry.id,
        }
        return GroupEntry.model_construct(**{**dict(self.entry), **changes})


def why_unserved(entry: GroupEntry) -> str | None:
    """Why this group can be no dataset by its name; None: it can be."""
    names = (entry.group or "").split("/") if entry.group else []
    if any(name in (".", "..") or not _NAMES.fullmatch(name) for name in names):
        return GROUP_RULE
    if len(entry.id) > LONGEST_ID:
        return f"its id would be longer than {LONGEST_ID} letters"
    return None
