"""Serve the sample and show three requests with the answers that the running server gives.

``python -m demo`` keeps serving until Ctrl-C; with ``--once`` it stops after the answers.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SAMPLE = Path(".sample")
STORE = SAMPLE / "analyses.zarr"
CATALOG = SAMPLE / "catalog.yaml"
LOG = SAMPLE / "server.log"
CATALOG_TEXT = """\
datasets:
  sample:
    url: analyses.zarr
    title: Synthetic hourly analyses
"""
FIRST_PORT = 8000
PATIENCE_SECONDS = 60
SHOWN_CHARACTERS = 1200

REQUESTS: tuple[tuple[str, str, list[str]], ...] = (
    (
        "The weather near Berlin on 2 January at noon",
        "/datasets/sample/sel?time=2024-01-02T12:00Z&level=850"
        "&latitude=nearest::52.5&longitude=nearest::13.4",
        [],
    ),
    (
        "Every sixth hour of its temperature over two days",
        "/datasets/sample/sel?time=2024-01-02/2024-01-03/6&level=1000"
        "&latitude=52.5&longitude=12.5&variables=t",
        [],
    ),
    (
        "A box as a NetCDF file",
        "/datasets/sample/sel?time=2024-01-02T12:00Z&latitude=30/60&longitude=0/40&f=netcdf",
        ["-o", "box.nc"],
    ),
)


def main(arguments: list[str]) -> int:
    """Make the sample once, serve it, show the requests; serves until it is interrupted."""
    parser = argparse.ArgumentParser("./run demo", description=f"{__doc__}".partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="stop after the answers")
    stays = not parser.parse_args(arguments).once
    # As Ctrl-C does, so that the server is ended in either case.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        make_sample()
        return present(stay=stays)
    return 0


def present(*, stay: bool) -> int:
    """Show each request on a running server; then `stay` until the server ends."""
    with serving() as (server, address):
        for title, path, options in REQUESTS:
            show(title, address + path, options)
        if not stay:
            return 0
        say(f"\nServing on {address} (all routes: {address}/docs; log: {LOG}). Ctrl-C ends it.")
        return server.wait()


def make_sample() -> None:
    """Write the store and its catalog unless an earlier run did."""
    SAMPLE.mkdir(exist_ok=True)
    if not STORE.exists():
        # Imported when needed: it takes seconds, and later runs do without.
        from demo.sample import write_sample

        write_sample(STORE, progress_bar)
    CATALOG.write_text(CATALOG_TEXT, encoding="utf-8")


def progress_bar(done: int, of: int) -> None:
    """Draw the bar in place; ends the line when all is done."""
    width = 40
    bar = "#" * (width * done // of)
    end = "\n" if done == of else ""
    sys.stderr.write(f"\rWriting the sample store [{bar:<{width}}] {100 * done // of:3d} %{end}")
    sys.stderr.flush()


@contextmanager
def serving() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server over the sample in a process of its own and its address, once it is healthy."""
    port = free_port(FIRST_PORT)
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "app", "serve", "--catalog", str(CATALOG)]
    with LOG.open("w") as log:
        # In a session of its own, so that Ctrl-C reaches us alone and we end it in order.
        server = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until_healthy(server, address)
        yield server, address
    finally:
        server.terminate()
        server.wait()


def free_port(first: int) -> int:
    """`first` or the next port on which nothing listens."""
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise SystemExit(f"demo: no free port from {first} to {first + 99}")


def wait_until_healthy(server: subprocess.Popen[bytes], address: str) -> None:
    """Returns when the server answers; ends the demo when it will not."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        if server.poll() is not None:
            raise SystemExit(f"{LOG.read_text()}\ndemo: the server ended while it started")
        try:
            urllib.request.urlopen(f"{address}/healthz", timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"demo: the server did not answer within {PATIENCE_SECONDS} s")


def show(title: str, url: str, options: list[str]) -> None:
    """Print the curl line and what the running server answers to it."""
    say(f"\n# {title}\n$ {shlex.join(['curl', '-s', *options, url])}")
    with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as response:
        kind, content = response.headers["Content-Type"], response.read()
    if not kind.startswith("application/json"):
        say(f"({len(content):,} bytes of {kind})")
        return
    text = content.decode()
    hidden = len(text) - SHOWN_CHARACTERS
    half = SHOWN_CHARACTERS // 2
    say(text if hidden <= 0 else f"{text[:half]} ... {hidden:,} characters ... {text[-half:]}")


def say(line: str) -> None:
    """Print now, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
