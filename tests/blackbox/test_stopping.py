"""A stop ends when clients have what was sent to them: it may be the end of their network too."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtests.attack.stores import line_store
from loadtests.ground import free_port, running
from tests.blackbox.conftest import write_catalog

# Less than one write of an answer: the server has sent it although nobody reads yet.
VALUES = 15_000
ASKED = b"GET /datasets/line/isel?f=netcdf HTTP/1.1\r\nHost: x\r\n"
LAST = b"Connection: close\r\n\r\n"
KEPT = b"\r\n"
NETWORK = "198.18.77"


@dataclass
class Server:
    """A running ``serve``, its address and its log."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    log: Path

    def says(self, words: str) -> None:
        """Return when its log has these words."""
        give_up = time.monotonic() + 60
        while words not in self.log.read_text():
            assert time.monotonic() < give_up, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)


@contextmanager
def serving(
    folder: Path, *before: str, host: str = "127.0.0.1", workers: int = 1, grace: int = 20
) -> Iterator[Server]:
    """The service over a small store, started by the command `before`."""
    catalog = write_catalog(folder, {"line": line_store(folder / "line.zarr", VALUES)})
    port, log = free_port(), folder / "server.log"
    command = [*before, sys.executable, "-m", "app", "serve", "--catalog", str(catalog)]
    command += ["--host", host, "--port", str(port), "--workers", str(workers)]
    with running(command, log, SLUICE_GRACE_SECONDS=str(grace)) as process:
        server = Server(process, (host, port), log)
        server.says("startup complete")
        yield server


def asking(server: Server, stack: ExitStack, end: bytes) -> socket.socket:
    """A client that has asked, and of whose answer nothing was read; the server has sent all."""
    client = stack.enter_context(socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    client.settimeout(60)
    client.connect(server.address)
    before = server.log.read_text().count("status=200")
    client.sendall(ASKED + end)
    give_up = time.monotonic() + 60
    while server.log.read_text().count("status=200") == before:
        assert time.monotonic() < give_up
        time.sleep(0.02)
    return client


def taken(client: socket.socket, pause: float) -> int:
    """The bytes of the body that a slow client gets, and whether that is all of it."""
    received = b""
    while part := client.recv(16 * 1024):
        received += part
        time.sleep(pause)
    head, _, body = received.partition(b"\r\n\r\n")
    size = int(head.lower().partition(b"content-length: ")[2].split()[0])
    assert size == len(body)
    return len(body)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("end", [LAST, KEPT], ids=["closed", "kept alive"])
def test_the_process_stays_until_answers_are_taken(
    tmp_path: Path, end: bytes, workers: int
) -> None:
    """Also of connections that it has closed long ago; then it ends by itself."""
    with serving(tmp_path, workers=workers) as server, ExitStack() as stack:
        clients = [asking(server, stack, end) for _ in range(3)]
        server.stop()
        for client in clients:
            time.sleep(0.5)
            assert server.process.poll() is None
            assert taken(client, 0.01) > 8 * VALUES
        assert server.process.wait(30) in (0, -signal.SIGTERM)
    assert "had not taken" not in server.log.read_text()


def test_what_is_not_taken_is_told(tmp_path: Path) -> None:
    """A client that takes nothing is waited for as long as the grace time, and has its line."""
    with serving(tmp_path, grace=2) as server, ExitStack() as stack:
        client = asking(server, stack, LAST)
        host, port = client.getsockname()
        server.stop()
        assert server.process.wait(30) in (0, -signal.SIGTERM)
        said = server.log.read_text()
    assert "1 connections ended with " in said
    assert f"{host}:{port} " in said


@pytest.fixture
def network() -> Iterator[list[str]]:
    """What runs a command in a network of its own, which is gone with the command."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network: namespaces take root and the program ip (Debian's iproute2)")
    name = f"sluice-{os.getpid()}"
    inside, outside = f"sl{os.getpid() % 10**6}a", f"sl{os.getpid() % 10**6}b"
    steps = [
        f"netns add {name}",
        f"link add {inside} type veth peer name {outside}",
        f"link set {inside} netns {name}",
        f"addr add {NETWORK}.1/30 dev {outside}",
        f"link set {outside} up",
        f"-n {name} addr add {NETWORK}.2/30 dev {inside}",
        f"-n {name} link set {inside} up",
        f"-n {name} link set lo up",
    ]
    try:
        for step in steps:
            done = subprocess.run(["ip", *step.split()], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"network: ip {step}: {done.stderr.strip()}")
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        subprocess.run(["ip", "link", "del", outside], capture_output=True)


def test_a_network_that_ends_with_the_process_cuts_nothing(
    tmp_path: Path, network: list[str]
) -> None:
    """As in a container: what the kernel holds when the process ends, nobody gets."""
    with serving(tmp_path, *network, host=f"{NETWORK}.2") as server, ExitStack() as stack:
        clients = [asking(server, stack, end) for end in (LAST, KEPT)]
        server.stop()
        script = (
            f"while kill -0 {server.process.pid}; do sleep 0.05; done; ip netns del {network[3]}"
        )
        ending = subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL)
        for client in clients:
            assert taken(client, 0.02) > 8 * VALUES
        server.process.wait(30)
        ending.wait(30)
