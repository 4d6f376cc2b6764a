"""What an operator's files say: which datasets there are, and who may read them.

API keys are known by their hashes alone. One line per key, in a file or in the environment::

    NAME SHA256 [admin] [metrics] [datasets=ID,ID]

An ID may have ``*`` and ``?`` in it for any text and any character.
Lines of one name are keys of one holder: a new key is added beside the old one, which goes when
nobody uses it any more.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase, translate
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from sluice.errors import CatalogError

from .catalog import PLACE, Catalog, catalog_of_addresses, parse_catalog
from .document import read_text
from .entry import GROUP_ID, GROUP_SIGN, DatasetEntry, GroupEntry
from .globs import some_may_bring

RIGHTS: Final = ("admin", "metrics")
# Short, and a mark by which scanners of repositories can find keys that leaked.
_MARK: Final = "sluice_"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_PATTERN: Final = re.compile(r"[A-Za-z0-9._~*?-]{1,256}")
_DATASETS: Final = "datasets="


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its holder's name, its hash, and what it opens (`datasets` None: all of them).

    Of the `datasets`, those with wildcards are patterns of ids.
    """

    name: str
    digest: bytes = field(repr=False)
    rights: frozenset[str] = frozenset()
    datasets: frozenset[str] | None = None
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        patterns = filter(is_pattern, self.datasets or ())
        joined = "|".join(translate(pattern) for pattern in sorted(patterns))
        object.__setattr__(self, "_pattern", re.compile(joined) if joined else None)

    def has_right(self, right: str) -> bool:
        """Whether this key may do what `right` allows; an admin may do all."""
        return right in self.rights or "admin" in self.rights

    def opens(self, entry: DatasetEntry) -> bool:
        """Whether neither the key nor the dataset keeps its holder out.

        A key for a hierarchy opens its groups.
        """
        of_key = self.datasets is None or self.names(entry.id)
        if not of_key and isinstance(entry, GroupEntry):
            of_key = self.names(entry.hierarchy)
        of_entry = not isinstance(entry.access, tuple) or self.name in entry.access
        return of_key and of_entry

    def names(self, dataset_id: str) -> bool:
        """Whether this id is one of its `datasets`, or a pattern among them matches it."""
        if dataset_id in (self.datasets or ()):
            return True
        return self._pattern is not None and self._pattern.match(dataset_id) is not None


def is_pattern(dataset_id: str) -> bool:
    """Whether it has wildcards, which no id has."""
    return "*" in dataset_id or "?" in dataset_id


class Keys:
    """The keys that are valid now; without any, datasets are public unless their entry says else.

    A reload replaces all of them at once.
    """

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.valid = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self.valid)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.valid)

    def replace(self, keys: Iterable[Key]) -> None:
        """From now on, these are valid and no others."""
        self.valid = tuple(keys)

    def find(self, presented: bytes) -> Key | None:
        """The key that `presented` is, or None; takes as long whichever it is."""
        digest = hash_of(presented)
        found = None
        for key in self.valid:
            if compare_digest(key.digest, digest):
                found = key
        return found


def hash_of(key: bytes) -> bytes:
    """What is kept of a key.

    Slow, salted hashes are for passwords, which can be guessed. A key has 256 random bits: nobody
    finds one by trying, however fast the hash is, and every request can afford this one.
    """
    return sha256(key).digest()


def new_key() -> str:
    """A key that nobody can guess, fit for a header."""
    return _MARK + secrets.token_urlsafe(32)


def key_line(name: str, key: str, rights: Iterable[str], datasets: Iterable[str]) -> str:
    """The line that makes `key` valid; raises CatalogError for what `parse_keys` would refuse."""
    if not _NAME.fullmatch(name):
        rule = (
            "a name is one word of at most 64 letters, digits, '.', '_' and '-', not led by a sign"
        )
        raise CatalogError(f"{name!r} cannot be a key's name: {rule}")
    words = [name, hash_of(key.encode()).hex(), *rights]
    if listed := tuple(datasets):
        _check_listed(listed, "the key")
        words.append(_DATASETS + ",".join(listed))
    return " ".join(words)


def read_keys(file: Path) -> str:
    """The lines of `file`; raises CatalogError when it cannot be read."""
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CatalogError(f"{file}: the keys cannot be read: {reason}") from None


def parse_keys(text: str, place: str) -> tuple[Key, ...]:
    """The keys in these lines (a semicolon ends a line, too); comments begin with ``#``.

    Raises CatalogError with one sentence that names the place, and repeats nothing of a line: it
    may hold a plain key by mistake.
    """
    lines = enumerate(text.replace(";", "\n").splitlines(), 1)
    told = ((number, line.partition("#")[0].split()) for number, line in lines)
    return tuple(_key(words, f"{place}: line {number}") for number, words in told if words)


