"""What `check` says of broken stores, in words: no line has a word of the code below it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from . import broken_stores as broken
from .conftest import check

# Names of exceptions, Python's own words and values, and how its objects look.
CODE = re.compile(
    r"""
    \b\w*[a-z](Error|Exception|Warning)\b | Traceback | \bErrno\b | \bNone(Type)?\b
    | \b(True|False|self|lambda|kwargs|args|ndarray|numpy|np)\b | __\w+__ | \w\(\) | 0x[0-9a-f]{6}
    | (positional|keyword)[ ]argument | unexpected[ ]keyword | has[ ]no[ ]attribute | <class
    | [ ]object[ ]at[ ] | is[ ]not[ ](callable|iterable|subscriptable) | unhashable | to[ ]unpack
    | \b(dict|list|tuple|str|int|float|bytes|set|bool)\b[ ](object|indices) | isinstance
    | not[ ]'?(dict|list|tuple|str|int|float|bytes|set|bool)\b | dtype\( | literal[ ]for
    | index[ ]out[ ]of[ ]range | could[ ]not[ ]convert | \bmappingproxy\b | ssl:default
    | \{' | sequence[ ]element
    """,
    re.VERBOSE,
)


class Faulty(BaseHTTPRequestHandler):
    """A web server, and an S3, that refuses, fails and talks nonsense, by the path's first part."""

    S3 = {  # noqa: RUF012
        "denied": (403, "AccessDenied"),
        "absent": (404, "NoSuchBucket"),
        "broken": (500, "InternalError"),
        "keyless": (403, "InvalidAccessKeyId"),
        "redirected": (301, "PermanentRedirect"),
    }

    def do_GET(self) -> None:
        kind, _, rest = self.path.strip("/").partition("?")[0].partition("/")
        if kind in self.S3:
            status, code = self.S3[kind]
            self.answer(
                status, f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
            )
        elif kind.startswith("status-"):
            self.answer(int(kind[7:]), b"no")
        elif kind == "html":
            self.answer(200, b"<html>Welcome</html>")
        elif kind == "cut":
            self.answer(200, b"{", length=1000)
        elif kind == "garbage":
            self.wfile.write(b"I am no web server\r\n\r\n")
        elif kind == "file" and rest == "x.nc":
            self.answer(200, broken.FILES["four.nc"])
        else:
            self.answer(404, b"")

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def faulty() -> Iterator[str]:
    """The address of a `Faulty` server until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Severities and texts of the findings, by dataset, of all broken stores that we know."""
    folder = tmp_path_factory.mktemp("broken")
    stores: dict[str, broken.Entry] = {}
    for make in (
        broken.broken_v2,
        broken.broken_v3,
        broken.broken_documents,
        broken.broken_chunks,
        broken.odd_addresses,
    ):
        stores |= {name: {"url": str(path)} for name, path in make(folder)}
    stores |= dict(broken.broken_references(folder))
    stores |= dict(broken.wrong_entries(folder))
    with faulty() as web:
        stores |= dict(broken.behind_servers(web))
        # Those that fail for now are waited for.
        found = check(folder, stores, "--patience", "5")
    told: dict[str, list[tuple[str, str]]] = {name: [] for name in stores}
    for one in found:
        told[one["dataset"]].append((one["severity"], one["text"]))
    return told


def test_no_line_has_a_word_of_code(lines: dict[str, list[tuple[str, str]]]) -> None:
    """Whatever is broken: no class of an exception, no Python value, no trace."""
    wrong = [
        (name, text) for name, found in lines.items() for _, text in found if CODE.search(text)
    ]
    assert wrong == []


# What zarr, numcodecs, numpy and Python say of what is broken.
LIBRARIES = re.compile(
    r"codec can't decode|larger dtype|Exceeds the limit|Error -?\d|corrupt buffer|data stream"
    r"|in registered|slice encountered|\(none\)|'the root'|decompress(ing|ion)|Not a gzipped"
)


def test_no_line_repeats_what_a_library_says(lines: dict[str, list[tuple[str, str]]]) -> None:
    """What is damaged is said in the store's terms."""
    told = {name: " ".join(text for _, text in found) for name, found in lines.items()}
    assert {name: text for name, text in told.items() if LIBRARIES.search(text)} == {}
    assert "is not JSON: it is not UTF-8 at byte" in told["zattrs-latin-1"]
    assert "is not JSON: it is not UTF-8 at byte" in told["refs-latin"]
    assert "more than 4300 digits" in told["zattrs-digits"]
    assert "it is cut off" in told["refs-cut"]
    assert "a chunk decodes to 7 bytes" in told["chunk-None-odd"]
    assert "its bytes are damaged" in told["chunk-zlib-noise"]
    assert "its chunk_key_encoding 'roman' is not known here" in told["v3-keys-unknown"]
    assert "its url leads to a Zarr array" in told["array-only-2"]
    assert "its group leads to a Zarr array" in told["group-array"]


NAMES = ("self", "None", "argument", "out of range.zarr", "must be dict, not", "True", "ufunc")


def edit(document: dict[str, Any], **members: str) -> None:
    document.update(members)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """All lines of datasets whose addresses, groups, variables and values are words of code."""
    folder = tmp_path_factory.mktemp("named")
    good = broken.written(folder / "good.zarr", 2, consolidated=False)
    stores: dict[str, broken.Entry] = {}
    for n, name in enumerate(NAMES):
        stores[f"address-{n}"] = {"url": f"{folder}/{name}/x.zarr"}
        stores[f"group-{n}"] = {"url": str(good), "group": name}
        odd = broken.written(folder / f"odd-{n}.zarr", 2, consolidated=False)
        (odd / "t").rename(odd / name)
        broken.edited(odd / name / ".zattrs", partial(edit, scale_factor=name))
        broken.edited(odd / "u" / ".zarray", partial(edit, fill_value=name))
        stores[f"values-{n}"] = {"url": str(odd)}
        refs = {**broken.zarr_references(folder / f"refs-{n}"), "t/0.0.0": [f"/{name}/x", 0, 48]}
        document = folder / f"refs-{n}.json"
        document.write_text(json.dumps(refs))
        stores[f"reference-{n}"] = {
            "url": "reference://",
            "storage_options": {"fo": str(document)},
        }
    told = dict.fromkeys(stores, "")
    for one in check(folder, stores):
        told[one["dataset"]] += f"{one['where']}: {one['text']}\n"
    return told


@pytest.mark.parametrize("n", range(len(NAMES)))
def test_an_operators_own_words_stay_as_they_are(named: dict[str, str], n: int) -> None:
    """Addresses, groups, variables, values and references, whatever they are called."""
    name = NAMES[n]
    assert f"/{name}/x.zarr" in named[f"address-{n}"]
    assert f" group '{name}' in this store" in named[f"group-{n}"]
    assert f"its attribute scale_factor is '{name}', which is no number" in named[f"values-{n}"]
    assert f"its fill_value '{name}' is no value" in named[f"values-{n}"]
    assert f"/{name}/x is refused" in named[f"reference-{n}"]
    assert "of the kind that belongs there" not in "".join(
        text for key, text in named.items() if key.endswith(f"-{n}")
    )
