"""Minutes of everything at once: ``python -m loadtests.soak``; a wrong answer makes it exit with 1.

A store grows every few seconds, behind a proxy that misbehaves now and then, while users ask for
points, series, boxes and stations, and some hang up. Every 200 is compared with the truth, appends
have to be seen in time, and where there are no faults nothing may be refused. Two workers beside it
are told to reload again and again, lose their temporary folder, and are killed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import psutil

from loadtests.bench.stand_in import Connection, Desk
from loadtests.fault_proxy import Fault, FaultProxy
from loadtests.ground import ROOT, NotReady, serving
from loadtests.soak_appends import Appends
from loadtests.soak_store import FIRST_HOURS, MORE_HOURS, write
from loadtests.soak_users import Notes, ask_all, leave
from loadtests.soak_workers import shake, workers

FAILED = 1
STORE = "soak/growing.zarr"
SERIES = "/datasets/growing/isel?latitude=0&longitude=0"
APPEND_SECONDS, FAULT_SECONDS, CALM_SECONDS = 4.0, 5.0, 10.0
SLOW_SECONDS = 0.02
CHANCES = (0.05, 0.3, 1.0)
USERS, LEAVERS = 6, 2
# Short times, so that what must end soon does.
REFRESH_SECONDS, ATTEMPT_SECONDS, READ_SECONDS = 1.0, 1.0, 3.0
OPEN_SECONDS, FAILED_OPEN_SECONDS = 1.0, 0.5
# What a look, an open and an answer may take on a machine that is busy with all of this.
WORK_SECONDS = 2.0
# The next look comes this late, and finds the append.
IN_TIME_SECONDS = REFRESH_SECONDS + WORK_SECONDS
# What the last fault may cost: the request that meets it, the pause before a retry, the rest of a
# store whose circuit that opens, and the time until a look that failed is made again.
PAUSE_SECONDS = 0.2
HEAL_SECONDS = ATTEMPT_SECONDS + PAUSE_SECONDS + OPEN_SECONDS + FAILED_OPEN_SECONDS
# The store is here, too: when this process stands still for long, the store does.
STILL_SECONDS = ATTEMPT_SECONDS / 2
# Little memory, so that the store is asked.
ENVIRONMENT = {
    "SLUICE_CHUNK_CACHE_BYTES": "262144",
    "SLUICE_STORE_ATTEMPT_SECONDS": str(ATTEMPT_SECONDS),
    "SLUICE_STORE_READ_SECONDS": str(READ_SECONDS),
    "SLUICE_CIRCUIT_OPEN_SECONDS": str(OPEN_SECONDS),
    "SLUICE_FAILED_OPEN_SECONDS": str(FAILED_OPEN_SECONDS),
    "SLUICE_REQUEST_SECONDS": "5",
    "SLUICE_LOG_LEVEL": "warning",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Soak for so many minutes; the exit status."""
    parser = argparse.ArgumentParser("loadtests.soak", description="Soak on loopback, checked.")
    parser.add_argument("minutes", type=float, nargs="?", default=5.0, help="how long (5)")
    parser.add_argument("--seed", type=int, default=0, help="of faults and questions (0)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "soak", help="(build/soak)")
    arguments = parser.parse_args(argv)
    folder: Path = arguments.out.absolute()
    try:
        return asyncio.run(soak(60 * arguments.minutes, arguments.seed, folder))
    except NotReady as error:
        say(f"soak: {error}")
        return FAILED
    except KeyboardInterrupt:
        say("soak: interrupted; everything that was started has ended")
        return 130


async def soak(seconds: float, seed: int, folder: Path) -> int:
    """Start it all, let it run, report; the exit status."""
    root = folder / "s3"
    await asyncio.to_thread(begin, root / STORE, folder)
    async with misbehaving(root, seed) as proxy:
        with ExitStack() as stack:
            serve = serving(catalog(folder, proxy), folder / "server.log", **ENVIRONMENT)
            pid, address = await asyncio.to_thread(stack.enter_context, serve)
            beside = workers(folder, ENVIRONMENT)
            two = await asyncio.to_thread(stack.enter_context, beside)
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                notes = Notes(Appends(FIRST_HOURS, in_time=IN_TIME_SECONDS, heal=HEAL_SECONDS))
                await first_answers(client)
                before = await held(pid, client)
                running = duties(client, proxy, notes, root / STORE, seed)
                running.append(shake(two, notes, Random(f"{seed} workers")))
                await for_a_while(seconds, running)
            proxy.chances = {}
            await asyncio.sleep(HEAL_SECONDS)
            async with httpx.AsyncClient(base_url=address, timeout=30) as client:
                await all_is_there(client, notes)
                after = await held(pid, client)
    for line in report(notes, proxy, before, after, seconds):
        say(line)
    return FAILED if notes.wrong else 0


def begin(store: Path, folder: Path) -> None:
    """A new store in an empty folder."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    store.parent.mkdir(parents=True)
    write(store, 0, FIRST_HOURS)


@asynccontextmanager
async def misbehaving(root: Path, seed: int) -> AsyncIterator[FaultProxy]:
    """The stand-in for S3, whose buckets are the folders of `root`, behind a proxy."""
    desk = Desk(root)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(desk), "127.0.0.1", 0)
    upstream = server.sockets[0].getsockname()
    async with server, FaultProxy(upstream, seed, slow_seconds=SLOW_SECONDS) as proxy:
        yield proxy


def catalog(folder: Path, proxy: FaultProxy) -> Path:
    """The catalog of the one dataset."""
    options = {"endpoint_url": proxy.address, "key": "soak", "secret": "soak-secret"}
    entry = {"url": f"s3://{STORE}", "zarr_format": 2, "consolidated": True}
    dataset = {**entry, "refresh_seconds": REFRESH_SECONDS, "storage_options": options}
    path = folder / "catalog.yaml"
    path.write_text(json.dumps({"datasets": {"growing": dataset}}), encoding="utf-8")
    return path


async def first_answers(client: httpx.AsyncClient) -> None:
    """The dataset is open and every format's library is loaded."""
    for form in ("json", "netcdf", "csv"):
        answer = await client.get(f"{SERIES}&f={form}")
        if answer.status_code != 200:
            raise NotReady(f"the first answer is a {answer.status_code}: {answer.text}")


async def held(pid: int, client: httpx.AsyncClient) -> dict[str, float]:
    """What the server's process holds just now."""
    process = psutil.Process(pid)
    told = (await client.get("/metrics")).text.splitlines()
    tasks = sum(float(line.split()[-1]) for line in told if line.startswith("sluice_tasks"))
    return {
        "RSS, MiB": process.memory_info().rss / 2**20,
        "open files": process.num_fds(),
        "threads": process.num_threads(),
        "tasks": tasks,
    }


def duties(
    client: httpx.AsyncClient, proxy: FaultProxy, notes: Notes, store: Path, seed: int
) -> list[Coroutine[Any, Any, None]]:
    """What goes on at once, each for ever."""
    appends = notes.appends
    users = [ask_all(client, notes, Random(f"{seed} {n}")) for n in range(USERS)]
    url = client.base_url
    leavers = [
        leave(url.host, url.port or 0, notes, Random(f"{seed} leaver {n}")) for n in range(LEAVERS)
    ]
    others = [
        grow(store, appends),
        misbehave(proxy, appends, Random(seed)),
        look_at_the_clock(notes),
    ]
    return [*users, *leavers, *others]


async def for_a_while(seconds: float, running: list[Coroutine[Any, Any, None]]) -> None:
    """Run all of these until the time is over; one that fails ends the soak."""
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            for one in running:
                group.create_task(one)
    except TimeoutError:
        return


async def grow(store: Path, appends: Appends) -> None:
    """Append some hours every few seconds."""
    while True:
        await asyncio.sleep(APPEND_SECONDS)
        first, appends.hours = appends.hours, appends.hours + MORE_HOURS
        # An append that has begun is finished, or the store would be no store.
        await asyncio.shield(asyncio.to_thread(write, store, first, appends.hours))
        appends.whole(time.monotonic())


async def misbehave(proxy: FaultProxy, appends: Appends, random: Random) -> None:
    """One kind of fault after the other for a while, rare, frequent or always; then nothing."""
    while True:
        for fault in random.sample(list(Fault), len(Fault)):
            appends.faults_begin()
            proxy.chances = {fault: random.choice(CHANCES)}
            await asyncio.sleep(FAULT_SECONDS)
            proxy.chances = {}
            appends.faults_end(time.monotonic())
            await asyncio.sleep(CALM_SECONDS)


async def look_at_the_clock(notes: Notes) -> None:
    """Note when this process stood still, as it does on a machine that others use."""
    pause = STILL_SECONDS / 10
    while True:
        began = time.monotonic()
        await asyncio.sleep(pause)
        now = time.monotonic()
        if now - began - pause > STILL_SECONDS:
            notes.stills.append(now - began)
            notes.appends.stood_still(now)


async def all_is_there(client: httpx.AsyncClient, notes: Notes) -> None:
    """Once the faults are over, the service answers from all that was written, by itself."""
    ends = time.monotonic() + IN_TIME_SECONDS
    while True:
        answer = await client.get(SERIES)
        length = answer.json()["dims"]["time"] if answer.status_code == 200 else 0
        notes.appends.saw(length, time.monotonic())
        if length == notes.appends.hours:
            return
        if time.monotonic() > ends:
            notes.wrong[f"at the end {length} hours in place of {notes.appends.hours}"] += 1
            return
        await asyncio.sleep(0.1)


def report(
    notes: Notes,
    proxy: FaultProxy,
    before: dict[str, float],
    after: dict[str, float],
    seconds: float,
) -> list[str]:
    """The table: who asked what, what failed, and what is held."""
    lines = [f"{seconds / 60:g} min, {(notes.appends.hours - FIRST_HOURS) // MORE_HOURS} appends"]
    lines.append(f"{'':18}{'asked':>9}{'right':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for name, times in sorted(notes.milliseconds.items()):
        ordered = sorted(times)
        p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * q))] for q in (0.5, 0.99))
        lines.append(f"{name:18}{len(times):9}{notes.right[name]:9}{p50:9.1f}{p99:9.1f}")
    lines.append(f"right after reloads, two workers: {notes.right['reloads, two workers']}")
    lines.append(f"hung up half way: {notes.left}")
    lines += [f"refused {times} x {what}" for what, times in notes.refused.most_common()]
    lines.append("faults: " + ", ".join(f"{n} x {f.value}" for f, n in proxy.hit.most_common()))
    lines.append(
        f"stood still: {len(notes.stills)} x, {max(notes.stills, default=0):.1f} s at most"
    )
    lines += notes.appends.table()
    lines.append(f"{'':18}{'start':>9}{'end':>9}")
    lines += [f"{name:18}{before[name]:9.0f}{after[name]:9.0f}" for name in before]
    lines.append(f"wrong answers: {notes.wrong.total()}")
    return lines + [f"wrong {times} x {what}" for what, times in notes.wrong.items()]


def say(line: str) -> None:
    """Print now, also into a pipe."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
