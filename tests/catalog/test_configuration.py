"""API keys: what a line says, what is refused, and what a key opens."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from app.api.requests import is_public
from app.catalog.catalog import Catalog
from app.catalog.configuration import (
    RIGHTS,
    Files,
    FileTexts,
    Keys,
    check_holders,
    key_line,
    new_key,
    parse_keys,
)
from app.catalog.entry import DatasetEntry
from app.catalog.globs import Glob, GroupTree
from sluice.errors import CatalogError

DIGEST = sha256(b"geheim").hexdigest()


def entry(name: str = "a", access: str | tuple[str, ...] | None = None) -> DatasetEntry:
    given = [*access] if isinstance(access, tuple) else access
    return DatasetEntry.model_validate({"id": name, "url": "x.zarr", "access": given})


def test_a_line_says_all_of_a_key() -> None:
    """Name, hash, rights and datasets; comments and empty lines say nothing."""
    text = f"# ours\n\nteam {DIGEST} admin # all of it\nguest {DIGEST.upper()} metrics datasets=a,b"
    team, guest = parse_keys(text, "keys")
    assert (team.name, team.digest, team.datasets) == ("team", bytes.fromhex(DIGEST), None)
    assert [right for right in RIGHTS if team.has_right(right)] == ["admin", "metrics"]
    assert (guest.name, guest.datasets) == ("guest", frozenset("ab"))
    assert [right for right in RIGHTS if guest.has_right(right)] == ["metrics"]


def test_a_semicolon_ends_a_line_too() -> None:
    """An environment variable of one line holds several keys."""
    keys = parse_keys(f"a {DIGEST}; b {DIGEST} admin;", "SLUICE_KEYS")
    assert [key.name for key in keys] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("team", "keys: line 1: expected a name and a SHA-256"),
        (f"\n-team {DIGEST}", "keys: line 2: expected a name and a SHA-256"),
        ("team geheim-canary", "keys: line 1: the second word is not a SHA-256"),
        (f"team {DIGEST} canary", "keys: line 1: after the SHA-256 there may be admin, metrics"),
        (f"team {DIGEST} datasets=", "keys: line 1: datasets= wants ids"),
        (f"team {DIGEST} datasets=a,/b", "keys: line 1: datasets= wants ids"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_and_not_repeated(text: str, sentence: str) -> None:
    """It may hold a plain key by mistake."""
    with pytest.raises(CatalogError) as caught:
        parse_keys(text, "keys")
    assert sentence in str(caught.value)
    assert "canary" not in str(caught.value)


def test_keys_come_from_a_file_and_the_environment(tmp_path: Path) -> None:
    """Both hold; a file that cannot be read is a CatalogError."""
    path = tmp_path / "keys"
    path.write_text(f"a {DIGEST}\n")
    files = Files(tmp_path / "none.yaml", path, f"b {DIGEST}", urls=("x.zarr",))
    assert [key.name for key in files.parse(files.read()).keys] == ["a", "b"]
    assert replace(files, keys=None, more_keys="").parse(FileTexts("")).keys == ()
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(CatalogError, match="the keys cannot be read"):
            replace(files, keys=wrong).read()
    path.write_bytes(b"\xff")
    with pytest.raises(CatalogError, match="not UTF-8"):
        files.read()


@pytest.mark.parametrize("dataset_id", ["a#b", "a;b", "a b", "", "ä"])
def test_no_line_is_made_for_what_is_no_id(dataset_id: str) -> None:
    """A line that begins a comment in an id would be a key for another dataset."""
    with pytest.raises(CatalogError, match="datasets= wants ids"):
        key_line("team", "k", [], ["b", dataset_id])


def test_a_new_key_fits_its_line() -> None:
    """Two keys of one name are valid at once; no other text is, and nothing shows a hash."""
    old, new = new_key(), new_key()
    assert old != new
    keys = Keys(
        parse_keys("\n".join(key_line("team", key, ["admin"], ["a"]) for key in (old, new)), "k")
    )
    found = [keys.find(key.encode()) for key in (old, new)]
    assert [key.name for key in found if key] == ["team", "team"]
    assert keys.find(b"") is keys.find(old[:-1].encode()) is keys.find(b"\xff") is None
    assert "digest" not in repr(next(iter(keys)))
    keys.replace(parse_keys(key_line("team", new, [], []), "k"))
    assert keys.find(old.encode()) is None
    left = keys.find(new.encode())
    assert left is not None
    assert left.datasets is None


@pytest.mark.parametrize(
    ("line", "opened"),
    [
        ("team", {"free", "any", "ours"}),
        ("other", {"free", "any"}),
        ("team datasets=any", {"any", "free"}),
        ("other datasets=ours", {"free"}),
        ("other admin", {"free", "any"}),
    ],
)
def test_neither_the_key_nor_the_dataset_may_keep_it_out(line: str, opened: set[str]) -> None:
    """A right opens no dataset; what is public needs no key."""
    name, *words = line.split()
    (key,) = parse_keys(" ".join([name, DIGEST, *words]), "keys")
    entries = [entry("free", "public"), entry("any"), entry("ours", ("team", "boss"))]
    keys = Keys([key])
    assert {e.id for e in entries if is_public(keys, e) or key.opens(e)} == opened


def test_without_keys_all_is_public_but_what_names_keys() -> None:
    """A list of names keeps its word when there is nobody of that name."""
    assert is_public(Keys(), entry())
    assert not is_public(Keys(), entry(access=("team",)))


def test_misspelt_names_are_refused() -> None:
    """A name on either side that the other does not know is an error at the start."""
    (key,) = parse_keys(f"team {DIGEST} datasets=a", "keys")
    check_holders(Catalog({"a": entry(access=("team",))}), [key])
    with pytest.raises(CatalogError, match="dataset 'a': access: there is no key named 'teem'"):
        check_holders(Catalog({"a": entry(access=("teem",))}), [key])
    with pytest.raises(CatalogError, match="key 'team': there is no dataset 'a'"):
        check_holders(Catalog({"b": entry("b")}), [key])


@pytest.mark.parametrize("access", ["private", [], [1], {"team": 1}, True])
def test_access_is_public_or_a_list_of_names(access: object, tmp_path: Path) -> None:
    """Anything else is refused in one sentence."""
    import yaml

    from app.catalog.catalog import load_catalog

    path = tmp_path / "catalog.yaml"
    path.write_text(yaml.safe_dump({"datasets": {"a": {"url": "x", "access": access}}}))
    with pytest.raises(CatalogError, match=r"access: expected 'public' or a list with the names"):
        load_catalog(path)


def test_patterns_name_datasets_that_come_later() -> None:
    """They open what they match; one that can match nothing is a misspelling."""
    (key,) = parse_keys(f"team {DIGEST} datasets=era5-*,a?c,one", "keys")
    opened = [name for name in ("era5-x", "abc", "one", "era5", "ac", "on") if key.names(name)]
    assert opened == ["era5-x", "abc", "one"]
    (key,) = parse_keys(f"team {DIGEST} datasets=era5-*", "keys")
    check_holders(Catalog({"era5-x": entry("era5-x")}), [key])
    with pytest.raises(CatalogError, match=r"there is no dataset that matches 'era5-\*'"):
        check_holders(Catalog({"b": entry("b")}), [key])


def test_what_a_glob_may_bring_may_be_named() -> None:
    """By a pattern, or by an id that its template can become."""
    glob = Glob.of(DatasetEntry(id="x-{stem}", url="s3://bucket/*"))
    for named, fits in (("x-1", True), ("y-*", True), ("y-1", False)):
        (key,) = parse_keys(f"team {DIGEST} datasets={named}", "keys")
        if fits:
            check_holders(Catalog({}, (glob,)), [key])
            continue
        with pytest.raises(CatalogError, match="there is no dataset 'y-1'"):
            check_holders(Catalog({}, (glob,)), [key])


def test_groups_are_named_by_their_entry_or_by_a_pattern() -> None:
    """Before they are known, too; a key that can open none is a misspelling."""
    tree = DatasetEntry(id="tree", url="s3://bucket/tree", group="*")
    trees = {"tree": GroupTree.of(tree)}
    opened = {"tree": True, "tree~a~b": True, "tree~a*": True, "tre*": True, "*~a": True}
    for named, opens in {**opened, "tree~b": False}.items():
        (key,) = parse_keys(f"team {DIGEST} datasets={named}", "keys")
        check_holders(Catalog({"tree": tree}, (), trees), [key])
        assert key.opens(trees["tree"].entry_of("a/b")) is (opens and named != "*~a")
    for named in ("trees~a", "tree-*", "x*"):
        (key,) = parse_keys(f"team {DIGEST} datasets={named}", "keys")
        with pytest.raises(CatalogError, match="there is no dataset"):
            check_holders(Catalog({"tree": tree}, (), trees), [key])
