"""Globs: which addresses they stand for, and which entries they bring."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.catalog.catalog import Catalog, catalog_of_addresses, ids_of, parse_catalog
from app.catalog.entry import GroupEntry, stem_of
from app.catalog.globs import Glob, GroupTree
from app.catalog.listings import Expanded, Listed, ListingLimits, Listings, NewNames
from sluice.errors import CatalogError


def catalog_of(text: str) -> Catalog:
    return parse_catalog(Path("/folder/catalog.yaml"), text)


def glob_of(url: str, template: str = "{stem}") -> Glob:
    (glob,) = catalog_of(f'datasets: {{"{template}": {{url: "{url}"}}}}').globs
    return glob


@pytest.mark.parametrize(
    ("url", "root", "levels"),
    [
        ("s3://bucket/*.zarr", "s3://bucket", ("*.zarr",)),
        ("s3://bucket/a/*/b/c?.zarr/", "s3://bucket/a", ("*", "b", "c?.zarr")),
        ("data/[ab].zarr", "/folder/data", ("[ab].zarr",)),
        ("file:///data/*", "file:///data", ("*",)),
        ("memory://*.zarr", "memory://", ("*.zarr",)),
        ("http://[::1]:80/x/*.zarr?token=1", "http://[::1]:80/x?token=1", ("*.zarr",)),
    ],
)
def test_the_folder_above_the_first_wildcard_is_listed(
    url: str, root: str, levels: tuple[str, ...]
) -> None:
    """All that follows it are names to match, one level after the other."""
    glob = glob_of(url)
    assert (glob.root, glob.levels) == (root, levels)


@pytest.mark.parametrize(
    ("url", "name", "found"),
    [
        ("s3://bucket/*.zarr", "a b.zarr", "s3://bucket/a b.zarr"),
        ("memory://*.zarr", "a.zarr", "memory://a.zarr"),
        ("http://host/x/*.zarr?token=1", "a b.zarr", "http://host/x/a%20b.zarr?token=1"),
        ("data/*/x.zarr", "a/x.zarr", "/folder/data/a/x.zarr"),
    ],
)
def test_names_become_addresses(url: str, name: str, found: str) -> None:
    """Web addresses are quoted, and keep their query."""
    assert glob_of(url).entry_of(name).url == found


def test_ids_are_made_of_the_stores_names() -> None:
    """By the name without its extension, and by that of the folder, of the root's too."""
    assert glob_of("data/*.zarr", "x-{stem}").entry_of("a.b.zarr").id == "x-a.b"
    assert glob_of("data/*/x.zarr", "{parent}.{stem}").entry_of("a/x.zarr").id == "a.x"
    assert glob_of("s3://bucket/*.zarr", "{parent}-{stem}").entry_of("x.zarr").id == "bucket-x"


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a.zarr", "a"), ("a.2024", "a.2024"), ("a.v2.zip", "a.v2"), (".zarr", ".zarr"), ("a", "a")],
)
def test_an_extension_begins_with_a_letter(name: str, stem: str) -> None:
    """The year of a store's name is none."""
    assert stem_of(name) == stem


def test_wildcards_stand_for_no_leading_dot() -> None:
    """Hidden files are named by their dot."""
    assert glob_of("data/*").matches(0, "a.zarr")
    assert not glob_of("data/*").matches(0, ".a")
    assert glob_of("data/.*").matches(0, ".a")


def test_whoever_comes_first_has_the_id() -> None:
    """Entries of the file, then globs in their order, then the names of one in theirs."""
    catalog = catalog_of(
        'datasets: {"{stem}": {url: "s3://b/*"}, "{parent}-x": {url: "s3://c/*"},'
        ' a: {url: "s3://own/a"}}'
    )
    one, two = catalog.globs
    listings = Listings(ListingLimits(2, 2, 9))
    for glob, names in ((one, ["z.zarr", "a.zarr", "y.b", "y.a", "c c.zarr"]), (two, ["q"])):
        change = listings.change(glob, names)
        assert change is not None
        listings.apply(change)
        assert listings.change(glob, names) is None
    found = listings.expanded(catalog)
    assert list(found.catalog.entries) == ["a", "y", "z"]
    assert found.catalog.entries["y"].url == "s3://b/y.a"
    said = [str(one) for one in found.left_out]
    assert "s3://b/a.zarr: the id 'a' is that of s3://own/a" in said
    assert "s3://b/y.b: the id 'y' is that of s3://b/y.a" in said
    assert any(one.startswith("s3://b/c c.zarr: 'c c' is no id") for one in said)
    assert said[-1].startswith("s3://c/q and what follows it: there are more than the 2 datasets")
    again = listings.expanded(catalog).catalog.entries
    assert all(again[name] is entry for name, entry in found.catalog.entries.items())


def test_a_change_may_be_told_twice() -> None:
    """Two processes may have found the same."""
    glob, listings = glob_of("s3://b/*"), Listings(ListingLimits(9, 9, 9))
    assert not listings.knows(glob)
    for _ in range(2):
        listings.apply(NewNames(glob.place, ("a", "b"), ()))
    listings.apply(NewNames(glob.place, ("c",), ("a",)))
    assert listings.change(glob, ["b", "c"]) is None
    assert listings.change(glob, []) == NewNames(glob.place, (), ("b", "c"))
    empty = glob_of("s3://other/*")
    assert listings.change(empty, []) == NewNames(empty.place, (), ())


