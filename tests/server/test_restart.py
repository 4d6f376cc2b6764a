"""The end of a server under load: nothing that was accepted is dropped, and nothing stays open."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.contracts.web import Web
from tests.stores import ArraySpec, StoreSpec, documents_of

USERS = 50
VALUES = np.arange(240.0).reshape(24, 10)
STORE = StoreSpec((ArraySpec("t", ("time", "x"), VALUES, chunks=(1, 10)),), consolidated="root")


async def happens(it: Callable[[], bool]) -> None:
    """Return when it is so; it is looked at now and then."""
    while not it():  # noqa: ASYNC110 - another process cannot set an event
        await asyncio.sleep(0.02)


@dataclass
class Load:
    """What many users saw who ask without a pause, each on a connection that is kept alive."""

    address: str
    answered: int = 0
    wrong: list[str] = field(default_factory=list)
    over: bool = False

    async def use(self, user: int) -> None:
        async with httpx.AsyncClient(
            base_url=self.address, timeout=60, trust_env=False, verify=False
        ) as client:
            while not self.over:
                row = (user + self.answered) % 24
                try:
                    answer = await client.get(f"/datasets/cube/isel?time={row}&x=3")
                    found = answer.json().get("data_vars", {}).get("t", {}).get("data")
                    if (answer.status_code, found) != (200, VALUES[row, 3]):
                        self.wrong.append(f"{answer.status_code} {answer.text}")
                except (httpx.HTTPError, ValueError) as error:
                    self.wrong.append(repr(error))
                self.answered += 1

    async def answers(self, more: int) -> None:
        """Return when so many more requests were answered."""
        until = self.answered + more
        await happens(lambda: self.answered >= until)


@dataclass
class Server:
    """A running ``sluice serve`` and the file of its log."""

    process: asyncio.subprocess.Process
    log: Path

    async def says(self, words: str, times: int = 1) -> None:
        """Return when its log has these words so many times."""

        def said() -> bool:
            assert self.process.returncode is None, self.log.read_text()
            return self.log.read_text().count(words) >= times

        await happens(said)

    async def end(self) -> str:
        """Ask it to stop, wait until it has, and return its log."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        await self.process.wait()
        return self.log.read_text()


@asynccontextmanager
async def slow_store(tmp_path: Path, delay: float) -> AsyncIterator[Web]:
    """A store whose every answer takes this long, and a catalog over it."""
    values = {f"/cube/{key}": value for key, value in documents_of(STORE).items()}
    async with Web(values, delay=delay) as web:
        (tmp_path / "catalog.yaml").write_text(f"datasets: {{cube: {{url: {web.address}/cube}}}}")
        yield web


@asynccontextmanager
async def started(
    tmp_path: Path, name: str, listener: socket.socket, *arguments: str, **settings: str
) -> AsyncIterator[Server]:
    """A server behind this socket, with nothing in memory between two requests."""
    number = str(listener.fileno())
    command = ["-m", "app", "serve", "--catalog", str(tmp_path / "catalog.yaml"), "--fd", number]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    chosen = {"LOG_LEVEL": "debug", "CHUNK_CACHE_BYTES": "0", **settings}
    variables = clean | {f"SLUICE_{name}": value for name, value in chosen.items()}
    log = tmp_path / name
    with log.open("w") as err:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command,
            *arguments,
            env=variables,
            stderr=err,
            pass_fds=[listener.fileno()],
        )
    server = Server(process, log)
    try:
        yield server
    finally:
        await server.end()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener


@asynccontextmanager
async def load_on(listener: socket.socket) -> AsyncIterator[Load]:
    load = Load(f"http://127.0.0.1:{listener.getsockname()[1]}")
    async with asyncio.TaskGroup() as users:
        for user in range(USERS):
            users.create_task(load.use(user))
        try:
            yield load
        finally:
            load.over = True


def check_end(log: str) -> None:
    """The log of a server that ended in good order."""
    assert "Finished server process" in log
    for sign in ("Traceback", "Unclosed", "never retrieved", "cut off", "Cancel "):
        assert sign not in log, log[-3000:]


