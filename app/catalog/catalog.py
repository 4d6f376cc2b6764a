"""Which datasets there are: a YAML catalog, or addresses, as frozen entries.

They are validated before anything opens.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sluice.aliases import Document
from sluice.errors import CatalogError, redacted
from sluice.store.addresses import check_url, split_url
from sluice.store.protocols import LOCAL, REFERENCE, WEB
from sluice.store.reference_roots import check_root

from ..errors import UnknownDataset
from .document import DEFAULTS, filled_fields, inherited, parse_document, read_text
from .entry import (
    DATASET_ID,
    GROUP_SIGN,
    ID_RULE,
    CopyPlace,
    DatasetEntry,
    GroupEntry,
    check_copies,
    stem_of,
)
from .globs import Glob, GroupTree, has_wildcards, is_template

# To find what a misspelt id means takes time for each that it may.
_BESIDE: Final = 100
# What stands at the top of a catalog.
_KEYS: Final = ("datasets", DEFAULTS)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The entries by id, in the order of the file, and the `globs` that bring others.

    A catalog that was parsed has the entries that its file names; `Listings` adds what globs bring,
    and puts the groups of a hierarchy in the place of its entry. `trees` are those of all entries
    that stand for groups, by their ids, whether their groups are known or not; `groups` has the ids
    of those that are, sorted.
    """

    entries: Mapping[str, DatasetEntry]
    globs: tuple[Glob, ...] = ()
    trees: Mapping[str, GroupTree] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def entry(self, dataset_id: str) -> DatasetEntry:
        """The entry of this id; raises UnknownDataset when there is none."""
        try:
            return self.entries[dataset_id]
        except KeyError:
            raise UnknownDataset.named(dataset_id) from None

    def tree_of(self, dataset_id: str) -> GroupTree | None:
        """The hierarchy among whose groups one of this id would be."""
        own = dataset_id
        while own:
            if (tree := self.trees.get(own)) is not None:
                return tree
            own = own.rpartition(GROUP_SIGN)[0]
        return None

    def expected(self, dataset_id: str) -> GroupEntry | None:
        """The entry that this id may come to have: that of a group of a tree not enumerated yet."""
        tree = None if dataset_id in self.entries else self.tree_of(dataset_id)
        if tree is None or tree.entry.id in self.groups:
            return None
        return tree.entry_of(tree.path_of(dataset_id))

    def is_pending(self, dataset_id: str) -> bool:
        """Whether the groups have to be enumerated before anything is known of this id."""
        entry = self.entries.get(dataset_id)
        return self.expected(dataset_id) is not None if entry is None else entry.has_groups

    def close_groups(self, dataset_id: str) -> Sequence[str]:
        """Ids of groups beside which this one would stand: those that it may be meant for."""
        tree = self.tree_of(dataset_id)
        known = self.groups.get(tree.entry.id, ()) if tree else ()
        at = bisect(known, dataset_id)
        return known[max(0, at - _BESIDE) : at + _BESIDE]


def load_catalog(path: Path, environment: Mapping[str, str] = os.environ) -> Catalog:
    """The catalog in the YAML file `path`, with ``${NAME}`` from `environment`; opens no store.

    Raises CatalogError with one sentence that names the file, the entry and the field.
    """
    return parse_catalog(path, read_text(path), environment)


def parse_catalog(path: Path, text: str, environment: Mapping[str, str] = os.environ) -> Catalog:
    """The catalog in `text`, which is what the file `path` says; raises as `load_catalog`."""
    document = _document(path, text)
    datasets = _datasets(path, document)
    defaults = _defaults(path, document, environment)
    read = [_entry(path, name, own, defaults, environment) for name, own in datasets.items()]
    return catalog_of(read, path)


def catalog_of(entries: Iterable[DatasetEntry], place: Path) -> Catalog:
    """The catalog of these entries, of which `place` told; raises as `load_catalog`."""
    named: dict[str, DatasetEntry] = {}
    globs: list[Glob] = []
    for entry in entries:
        if is_template(entry.id):
            with _naming(f"{place}: dataset {entry.id!r}", entry.id):
                globs.append(Glob.of(entry))
        else:
            named[entry.id] = entry
    trees = {name: GroupTree.of(entry) for name, entry in named.items() if entry.has_groups}
    return Catalog(MappingProxyType(named), tuple(globs), MappingProxyType(trees))