def test_what_lists_alike_has_one_place() -> None:
    """Other options may find others; a title finds the same."""
    places = {
        catalog_of(f'datasets: {{"{{stem}}": {{url: "s3://b/*", {more}}}}}').globs[0].place
        for more in ("title: a", "title: b", "storage_options: {anon: true}", "engine: obstore")
    }
    assert len(places) == 3


DEFAULTS = """
defaults:
  title: All
  storage_options: {key: k, anon: false, client_kwargs: {region_name: r, verify: false}}
datasets:
  a: {url: "s3://b/a"}
  b:
    url: "s3://b/b"
    title: B
    storage_options: {anon: true, key: null, client_kwargs: {verify: null}}
  c: {url: c.zarr, title: null, storage_options: null}
"""


def test_entries_inherit_what_they_do_not_say() -> None:
    """Options are joined at every depth; null takes one away, or all."""
    entries = catalog_of(DEFAULTS).entries
    assert [entry.title for entry in entries.values()] == ["All", "B", None]
    a, b, c = (dict(entry.storage_options) for entry in entries.values())
    assert a == {"key": "k", "anon": False, "client_kwargs": {"region_name": "r", "verify": False}}
    assert b == {"anon": True, "client_kwargs": {"region_name": "r"}}
    assert c == {}


def test_addresses_have_ids_of_their_own() -> None:
    """Numbers tell apart what is called alike; one address is one dataset."""
    urls = ["s3://b/air.zarr", "x/air.zarr", "s3://b/air-2.zarr", "http://h/my%20air.zarr?t=1"]
    assert list(ids_of(urls)) == ["air", "air-2", "air-2-2", "my-20air"]
    found = catalog_of_addresses([*urls, urls[0], "s3://b/${X}*", "s3://c/*"])
    assert list(found.entries) == ["air", "air-2", "air-2-2", "my-20air"]
    assert [glob.root for glob in found.globs] == ["s3://b", "s3://c"]
    assert found.entries["air-2"].url == str(Path("x/air.zarr").absolute())


@pytest.mark.parametrize("url", ["s3://b/...", "/", "s3://b/-.zarr"])
def test_a_store_without_a_name_is_refused(url: str) -> None:
    """No id is made up."""
    with pytest.raises(CatalogError, match="no id can be made of"):
        catalog_of_addresses([url])


def test_a_home_that_is_nobodys_is_refused() -> None:
    """A shell leaves the name as it is."""
    with pytest.raises(CatalogError, match="command line: ~nobody-of-this-name"):
        catalog_of_addresses(["~nobody-of-this-name/x.zarr"])


TREES = """
datasets:
  tree: {url: "s3://b/tree", group: "*", title: A tree, access: public}
  tree~a~b: {url: "s3://b/own"}
  "{stem}-x": {url: "s3://c/*", group: "*"}
"""


def test_groups_stand_in_the_place_of_their_entry() -> None:
    """Once they are known; before, it says that they are pending."""
    catalog, listings = catalog_of(TREES), Listings(ListingLimits(9, 4, 9))

    def learn(listed: Listed, *names: str) -> Expanded:
        change = listings.change(listed, names)
        assert change is not None
        listings.apply(change)
        return listings.expanded(catalog)

    found = learn(catalog.globs[0], "one", "two").catalog
    assert list(found.entries) == ["tree", "tree~a~b", "one-x", "two-x"]
    assert [found.entries[name].summary.get("groups") for name in ("tree", "tree~a~b")] == [
        "pending",
        None,
    ]
    assert found.is_pending("tree~q")
    assert found.is_pending("two-x")
    assert not found.is_pending("tree~a~b")
    assert not found.is_pending("other~q")
    expected = found.expected("tree~q~r")
    assert expected is not None
    assert (expected.group, expected.access) == ("q/r", "public")
    learn(found.trees["tree"], "", "a", "a/b", "c~d", "z z")
    expanded = learn(found.trees["two-x"], "m", "n", "o")
    ids = ["tree", "tree~a", "tree~a~b", "one-x", "two-x~m", "two-x~n"]
    assert list(expanded.catalog.entries) == ids
    assert expanded.catalog.entries["tree~a~b"].url == "s3://b/own"
    root, inner = expanded.catalog.entries["tree"], expanded.catalog.entries["tree~a"]
    assert isinstance(root, GroupEntry)
    assert isinstance(inner, GroupEntry)
    assert (root.levels, root.title, root.group) == (("",), "A tree", None)
    assert (inner.levels, inner.title, inner.group) == (("", "a"), "A tree: a", "a")
    assert [str(one).partition(":")[0] for one in expanded.left_out] == [
        "the group 'a/b'",
        "the group 'c~d'",
        "the group 'z z'",
        "the group 'o' and what follows it",
    ]
    again = listings.expanded(catalog).catalog.entries
    assert all(again[name] is entry for name, entry in expanded.catalog.entries.items())


def test_trees_of_one_store_are_listed_as_one() -> None:
    """Whatever is said of them that changes no group; another format may have others."""
    tree = catalog_of(TREES).trees["tree"]
    assert GroupTree.of(tree.entry.model_copy(update={"id": "b", "title": "c"})).place == tree.place
    assert GroupTree.of(tree.entry.model_copy(update={"zarr_format": 2})).place != tree.place
