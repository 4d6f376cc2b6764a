"""What a reference document may read: what its entry names, and nothing else."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from loadtests.attack.references import LENGTH, SECRET, Web, document, entries, web

from .conftest import Serve, Service, check

# References that are none, beside a sound one.
MALFORMED: dict[str, Any] = {
    "null": None,
    "number": 5,
    "short": ["data", 0],
    "half": ["data", 0.5, LENGTH],
    "one-null": ["data", 0, None],
    "negative": ["data", -1, LENGTH],
    "truth": ["data", False, LENGTH],
    "no-address": [5, 0, LENGTH],
    "empty": [],
    "ftp": ["ftp://example.org/data", 0, LENGTH],
    "chained": ["zip://data::s3://bucket/x.zip", 0, LENGTH],
    "through": ["reference://data", 0, LENGTH],
}
# Those that have one reading.
WHOLE: dict[str, Any] = {
    "floats": ["data", 0.0, float(LENGTH)],
    "nulls": ["data", None, None],
    "capitals": ["FILE://{docs}/data", 0, LENGTH],
    "capitals-web": ["HTTP://{web}/docs/deep/data", 0, LENGTH],
}


@dataclass(frozen=True)
class Ground:
    """A service over documents, the web servers that they name, and the ids of the evil ones."""

    service: Service
    owner: Web
    inner: Web
    evil: tuple[str, ...]
    folder: Path


def entry(fo: Any, *roots: str, **options: Any) -> Mapping[str, Any]:
    found = {"url": "reference://", "storage_options": {"fo": fo, **options}}
    return {**found, "reference_roots": list(roots)} if roots else found


def sound(folder: Path, owner: Web, inner: Web) -> dict[str, Mapping[str, Any]]:
    """Entries whose documents read what they may."""
    docs, secret = folder / "docs", folder / "secret"
    (docs / "below").mkdir()
    (docs / "below" / "data").write_bytes(SECRET)
    (docs / "data").write_bytes(SECRET)
    owner.values["/docs/deep/data"] = owner.values["/docs/da ta"] = SECRET
    owner.redirects["/docs/moved"] = "deep/data"
    targets = {
        "absolute": f"{docs}/data",
        "below": f"file://{docs}/below/data",
        "relative": "below/data",
        "inside-dots": "below/../data",
    }
    found: dict[str, Mapping[str, Any]] = {}
    for name, target in targets.items():
        path = docs / f"sound-{name}.json"
        path.write_text(json.dumps(document(target)))
        found[f"sound-{name}"] = entry(str(path))
    addresses = {
        "web": f"{owner.address}/docs/deep/data",
        "web-quoted": f"{owner.address}/docs/da%20ta",
        "web-moved": f"{owner.address}/docs/moved",
    }
    for name, target in addresses.items():
        owner.values[f"/docs/sound {name}.json"] = json.dumps(document(target)).encode()
        found[f"sound-{name}"] = entry(f"{owner.address}/docs/sound%20{name}.json?signed=a/b")
    inline = document("base64:")
    inline["refs"]["v/0"] = SECRET.decode()
    found["sound-inline"] = entry(inline)
    found["sound-template"] = entry(document("{{ u }}/data", templates={"u": str(docs)}), str(docs))
    # What is refused to others is read once the entry names it.
    wide = [str(folder), inner.address, f"{owner.address}/docs-other/"]
    named = {
        "file": f"file://{secret}",
        "climbing": "../secret",
        "link": "link/secret",
        "inner": f"{inner.address}/secret",
        "owner": f"{owner.address}/docs-other/secret",
    }
    for name, target in named.items():
        path = docs / f"named-{name}.json"
        path.write_text(json.dumps(document(target)))
        found[f"named-{name}"] = entry(str(path), *wide)
    return found


def odd(docs: Path, owner: Web) -> dict[str, Mapping[str, Any]]:
    """Entries whose documents have a reference for `w` that is none, or oddly written."""
    host = owner.address.partition("://")[2]
    found: dict[str, Mapping[str, Any]] = {}
    for name, reference in {**MALFORMED, **WHOLE}.items():
        made = document("data")
        if name.startswith("capitals"):
            reference = [reference[0].format(docs=docs, web=host), *reference[1:]]
        refs = made["refs"]
        refs |= {"w/.zarray": refs["v/.zarray"], "w/.zattrs": refs["v/.zattrs"], "w/0": reference}
        (docs / f"odd-{name}.json").write_text(json.dumps(made))
        roots = [owner.address] if name == "capitals-web" else []
        found[f"odd-{name}"] = entry(str(docs / f"odd-{name}.json"), *roots)
    return found


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, serve: Serve) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("references")
    with web() as owner, web() as inner:
        evil = entries(folder, owner, inner)
        good = sound(folder, owner, inner) | odd(folder / "docs", owner)
        service = serve({**evil, **good}, SLUICE_STORE_ATTEMPTS="1")
        yield Ground(service, owner, inner, tuple(evil), folder)


def test_no_document_reads_what_its_entry_does_not_name(ground: Ground) -> None:
    """Files, links, inner servers, redirects, templates: each a 502, and nobody inside is asked."""
    for name in ground.evil:
        answer = ground.service.get(f"/datasets/{name}/isel?f=json")
        assert answer.status_code == 502, (name, answer.text)
        kinds = ["reference-refused", "misconfigured", "store-metadata"]
        if name in ("local-quoted", "web-redirect-linked"):  # below their roots, and not there
            kinds.append("store-missing")
        if "inner-resolved" in name:  # of this name no server tells here
            kinds.append("store-failed")
        assert answer.json()["type"].rpartition(":")[2] in kinds, (name, answer.text)
        assert "secret" not in answer.text
    assert ground.inner.asked == []
    assert "/secret" not in ground.owner.asked
    log = ground.service.log.read_text()
    assert f"add {str(ground.folder)!r} to reference_roots" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "name",
    [
        *("sound-absolute", "sound-below", "sound-relative", "sound-inside-dots", "sound-web"),
        *("sound-web-quoted", "sound-web-moved", "sound-inline", "sound-template", "named-file"),
        *("named-climbing", "named-link", "named-inner", "named-owner"),
    ],
)
def test_documents_read_what_is_theirs(ground: Ground, name: str) -> None:
    """What lies beside or below a document, what stands in it, and what its entry names."""
    answer = ground.service.get(f"/datasets/{name}/isel?f=json")
    assert answer.status_code == 200, answer.text
    assert bytes(answer.json()["data_vars"]["v"]["data"]) == SECRET


@pytest.mark.parametrize("name", [*WHOLE, *MALFORMED])
def test_a_malformed_reference_fails_alone(ground: Ground, name: str) -> None:
    """Its own chunk cannot be read, or can where one reading is right; all others are served."""
    path = f"/datasets/odd-{name}/isel"
    answer = ground.service.get(path, params={"variables": "v"})
    assert answer.status_code == 200, answer.text
    assert bytes(answer.json()["data_vars"]["v"]["data"]) == SECRET
    odd = ground.service.get(path, params={"variables": "w"})
    if name in WHOLE:
        assert odd.status_code == 200, odd.text
        assert bytes(odd.json()["data_vars"]["w"]["data"]) == SECRET
    else:
        assert odd.status_code == 502, odd.text
        kind = odd.json()["type"].rpartition(":")[2]
        assert kind in ("store-metadata", "reference-refused"), odd.text
        assert "w/0" in ground.service.log.read_text()


def test_the_check_names_malformed_references(ground: Ground, tmp_path: Path) -> None:
    """With the key, and that the document is to be mended; nothing is said of the sound one."""
    found = check(
        tmp_path,
        {name: entry(str(ground.folder / "docs" / f"odd-{name}.json")) for name in MALFORMED},
    )
    for name in MALFORMED:
        errors = [one for one in found if one["dataset"] == name and one["severity"] == "error"]
        assert errors, name
        assert all("w" in str(one["where"]) or "w/0" in one["text"] for one in errors), errors


def test_the_check_names_the_root_to_add(ground: Ground, tmp_path: Path) -> None:
    """Whoever trusts the document finds the line to write."""
    path = ground.folder / "docs" / "file.json"
    found = check(tmp_path, {"a": entry(str(path))})
    assert any(f"add {str(ground.folder)!r} to reference_roots" in one["text"] for one in found)
    assert [one["severity"] for one in found if "reference_roots" in one["text"]] == ["error"]


def test_a_name_that_leads_inside_is_refused(ground: Ground, serve: Serve, tmp_path: Path) -> None:
    """What counts is where a name leads when it is connected to."""
    name = socket.gethostname()
    try:
        addresses = {found[4][0] for found in socket.getaddrinfo(name, 80)}
    except OSError:
        addresses = set()
    if not addresses or any(ip_address(address).is_global for address in map(str, addresses)):
        pytest.skip("the name of this machine does not resolve to an inner address")
    path = tmp_path / "refs.json"
    path.write_text(json.dumps(document(f"http://{name}:{ground.inner.port}/secret")))
    service = serve({"a": entry(str(path))})
    answer = service.get("/datasets/a/isel")
    assert answer.json()["type"].endswith("reference-refused"), answer.text
    assert f"http://{name}:{ground.inner.port}/" in service.log.read_text()


# What writes these tables is fastparquet, as kerchunk does; pandas would like another engine.
@pytest.mark.filterwarnings("ignore:The 'fastparquet' engine")
def test_tables_are_held_to_the_same_roots(ground: Ground, serve: Serve, tmp_path: Path) -> None:
    """References in Parquet read what lies beside the table; not what lies elsewhere."""
    pytest.importorskip("fastparquet")
    pandas = pytest.importorskip("pandas")
    (tmp_path / "data").write_bytes(SECRET)
    found = {}
    secret = ground.folder / "secret"
    for name, target in {
        "good": f"{tmp_path}/data",
        "bad": str(secret),
        "web": "http://127.0.0.1:1/x",
    }.items():
        refs = document("")["refs"]
        table = tmp_path / f"{name}.parq"
        (table / "v").mkdir(parents=True)
        metadata = {key: value for key, value in refs.items() if "/.z" in key or key[0] == "."}
        (table / ".zmetadata").write_text(json.dumps({"metadata": metadata, "record_size": 1}))
        rows = {"path": [target], "offset": [0], "size": [LENGTH], "raw": [None]}
        pandas.DataFrame(rows).to_parquet(table / "v" / "refs.0.parq", engine="fastparquet")
        found[name] = entry(f"{table}/", remote_protocol="file")
    service = serve(found)
    good = service.get("/datasets/good/isel")
    assert bytes(good.json()["data_vars"]["v"]["data"]) == SECRET, good.text
    for name in ("bad", "web"):
        answer = service.get(f"/datasets/{name}/isel")
        assert answer.json()["type"].endswith("reference-refused"), answer.text
