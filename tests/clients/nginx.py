"""nginx on loopback, as anybody may run it: one worker, its files in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtests.bench.servers.nginx import command
from loadtests.ground import free_port, running, wait_until_it_answers
from tests.clients.programs import program

_SERVER = """location / {{
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      {location}
    }}"""


@contextmanager
def nginx(folder: Path, location: str, http: str = "") -> Iterator[int]:
    """The port of one that passes everything on as `location` says, once the service answers.

    `http` is what its configuration says beside the server. Skips where nginx is not here.
    """
    port, log = free_port(), folder / "nginx.log"
    server = _SERVER.format(location=location)
    words = command(program("nginx"), folder, port, server, http)
    with running(words, log) as started:
        wait_until_it_answers(started, f"http://127.0.0.1:{port}/healthz", log)
        yield port