def _key(words: list[str], place: str) -> Key:
    if len(words) < 2 or not _NAME.fullmatch(words[0]):
        raise CatalogError(f"{place}: expected a name and a SHA-256 (`sluice key NAME` writes one)")
    if not _DIGEST.fullmatch(words[1]):
        raise CatalogError(f"{place}: the second word is not a SHA-256 of 64 hexadecimal digits")
    rights, datasets = set(), None
    for word in words[2:]:
        if word in RIGHTS:
            rights.add(word)
        elif word.startswith(_DATASETS):
            datasets = frozenset(word.removeprefix(_DATASETS).split(","))
        else:
            known = f"{', '.join(RIGHTS)}, {_DATASETS}ID,ID"
            raise CatalogError(f"{place}: after the SHA-256 there may be {known}")
    _check_listed(datasets or (), place)
    return Key(words[0], bytes.fromhex(words[1]), frozenset(rights), datasets)


def _check_listed(datasets: Iterable[str], place: str) -> None:
    """Raise CatalogError for what is neither an id nor a pattern of ids."""
    for name in datasets:
        if not (_PATTERN if is_pattern(name) else GROUP_ID).fullmatch(name):
            wanted = "ids, or patterns such as era5-*, with commas and no blanks between them"
            raise CatalogError(f"{place}: datasets= wants {wanted}")


def check_holders(catalog: Catalog, keys: Iterable[Key]) -> None:
    """Raise CatalogError where a dataset names a key that there is not, or a key such a dataset.

    A misspelt name would quietly keep somebody out.
    """
    names = {key.name for key in keys}
    for entry in (*catalog.entries.values(), *(glob.entry for glob in catalog.globs)):
        listed = entry.access if isinstance(entry.access, tuple) else ()
        for name in listed:
            if name not in names:
                sentence = f"dataset {entry.id!r}: access: there is no key named {name!r}"
                raise CatalogError(sentence, entry=entry.id, field="access")
    for key in keys:
        for dataset_id in key.datasets or ():
            if not _may_mean(dataset_id, catalog):
                what = "dataset that matches" if is_pattern(dataset_id) else "dataset"
                raise CatalogError(f"key {key.name!r}: there is no {what} {dataset_id!r}")


def _may_mean(dataset_id: str, catalog: Catalog) -> bool:
    """Whether there is such a dataset, or one may come with a glob or be a group."""
    if not is_pattern(dataset_id):
        may_come = some_may_bring(catalog.globs, dataset_id) or catalog.tree_of(dataset_id)
        return dataset_id in catalog.entries or bool(may_come)
    # Of the groups of a tree, the pattern's end may mean any.
    named = dataset_id.partition("*")[0].partition("?")[0]
    groups = (f"{name}{GROUP_SIGN}" for name in catalog.trees)
    of_groups = (named.startswith(group) or group.startswith(named) for group in groups)
    matching = (fnmatchcase(name, dataset_id) for name in catalog.entries)
    return bool(catalog.globs) or any(matching) or any(of_groups)


@dataclass(frozen=True, slots=True)
class FileTexts:
    """What the files said when they were read."""

    catalog: str
    keys: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The catalog and the keys, which fit each other."""

    catalog: Catalog
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Files:
    """The catalog's file, that of the keys if there is one, and the keys of the environment.

    Where there are `urls`, the stores there are served, and the catalog's file is not read.
    """

    catalog: Path
    keys: Path | None = None
    more_keys: str = field(default="", repr=False)
    urls: tuple[str, ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """What tells which datasets there are."""
        return str(PLACE if self.urls else self.catalog)

    def read(self) -> FileTexts:
        """What they say now; raises CatalogError where one cannot be read."""
        return FileTexts(self._text(), read_keys(self.keys) if self.keys else "")

    def read_catalog(self) -> Catalog:
        """The catalog as it is now, whatever the keys are; raises as `parse`."""
        return self._catalog(self._text())

    def parse(self, texts: FileTexts) -> Configuration:
        """What these `texts` mean; raises CatalogError where they are wrong, or do not fit."""
        catalog = self._catalog(texts.catalog)
        keys = parse_keys(texts.keys, str(self.keys)) + parse_keys(self.more_keys, "SLUICE_KEYS")
        check_holders(catalog, keys)
        return Configuration(catalog, keys)

    def _text(self) -> str:
        return "" if self.urls else read_text(self.catalog)

    def _catalog(self, text: str) -> Catalog:
        if self.urls:
            return catalog_of_addresses(self.urls)
        return parse_catalog(self.catalog, text)