def _document(path: Path, text: str) -> Document:
    document = parse_document(path, text)
    if not isinstance(document, Mapping):
        found = "empty" if document is None else f"a {type(document).__name__}"
        raise CatalogError(f"{path}: expected a mapping with the key 'datasets', found it {found}")
    for key in document:
        if key not in _KEYS:
            raise CatalogError(f"{path}: unknown key {key!r}{_suggest(key, _KEYS)}", field=key)
    return document


def _datasets(path: Path, document: Document) -> Mapping[object, object]:
    datasets = document.get("datasets")
    if not isinstance(datasets, Mapping) or not datasets:
        raise CatalogError(f"{path}: 'datasets' must be a mapping with at least one dataset in it")
    return datasets


def _defaults(path: Path, document: Document, environment: Mapping[str, str]) -> Document:
    """What every entry has that does not say else."""
    defaults = document.get(DEFAULTS)
    if defaults is None:
        return {}
    where = f"{path}: {DEFAULTS}"
    if not isinstance(defaults, Mapping):
        raise CatalogError(f"{where}: must be a mapping of fields", field=DEFAULTS)
    for name in ("id", "url"):
        if name in defaults:
            raise CatalogError(f"{where}: {name}: each dataset has its own", field=name)
    with _naming(where, DEFAULTS):
        found = filled_fields(defaults, environment)
        _validated({**found, "id": DEFAULTS, "url": DEFAULTS})
    return found


def _entry(
    path: Path,
    name: object,
    fields: object,
    defaults: Document,
    environment: Mapping[str, str],
) -> DatasetEntry:
    where = f"{path}: dataset {name!r}"
    dataset_id, said = _id_and_fields(where, name, fields)
    with _naming(where, name):
        own = inherited(defaults, filled_fields(said, environment))
        entry = _validated({**own, "id": dataset_id})
        if not is_template(dataset_id) and has_wildcards(entry.url):
            words = "a * brings many datasets: write a {stem} into the id, such as '{stem}'"
            raise CatalogError(words, field="url")
        check_url(entry.url, entry.storage_options, entry.engine)
        _check_roots(entry)
        check_copies(entry)
        return _anchored(entry, path.parent)


@contextmanager
def _naming(where: str, name: object) -> Iterator[None]:
    """What goes wrong inside is told with the place of the entry and the field."""
    try:
        yield
    except CatalogError as error:
        field = str(error.facts.get("field", "url"))
        facts = {**error.facts, "entry": name, "field": field}
        # Without its cause, whose words could repeat a part of a URL.
        raise CatalogError(f"{where}: {field}: {error}", **facts) from None
    except RecursionError:
        # An alias inside its own anchor.
        raise CatalogError(f"{where}: nested too deeply", entry=name) from None


def _id_and_fields(where: str, name: object, fields: object) -> tuple[str, Document]:
    """The two if they have the shape of an entry."""
    # An entry for one group of a hierarchy, such as one with a title of its own, has a tilde in it.
    own = isinstance(name, str) and DATASET_ID.fullmatch(name.replace(GROUP_SIGN, "-"))
    if not isinstance(name, str) or not (is_template(name) or own):
        raise CatalogError(f"{where}: {ID_RULE}", entry=name)
    if not isinstance(fields, Mapping):
        raise CatalogError(f"{where}: must be a mapping with at least 'url'", entry=name)
    if "id" in fields:
        raise CatalogError(f"{where}: id: the key of the mapping is the id", entry=name, field="id")
    return name, fields


def _validated(fields: Document) -> DatasetEntry:
    try:
        return DatasetEntry.model_validate(fields)
    except ValidationError as error:
        # The first is enough to act on. Its input is left out: it could be a secret.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CatalogError(_sentence(first), field=field) from None


