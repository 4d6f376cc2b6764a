"""Reference documents that want what is not theirs: files of the service, and servers inside.

Each is a sound Zarr store of bytes whose one chunk lies where a secret is; an answer of 200 with
the secret in it is what the attacker wants. Documents are files here, or come from a web server
that also redirects wherever it is told to.
"""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from loadtests.attack.stage import Figure, Stage

SECRET: Final = b"attack-at-dawn-!"
LENGTH: Final = len(SECRET)

Document = dict[str, Any]


def document(target: str, **more: Any) -> Document:
    """A store with one variable `v` of bytes, whose chunk is the first of `target`."""
    zarray = {
        "zarr_format": 2,
        "shape": [LENGTH],
        "chunks": [LENGTH],
        "dtype": "|u1",
        "compressor": None,
        "filters": None,
        "fill_value": None,
        "order": "C",
    }
    refs = {
        ".zgroup": {"zarr_format": 2},
        "v/.zarray": zarray,
        "v/.zattrs": {"_ARRAY_DIMENSIONS": ["x"]},
        "v/0": [target, 0, LENGTH],
    }
    return {"version": 1, "refs": refs, **more}


@dataclass
class Web:
    """A web server on loopback: values by path, redirects by path, and what it was asked."""

    values: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """Its root, without the slash."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web() -> Iterator[Web]:
    """A `Web` that runs until the block ends."""
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            state.asked.append(path)
            elsewhere = state.redirects.get(path)
            body = state.values.get(unquote(path))
            self.send_response(302 if elsewhere else 404 if body is None else 200)
            if elsewhere:
                self.send_header("Location", elsewhere)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def targets(secret: Path, inner: Web) -> Mapping[str, str]:
    """Addresses of the secret in a file and behind the inner server, in many spellings."""
    host, number = f"127.0.0.1:{inner.port}", 0x7F000001
    return {
        "file": f"file://{secret}",
        "local": f"local://{secret}",
        "path": f"{secret}",
        "climbing": f"../{secret.name}",
        "climbing-file": f"file://../{secret.name}",
        "linked": "link/secret",
        "environ": "/proc/self/environ",
        "passwd": "file:///etc/passwd",
        "quoted": f"file://{secret.parent}/docs/%2e%2e/{secret.name}",
        "chained": f"simplecache::file://{secret}",
        "chained-local": f"local::{secret}",
        "zip": f"zip://{secret.name}::file://{secret}.zip",
        "reference": f"reference://::file://{secret}",
        "inner": f"http://{host}/secret",
        "inner-user": f"http://public.example@{host}/secret",
        "inner-name": f"http://localhost:{inner.port}/secret",
        "inner-dot": f"http://localhost.:{inner.port}/secret",
        "inner-number": f"http://{number}:{inner.port}/secret",
        "inner-hex": f"http://{number:#x}:{inner.port}/secret",
        "inner-short": f"http://127.1:{inner.port}/secret",
        "inner-any": f"http://0.0.0.0:{inner.port}/secret",
        "inner-mapped": f"http://[::ffff:127.0.0.1]:{inner.port}/secret",
        "inner-resolved": f"http://127.0.0.1.nip.example:{inner.port}/secret",
        "metadata": "http://169.254.169.254/latest/meta-data/",
    }


def tricks(secret: Path, owner: Web, inner: Web) -> Iterator[tuple[str, Document]]:
    """Documents that lead to a secret by another way than the address of a reference."""
    for name, target in targets(secret, inner).items():
        owner.redirects[f"/docs/{name}"] = target
        yield f"redirect-{name}", document(f"{owner.address}/docs/{name}")
    owner.redirects["/docs/first"] = f"{owner.address}/docs/file"
    yield "redirect-twice", document(f"{owner.address}/docs/first")
    yield "root-climbing", document(f"{owner.address}/docs/../secret")
    yield "root-quoted", document(f"{owner.address}/docs/%2e%2e/secret")
    yield "root-sibling", document(f"{owner.address}/docs-other/secret")
    named = {"templates": {"u": f"file://{secret}"}}
    yield "template", document("{{u}}", **named)
    yield "template-expression", document("{{u.__class__}}", **named)
    yield (
        "template-function",
        document("{{f(c='x')}}", templates={"f": f"file://{secret}" + "{{c}}"}),
    )
    rule = {"key": "v/0", "url": f"file://{secret}", "offset": "0", "length": f"{LENGTH}"}
    yield (
        "generated",
        document(f"file://{secret}", gen=[{**rule, "dimensions": {"i": {"stop": 1}}}]),
    )


def entries(folder: Path, owner: Web, inner: Web) -> dict[str, Mapping[str, Any]]:
    """Catalog entries over all documents: as files of `folder`/docs, and fetched from `owner`."""
    docs, secret = folder / "docs", folder / "secret"
    docs.mkdir(parents=True)
    (docs / "link").symlink_to(folder)
    secret.write_bytes(SECRET)
    inner.values["/secret"] = SECRET
    owner.values |= {"/secret": SECRET, "/docs-other/secret": SECRET}
    tried = {name: document(target) for name, target in targets(secret, inner).items()}
    tried |= dict(tricks(secret, owner, inner))
    found: dict[str, Mapping[str, Any]] = {}
    for name, content in tried.items():
        text = json.dumps(content).encode()
        (docs / f"{name}.json").write_bytes(text)
        owner.values[f"/docs/{name}.json"] = text
        for kind, fo in (
            ("local", f"{docs / name}.json"),
            ("web", f"{owner.address}/docs/{name}.json"),
        ):
            found[f"{kind}-{name}"] = {"url": "reference://", "storage_options": {"fo": fo}}
    return found


def leaked(address: str, dataset: str) -> bool:
    """Whether the service at `address` gives away what a dataset's reference points to."""
    try:
        with urllib.request.urlopen(
            f"{address}/datasets/{dataset}/isel?f=csv", timeout=60
        ) as answer:
            return bool(answer.read())
    except urllib.error.HTTPError as refused:
        refused.close()
        return False


def attack(stage: Stage) -> Iterable[Figure]:
    """How many secrets the documents got, and how often the inner server was asked."""
    with web() as owner, web() as inner:
        tried = entries(stage.folder / "stores", owner, inner)
        with stage.serving(tried, SLUICE_STORE_ATTEMPTS="1") as target:
            secrets = sum(leaked(target.address, name) for name in tried)
        asked = len(inner.asked)
    yield Figure(f"references: secrets read, of {len(tried)}", secrets, 0)
    yield Figure("references: requests to a server inside", asked, 0)
