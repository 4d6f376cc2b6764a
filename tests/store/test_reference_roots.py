"""What references may read: roots, spellings of the same place, and what the refusal names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sluice.errors import CatalogError, ReferenceRefused
from sluice.store.reference_roots import ReferenceRoots, check_root


def roots(fo: Any, *more: str, **options: Any) -> ReferenceRoots:
    return ReferenceRoots.of({"fo": fo, **options}, more)


@pytest.mark.parametrize(
    ("fo", "target"),
    [
        ("/data/refs.json", "s3://any/key"),
        ("/data/refs.json", "gs://any/key"),
        ("/data/refs.json", "az://any/key"),
        ("/data/refs.json", "https://example.org/x?token=a/../b"),
        ("https://example.org/a/refs.json", "https://example.org/a/b/x.nc"),
        ("https://example.org/a/refs.json?sig=1/2", "https://EXAMPLE.org:443/a/x.nc"),
        ("http://127.0.0.1:9/a/refs.json", "http://127.0.0.1:9/a/x.nc"),
        ("s3://bucket/a/refs.json", "s3a://bucket/a/x"),
        ("s3://bucket/a/refs.parq/", "s3://bucket/a/x"),
        ("abfss://box@account.dfs.core.windows.net/a/r.json", "az://box/a/x"),
        ("gs://bucket/refs.json", "gcs://bucket/any/thing"),
        ("memory://refs.json", "memory://any/thing"),
    ],
)
def test_what_is_read_by_default(fo: str, target: str) -> None:
    """Local documents read buckets and the public web, others what lies beside them."""
    roots(fo).admit(target)


@pytest.mark.parametrize(
    ("fo", "target"),
    [
        ("/data/refs.json", "memory://x"),
        ("/data/refs.json", "http://127.0.0.1/x"),
        ("/data/refs.json", "http://localhost:8080/x"),
        ("/data/refs.json", "http://user:pass@169.254.169.254/x"),
        ("/data/refs.json", "http://[::ffff:127.0.0.1]/x"),
        ("/data/refs.json", "http://2130706433/x"),
        ("/data/refs.json", "http://127.0.0.1./x"),
        ("/data/refs.json", "https://example.org/a/../x"),
        ("/data/refs.json", "https:///x"),
        ("/data/refs.json", "simplecache::s3://b/k"),
        ("/data/refs.json", "zip://a::s3://b/k.zip"),
        ("/data/refs.json", "reference://x"),
        ("/data/refs.json", "ftp://example.org/x"),
        ("/data/refs.json", "HTTP://127.0.0.1/x"),
        ("https://example.org/a/refs.json", "https://example.org/b/x"),
        ("https://example.org/a/refs.json", "https://example.org/ab/x"),
        ("https://example.org/a/refs.json", "https://example.org:8443/a/x"),
        ("https://example.org/a/refs.json", "http://example.org/a/x"),
        ("https://example.org/a/refs.json", "https://example.org/a/%2e%2e/b"),
        ("https://example.org/a/refs.json", "https://example.org/a/%252e%252e/b"),
        ("https://example.org/a/refs.json", "https://example.org/a/..\\b"),
        ("https://example.org/a/refs.json", "https://example.org@evil.example/a/x"),
        ("https://example.org/a/refs.json", "s3://bucket/x"),
        ("s3://bucket/a/refs.json", "s3://bucket/b"),
        ("s3://bucket/a/refs.json", "s3://bucket/a/../b"),
        ("s3://bucket/a/refs.json", "s3://bucket/a%2F..%2Fb"),
        ("s3://bucket/a/refs.json", "s3://other/a/x"),
        ("s3://bucket/a/refs.json", "s3://bucket@other/a/x"),
        ("s3://bucket/a/refs.json", "https://bucket.s3.amazonaws.com/a/x"),
        ("simplecache::s3://bucket/a/r.parq", "s3://bucket/a/x"),
        ({"refs": {}}, "http://10.0.0.1/x"),
    ],
)
def test_what_is_refused(fo: Any, target: str) -> None:
    """Another place, another spelling of it, or what nothing here reads."""
    with pytest.raises(ReferenceRefused):
        roots(fo).admit(target)


@pytest.mark.parametrize(
    ("target", "root"),
    [
        ("https://example.org/b/x.nc", "https://example.org/b/"),
        ("http://127.0.0.1:9/x", "http://127.0.0.1:9/"),
        ("http://[::1]:9/a/x", "http://[::1]:9/a/"),
        ("s3://bucket/b/c/x", "s3://bucket/b/c/"),
        ("memory://a/x", "memory:///a/"),
    ],
)
def test_the_refusal_names_the_root_to_add(target: str, root: str) -> None:
    """What it names admits the target, and no sibling."""
    with pytest.raises(ReferenceRefused, match="reference_roots") as caught:
        roots("https://elsewhere.example/r.json").admit(target)
    assert caught.value.facts["root"] == root
    allowed = roots("https://elsewhere.example/r.json", root)
    assert allowed.admit(target).named
    with pytest.raises(ReferenceRefused):
        allowed.admit(target.replace("://", "://other"))


def test_a_protocol_alone_is_a_root_but_for_inner_addresses() -> None:
    """``https://`` admits the public web for a document that came from elsewhere."""
    allowed = roots("s3://bucket/refs.json", "https://", "gs://")
    assert not allowed.admit("https://example.org/x").named
    allowed.admit("gs://any/x")
    with pytest.raises(ReferenceRefused):
        allowed.admit("https://127.0.0.1/x")
    with pytest.raises(ReferenceRefused):
        allowed.admit("az://box/x")