def _sentence(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            kind = CopyPlace if len(error["loc"]) > 1 else DatasetEntry
            known = [name for name in kind.model_fields if name != "id"]
            return f"unknown field{_suggest(error['loc'][-1], known)}"
        case "tuple_type":
            return "expected a list"
        case "missing":
            return "this field is required"
        case "string_pattern_mismatch":
            return "a header's value is printable ASCII without blanks at its ends"
        case "value_error":
            return error["msg"].removeprefix("Value error, ")
        case _:
            return error["msg"][:1].lower() + error["msg"][1:]


def _suggest(given: object, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(str(given), names, 1)
    return f" (did you mean {close[0]!r}?)" if close else f" (known: {', '.join(names)})"


def _check_roots(entry: DatasetEntry) -> None:
    if entry.reference_roots and split_url(entry.url)[0] != REFERENCE:
        raise CatalogError("only references have roots", field="reference_roots")
    for root in entry.reference_roots:
        check_root(root)


def _anchored(entry: DatasetEntry, folder: Path) -> DatasetEntry:
    """The entry with its relative local paths taken from the catalog's own folder.

    References that stand in the catalog itself read what lies beside it.
    """
    options = dict(entry.storage_options)
    roots = [_anchored_path(root, folder, "reference_roots") for root in entry.reference_roots]
    if isinstance(options.get("fo"), str):
        options["fo"] = _anchored_path(options["fo"], folder, "storage_options.fo")
    elif split_url(entry.url)[0] == REFERENCE:
        roots.insert(0, str(folder.absolute()))
    changes = {
        "url": _anchored_path(entry.url, folder, "url"),
        "storage_options": MappingProxyType(options),
        "reference_roots": tuple(roots),
        "also": tuple(
            place.model_copy(update={"url": _anchored_path(place.url, folder, "also")})
            for place in entry.also
        ),
    }
    return entry.model_copy(update=changes)


def _anchored_path(url: str, folder: Path, field: str) -> str:
    if "://" in url:
        return url
    try:
        return str((folder / Path(url).expanduser()).absolute())
    except RuntimeError as error:
        raise CatalogError("There is no home folder of that name", field=field) from error


# Where errors say that such an address was found; local paths start in the working directory.
PLACE: Final = Path("the command line")
_STEM: Final = "{stem}"
_STRANGE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_SIGNS: Final = "._-"


def catalog_of_addresses(urls: Sequence[str]) -> Catalog:
    """The catalog of these stores, each by the id that `ids_of` gives it.

    An address with a ``*`` is a glob. Storage options are those that the libraries find in the
    environment. Raises CatalogError for an address that is wrong.
    """
    single = [url for url in dict.fromkeys(urls) if not has_wildcards(url)]
    globs = [url for url in dict.fromkeys(urls) if has_wildcards(url)]
    found = _catalog(ids_of(single)) if single else Catalog({})
    catalogs = [_catalog({_STEM: url}) for url in globs]
    return Catalog(found.entries, tuple(glob for one in catalogs for glob in one.globs))


def ids_of(urls: Iterable[str]) -> dict[str, str]:
    """The addresses by the ids that they get: the stem of the store's name.

    What no id has in it becomes a hyphen; of several stores of one stem the second is ``STEM-2``.
    Raises CatalogError for a store without a name.
    """
    found: dict[str, str] = {}
    for url in urls:
        stem = _id_of(url)
        number, name = 1, stem
        while name in found:
            number += 1
            name = f"{stem}-{number}"
        found[name] = url
    return found


def _id_of(url: str) -> str:
    protocol, path = split_url(url)
    path = path.partition("?")[0] if protocol in WEB else path
    if protocol in LOCAL:
        try:
            # `.` is called as the folder is.
            path = str(Path(path).expanduser().resolve())
        except RuntimeError as error:  # nobody's home, or (before Python 3.13) links in a circle
            raise CatalogError(f"{PLACE}: {redacted(url)}: {error}", field="url") from error
    stem = stem_of(path.rstrip("/").rpartition("/")[2])
    name = _STRANGE.sub("-", stem).strip(_SIGNS)[:100]
    if not DATASET_ID.fullmatch(name):
        words = f"no id can be made of {redacted(url)}: name the store in a catalog's file"
        raise CatalogError(f"{PLACE}: {words}", field="url")
    return name


def _catalog(urls: Mapping[str, str]) -> Catalog:
    """Through the text of a catalog, so that what is wrong is found and said as there.

    It is no place for variables of the environment: whoever wrote an address had a shell.
    """
    entries = {name: {"url": url.replace("${", "$${")} for name, url in urls.items()}
    return parse_catalog(PLACE, json.dumps({"datasets": entries}))
