"""Two workers beside the soak: reloads in a row, a swept temporary folder, workers that are killed.

After each of these every worker has to answer, with the last catalog.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import httpx
import psutil

from loadtests.ground import ROOT, serving
from loadtests.soak_users import Notes

PAUSE_SECONDS: Final = 1.0
AT_ONCE, ASKS = 3, 8
CHANCE_OF_SWEEP, CHANCE_OF_DEATH = 0.3, 0.1


@dataclass(frozen=True, slots=True)
class Workers:
    """A server of two workers with a catalog and a temporary folder of ours; an admin's key."""

    pid: int
    address: str
    catalog: Path
    temporary: Path
    key: str


@contextmanager
def workers(folder: Path, environment: dict[str, str]) -> Iterator[Workers]:
    """The server, until the block ends."""
    words = [sys.executable, "-m", "app", "key", "soak", "--admin"]
    made = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    catalog, temporary = folder / "workers.yaml", folder / "temporary"
    write(catalog, 0)
    temporary.mkdir()
    told = {**environment, "TMPDIR": str(temporary), "SLUICE_KEYS": made.stdout.strip()}
    with serving(catalog, folder / "workers.log", "--workers", "2", **told) as (pid, address):
        yield Workers(pid, address, catalog, temporary, made.stderr.strip())


def write(catalog: Path, number: int) -> None:
    """A catalog that tells its number; nobody reads a half of it."""
    part = catalog.with_suffix(".part")
    entries = {f"n{number}": {"url": "nowhere.zarr"}}
    part.write_text(json.dumps({"datasets": entries}), encoding="utf-8")
    part.rename(catalog)


async def shake(it: Workers, notes: Notes, random: Random) -> None:
    """One thing after the other, for ever; answers that are not right are noted."""
    number = 0
    while True:
        number += 1
        write(it.catalog, number)
        if random.random() < CHANCE_OF_SWEEP:
            await asyncio.to_thread(shutil.rmtree, it.temporary, ignore_errors=True)
        if random.random() < CHANCE_OF_DEATH:
            kill(it, random)
        await storm(it, notes)
        for _ in range(ASKS):
            await look(it, notes, f"n{number}")
        await asyncio.sleep(PAUSE_SECONDS)


def kill(it: Workers, random: Random) -> None:
    """End one of two workers without a warning; the only one is left alone."""
    children = psutil.Process(it.pid).children()
    serving = [child for child in children if any("spawn_main" in w for w in child.cmdline())]
    if len(serving) > 1:
        os.kill(random.choice(serving).pid, signal.SIGKILL)


async def storm(it: Workers, notes: Notes) -> None:
    """Several reloads at once, by signal and by request."""
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            os.kill(it.pid, signal.SIGHUP)
            group.create_task(ask(it, notes, "POST", "/catalog/reload"))


async def look(it: Workers, notes: Notes, dataset: str) -> None:
    """Whether whoever answers has the catalog with this dataset."""
    answer = await ask(it, notes, "GET", "/datasets")
    if answer is None:
        return
    if [entry["id"] for entry in answer.json()["datasets"]] == [dataset]:
        notes.right["reloads, two workers"] += 1
    else:
        notes.wrong[f"workers: {answer.text} in place of {dataset}"] += 1


async def ask(it: Workers, notes: Notes, method: str, path: str) -> httpx.Response | None:
    """An answer on a connection of its own, unless it is none or not right, which is noted."""
    headers = {"X-API-Key": it.key}
    try:
        async with httpx.AsyncClient(base_url=it.address, timeout=30, verify=False) as client:
            answer = await client.request(method, path, headers=headers)
    except httpx.HTTPError as error:
        notes.wrong[f"workers: {path}: {type(error).__name__}"] += 1
        return None
    if answer.status_code != 200:
        notes.wrong[f"workers: {path}: {answer.status_code} {answer.text[:200]}"] += 1
        return None
    return answer