async def test_nothing_is_dropped_while_it_restarts_behind_a_held_socket(
    tmp_path: Path, listener: socket.socket
) -> None:
    """One server takes over from another, and one starts after another has gone; 50 users go on."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slow_store(tmp_path, 0.02))
        first = await stack.enter_async_context(started(tmp_path, "first", listener))
        await first.says("startup complete")
        async with load_on(listener) as load:
            await load.answers(200)
            second = await stack.enter_async_context(started(tmp_path, "second", listener))
            await second.says("startup complete")
            check_end(await first.end())
            await load.answers(200)
            check_end(await second.end())
            third = await stack.enter_async_context(started(tmp_path, "third", listener))
            await load.answers(200)
    assert load.wrong == []
    assert load.answered > 600
    check_end(third.log.read_text())


async def test_nothing_is_dropped_when_a_worker_is_replaced(
    tmp_path: Path, listener: socket.socket
) -> None:
    """One of two workers is told to end: it finishes what it has, and its parent starts another."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slow_store(tmp_path, 0.02))
        arguments = (tmp_path, "both", listener, "--workers", "2")
        both = await stack.enter_async_context(started(*arguments))
        await both.says("startup complete", 2)
        workers = re.findall(r"Started server process \[(\d+)\]", both.log.read_text())
        async with load_on(listener) as load:
            await load.answers(200)
            os.kill(int(workers[0]), signal.SIGTERM)
            await both.says("startup complete", 3)
            await load.answers(200)
        assert f"Finished server process [{workers[0]}]" in both.log.read_text()
    assert load.wrong == []
    check_end(both.log.read_text())


async def read_head(reader: asyncio.StreamReader) -> str:
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        (length,) = re.findall(r"content-length: (\d+)", head)
        await reader.readexactly(int(length))
    return head


REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def test_a_kept_connection_has_one_more_answer(
    tmp_path: Path, listener: socket.socket
) -> None:
    """Idle, unused or in the middle of a head: the next request is answered, as the last one."""
    address = listener.getsockname()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(slow_store(tmp_path, 0))
        server = await stack.enter_async_context(started(tmp_path, "log", listener))
        await server.says("startup complete")
        connections = [await asyncio.open_connection(*address) for _ in range(4)]
        (idle, fresh, halfway, silent) = connections
        idle[1].write(REQUEST)
        assert "connection: close" not in await read_head(idle[0])
        halfway[1].write(REQUEST[:20])
        await asyncio.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        await server.says("Shutting down")
        for (_, writer), rest in ((idle, REQUEST), (fresh, REQUEST), (halfway, REQUEST[20:])):
            writer.write(rest)
        for reader, _ in (idle, fresh, halfway):
            assert "connection: close" in await read_head(reader)
            assert await reader.read() == b""
        assert await silent[0].read() == b""
        for _, writer in connections:
            writer.close()
        check_end(await server.end())


async def test_what_outlasts_the_grace_time_is_cut(tmp_path: Path, listener: socket.socket) -> None:
    """It is answered with a problem, has its line in the log, and the server ends."""
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(slow_store(tmp_path, 0))
        server = await stack.enter_async_context(
            started(tmp_path, "log", listener, GRACE_SECONDS="1")
        )
        await server.says("startup complete")
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(
            base_url=address, timeout=60, trust_env=False, verify=False
        ) as client:
            assert (await client.get("/datasets/cube")).status_code == 200
            web.delay = 600
            asked = client.get("/datasets/cube/isel?time=0", headers={"X-Request-ID": "late"})
            slow = asyncio.create_task(asked)
            await happens(lambda: web.running > 0)
            log = await server.end()
            answer = await slow
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:sluice:problem:service-unavailable"
    assert (answer.headers["connection"], answer.headers["retry-after"]) == ("close", "1")
    assert "cut off, since the server stops id=late" in log
    assert "Finished server process" in log
    assert "Traceback" not in log
