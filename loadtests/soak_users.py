"""Users who ask a growing store for points, series, boxes and stations, and check each answer."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import httpx
import numpy as np

from loadtests.formats import from_csv, from_json, from_netcdf
from loadtests.grid import Found, WrongAnswer
from loadtests.soak_appends import Appends
from loadtests.soak_store import FIRST_HOURS, LATITUDES, LONGITUDES, Asked, check

DATASET = "/datasets/growing"
PROBLEM = "urn:sluice:problem:"
# What a store that fails, a deadline and a full server are answered with.
FORESEEN = (429, 502, 503, 504)
PAUSE_SECONDS, LEAVE_SECONDS = 0.1, 0.03
SIDE, LATEST, STATIONS = 8, 12, 5


@dataclass(slots=True)
class Notes:
    """What was seen: of the store's `appends`, of answers, and for how long nothing at all."""

    appends: Appends
    left: int = 0
    stills: list[float] = field(default_factory=list)
    right: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    milliseconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@dataclass(frozen=True, slots=True)
class Question:
    """A request by its query, how its answer is read, and what has to be in it.

    `to_the_end` tells that the answer's last hour is the last of the version that answered.
    """

    name: str
    query: str
    read: Callable[[bytes], Found]
    asked: Asked
    to_the_end: bool = True


def question(random: Random) -> Question:
    """One of the four kinds, anywhere."""
    makers = (_point, _point, _point, _series, _box, _stations)
    return random.choice(makers)(random)


def _point(random: Random) -> Question:
    hour, lat, lon = (random.randrange(n) for n in (FIRST_HOURS, LATITUDES.size, LONGITUDES.size))
    query = f"isel?time={hour}&latitude={lat}&longitude={lon}"
    asked = Asked(1, hour, LATITUDES[[lat]], LONGITUDES[[lon]])
    return Question("point, JSON", query, from_json, asked, to_the_end=False)


def _series(random: Random) -> Question:
    lat, lon = random.choice(LATITUDES), random.choice(LONGITUDES)
    query = f"sel?latitude={lat}&longitude={lon}"
    return Question(
        "series, JSON", query, from_json, Asked(None, 0, np.array([lat]), np.array([lon]))
    )


def _box(random: Random) -> Question:
    lat, lon = (random.randrange(size - SIDE) for size in (LATITUDES.size, LONGITUDES.size))
    query = f"isel?time=-{LATEST}:&latitude={lat}:{lat + SIDE}&longitude={lon}:{lon + SIDE}"
    asked = Asked(LATEST, None, LATITUDES[lat : lat + SIDE], LONGITUDES[lon : lon + SIDE])
    return Question("box, NetCDF", f"{query}&f=netcdf", from_netcdf, asked)


def _stations(random: Random) -> Question:
    lats, lons = (random.choices(axis, k=STATIONS) for axis in (LATITUDES, LONGITUDES))
    places = f"latitude={','.join(map(str, lats))}&longitude={','.join(map(str, lons))}"
    query = f"sel?isel[time]=-1&{places}&pointwise=latitude,longitude&f=csv"
    asked = Asked(1, None, np.array(lats), np.array(lons), rows=True)
    return Question("stations, CSV", query, lambda body: from_csv(body, ("v",)), asked)


async def ask_all(client: httpx.AsyncClient, notes: Notes, random: Random) -> None:
    """Ask for ever, and note what comes."""
    while True:
        await ask(client, notes, question(random))
        await asyncio.sleep(random.random() * PAUSE_SECONDS)


async def ask(client: httpx.AsyncClient, notes: Notes, wanted: Question) -> None:
    """Ask once; whatever is neither right nor a refusal that faults explain is noted as wrong."""
    began = time.monotonic()
    least = notes.appends.least(began)
    try:
        answer = await client.get(f"{DATASET}/{wanted.query}")
    except httpx.HTTPError as error:
        notes.wrong[f"{wanted.name}: {type(error).__name__}"] += 1
        return
    notes.milliseconds[wanted.name].append(1000 * (time.monotonic() - began))
    if answer.status_code == 200:
        _compare(answer.content, notes, wanted, least)
    elif answer.status_code in FORESEEN and not notes.appends.calm_since(began):
        kind = answer.json()["type"].removeprefix(PROBLEM)
        notes.refused[f"{answer.status_code} {kind}"] += 1
    else:
        notes.wrong[f"{wanted.name}: {answer.status_code} {answer.text[:200]}"] += 1


def _compare(content: bytes, notes: Notes, wanted: Question, least: int) -> None:
    """Check one answer; a version of fewer hours than the `least` that it must have is wrong."""
    try:
        hours = check(wanted.read(content), wanted.asked)
        if wanted.to_the_end:
            if not least <= hours <= notes.appends.hours:
                raise WrongAnswer(
                    f"{hours} hours, of {least} at least, {notes.appends.hours} at most"
                )
            notes.appends.saw(hours, time.monotonic())
    except Exception as error:
        notes.wrong[f"{wanted.name}: {type(error).__name__}: {error}"] += 1
    else:
        notes.right[wanted.name] += 1


async def leave(host: str, port: int, notes: Notes, random: Random) -> None:
    """Ask for ever, and hang up: before the answer comes, or after its first bytes.

    On connections of its own: a pool's would be lost to those who stay.
    """
    while True:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            target = f"{DATASET}/{question(random).query}"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            with suppress(TimeoutError):
                async with asyncio.timeout(random.random() * LEAVE_SECONDS):
                    await reader.read(100)
        finally:
            writer.transport.abort()
        notes.left += 1
        await asyncio.sleep(random.random() * PAUSE_SECONDS)
