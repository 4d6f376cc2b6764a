"""Entries that stand for every group of a hierarchy: ``group: "*"``.

Each group that holds arrays is a dataset of its own, with a tilde for each slash of its path:
``era5~land~hourly`` is the group ``land/hourly`` of the entry ``era5``, and ``era5`` itself is the
root, where that holds arrays.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from .entry import GROUP_SIGN, LONGEST_ID, DatasetEntry, GroupEntry

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
        listed = [
            "groups",
            entry.url,
            entry.engine,
            dict(entry.storage_options),
            entry.reference_roots,
            entry.zarr_format,
            entry.consolidated,
        ]
        said = json.dumps(listed, sort_keys=True, default=repr)
        return cls(entry, blake2b(said.encode(), digest_size=16).hexdigest())

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