def test_credentials_go_to_hosts_that_the_entry_names() -> None:
    """Headers among the options are for named roots: a document could name its author's host."""
    options = {"remote_protocol": "https", "remote_options": {"headers": {"Authorization": "x"}}}
    for given in (options, {"remote_options": {"client_kwargs": {"auth": "x"}}}):
        with pytest.raises(ReferenceRefused):
            roots("/data/refs.json", **given).admit("https://example.org/x")
    allowed = roots("/data/refs.json", "https://example.org/", **options)
    assert allowed.admit("https://example.org/x").named


def test_files_are_known_by_where_they_really_are(tmp_path: Path) -> None:
    """Relative paths start at the document; links and dots count for where they lead."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for path in (tmp_path / "secret", folder / "x.nc", folder / "deep" / "y.nc"):
        path.write_bytes(b"")
    (folder / "link").symlink_to(tmp_path)
    (folder / "inward").symlink_to(folder / "deep")
    own = roots(str(folder / "refs.json"))
    for good in (
        "x.nc",
        "./deep/../x.nc",
        "inward/y.nc",
        f"file://{folder}/x.nc",
        f"{folder}/x.nc",
    ):
        assert Path(own.real_path(own.admit(good).address)).name in ("x.nc", "y.nc"), good
    bad = ["../secret", "link/secret", f"file://{tmp_path}/secret", "/etc/passwd", f"{folder}x"]
    for target in [*bad, "local:///etc/passwd", "file:///proc/self/environ", "in/../../secret"]:
        with pytest.raises(ReferenceRefused, match="reference_roots"):
            own.real_path(own.admit(target).address)
    with pytest.raises(ReferenceRefused, match="NUL"):
        own.admit("a\0b")
    wide = roots(str(folder / "refs.json"), str(tmp_path))
    assert wide.real_path(wide.admit("../secret").address)


def test_an_address_without_a_protocol_has_that_of_the_entry() -> None:
    """With `remote_protocol: s3`, bucket/key is no local path."""
    own = roots("s3://bucket/a/refs.json", remote_protocol="s3")
    assert own.admit("bucket/a/x").address == "s3://bucket/a/x"
    with pytest.raises(ReferenceRefused):
        own.admit("/etc/passwd")


@pytest.mark.parametrize("root", ["", " ", "ftp://x", "https://h/a/../b", "a\0b", "x::s3://b"])
def test_wrong_roots_are_refused(root: str) -> None:
    """An entry with what can be no root is refused when the catalog is read."""
    with pytest.raises(CatalogError) as caught:
        check_root(root)
    assert caught.value.facts == {"field": "reference_roots"}
