"""Answers of gigabytes: their memory, when they begin, how fast they are, and how they end."""

from __future__ import annotations

import math
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numcodecs.zstd import Zstd

from loadtests.bench.contestants import s3_entry
from loadtests.bench.data import BUCKET
from loadtests.bench.download import MIB, Download, Watched, all_at_once, download, path_of, watched
from loadtests.bench.figures import Claim, Result
from loadtests.bench.large import VARIABLE, Large, maps, series
from loadtests.bench.machine import Server, stand_in
from loadtests.bench.opening import LATENCY_MS
from loadtests.bench.peers import peers, throughput
from loadtests.bench.stage import PATIENCE_SECONDS, Stage
from loadtests.bench.stand_in import asked_since, set_delay
from loadtests.ground import NotReady

AT_ONCE = 10
RANGES = 8
RANGE_BYTES = MIB
_LOOKUPS = re.compile(r" (?:hits|misses)=(\d+)")
_LOG_TRIES = 100
# An end is looked at so long after it.
LATER_SECONDS = 1.0
ROUND_TRIPS = 3
TABLES = ("csv", "ndjson")
# What is broken off: a file with a length, tables without one, plain and compressed.
ENDS: Sequence[tuple[str, Mapping[str, str]]] = (
    ("netcdf", {}),
    ("csv", {}),
    ("ndjson", {"Accept-Encoding": "gzip"}),
)


def stream(stage: Stage) -> Result:
    """Of one variable of float32 in maps, whole or some steps; and one in series."""
    large, long = maps(stage.stream_bytes), series(stage.stream_bytes // 2)
    size = f"{large.value_bytes / 2**30:.3g} GiB"
    result = Result("stream", f"{size} of float32 in {large.count} maps of 721 x 1440, zstd")
    local = {"maps": {"url": str(large.written(stage.root, stage.say))}}
    long.written(stage.root, stage.say)
    parts = (
        *(
            partial(part, stage, result, local, large)
            for part in (_whole, _first_bytes, throughput, _ten, _tables, _ranges)
        ),
        partial(_series, stage, result, long),
        partial(_ends, stage, result, large),
        partial(peers, stage, result, large),
    )
    for part in parts:
        try:
            part()
        except (NotReady, OSError) as error:
            name = part.func.__name__.strip("_")
            result.notes.append(f"NOT MEASURED: {name}: {error}")
    return result


def timed(
    asked: Watched, result: Result, name: str, calls: Sequence[Callable[[], Download]]
) -> list[Download]:
    """These downloads at once, as a row of the table; a note where one failed."""
    start = time.perf_counter()
    found = all_at_once(calls)
    result.rows[name] = row = asked.row(found, time.perf_counter() - start)
    if row["failed"]:
        told = ", ".join(f"{one.status} and {one.body_bytes} bytes" for one in found)
        result.notes.append(f"{name}: {row['failed']:.0f} failed: {told}")
    return found


def _whole(stage: Stage, result: Result, local: Mapping[str, Any], large: Large) -> None:
    with watched(stage, local) as asked:
        address = asked.server.address
        timed(asked, result, "sluice, whole", [lambda: download(address, path_of())])
        said = "the whole as NetCDF: MiB above start, cache included"
        result.claims.append(Claim(said, _unless_failed(result, "sluice, whole"), "<=", 300.0))


def _unless_failed(result: Result, name: str, figure: str = "above_mib") -> float:
    row = result.rows[name]
    return math.nan if row["failed"] else row[figure]


def _first_bytes(stage: Stage, result: Result, local: Mapping[str, Any], large: Large) -> None:
    """Each time of chunks that are in no cache, of an opened dataset."""
    with watched(stage, local) as asked:
        found = _began(asked, large, stage.rounds)
    said = "first byte, local, s"
    result.claims.append(Claim(said, median(found), "<=", 0.1))
    with stand_in(stage.root, stage.folder / "stand_in.log") as endpoint:
        entry = {"maps": s3_entry(endpoint, BUCKET, large.name, "s3fs")}
        with watched(stage, entry) as asked:
            set_delay(endpoint, LATENCY_MS / 1e3)
            found = _began(asked, large, stage.rounds)
    allowed = ROUND_TRIPS * LATENCY_MS / 1e3 + 0.2
    said = f"first byte, S3 at {LATENCY_MS:.0f} ms, s"
    result.claims.append(Claim(said, median(found), "<=", allowed))


def _began(asked: Watched, large: Large, rounds: int) -> list[float]:
    steps = large.shape[0]
    found = []
    for number in range(rounds):
        first = number * steps // rounds
        path = path_of(first, steps - first)
        found.append(download(asked.server.address, path, at=1).first_seconds)
    return found


def _ten(stage: Stage, result: Result, local: Mapping[str, Any], large: Large) -> None:
    count = max(1, large.shape[0] // (2 * AT_ONCE))
    with watched(stage, local) as asked:
        address = asked.server.address
        firsts = [number * count % (large.shape[0] - count + 1) for number in range(AT_ONCE)]
        calls = [partial(download, address, path_of(first, count)) for first in firsts]
        timed(asked, result, "sluice, ten at once", calls)
    value = _unless_failed(result, "sluice, ten at once")
    result.claims.append(Claim("ten at once: MiB above start", value, "<=", 1024.0))


def _tables(stage: Stage, result: Result, local: Mapping[str, Any], large: Large) -> None:
    """Rows of a map a second, beside what writes a table that is in memory already."""
    count = max(1, large.shape[0] // 128)
    rounds = min(stage.rounds, 3)
    theirs: dict[str, list[float]] = {name: [] for name in TABLES}
    for f in TABLES:
        name = f"sluice, {f}"
        with watched(stage, local) as asked:
            call = partial(download, asked.server.address, path_of(0, count, f))
            timed(asked, result, name, [call])
    for _ in range(rounds):
        for name, speed in stage.probe("table_lines", local["maps"]["url"], 1).items():
            theirs[name].append(speed)
    rows = count * math.prod(large.shape[1:])
    least = {"csv": ("pandas.to_csv", 3.0), "ndjson": ("orjson lines", 0.6)}
    for f in TABLES:
        ours = rows / _unless_failed(result, f"sluice, {f}", "seconds")
        other, times = least[f]
        above = _unless_failed(result, f"sluice, {f}")
        result.claims += [
            Claim(f"{f}: MiB above start", above, "<=", 300.0),
            Claim(f"{f}: rows per second / {other}", ours / median(theirs[f]), ">=", times),
        ]
        result.notes.append(
            f"{f}: {rows:,} rows, {ours:,.0f} a second; {other} {median(theirs[f]):,.0f}"
        )


def _ranges(stage: Stage, result: Result, local: Mapping[str, Any], large: Large) -> None:
    """Anywhere among the values: chunks are counted, and the bytes held against the store's."""
    store, random = Path(local["maps"]["url"]), np.random.default_rng(21)
    touched = 0
    with watched(stage, local) as asked:
        head = _part(asked.server, 0, RANGE_BYTES)
        begin = head.index(_values(store, 0)[:64])
        before = _lookups(stage, 1)
        for _ in range(RANGES):
            at = int(random.integers(0, large.value_bytes - RANGE_BYTES))
            body = _part(asked.server, begin + at, RANGE_BYTES)
            first, last = at // large.chunk_bytes, (at + RANGE_BYTES - 1) // large.chunk_bytes
            right = b"".join(_values(store, step) for step in range(first, last + 1))
            if body != right[at - first * large.chunk_bytes :][:RANGE_BYTES]:
                raise NotReady(f"a range from {begin + at} on has other bytes than the store")
            touched += last - first + 1
        surplus = _lookups(stage, 1 + RANGES) - before - touched
    said = f"{RANGES} ranges of 1 MiB: chunks read beyond those they touch"
    result.claims.append(Claim(said, float(surplus), "<=", 0.0))


def _lookups(stage: Stage, answers: int) -> int:
    """The chunks of so many parts, by the server's log; its lines come a moment after them."""
    for _ in range(_LOG_TRIES):
        parts = [line for line in stage.sluice_log() if " status=206 " in line]
        if len(parts) == answers:
            return sum(int(n) for line in parts for n in _LOOKUPS.findall(line))
        time.sleep(0.05)
    raise NotReady(f"the log has {len(parts)} lines of parts, not {answers}")


def _values(store: Path, step: int) -> bytes:
    found: bytes = Zstd().decode((store / VARIABLE / "c" / str(step) / "0" / "0").read_bytes())
    return found


def _part(asked: Server, start: int, length: int) -> bytes:
    wanted = {"Range": f"bytes={start}-{start + length - 1}"}
    request = urllib.request.Request(asked.address + path_of(), headers=wanted)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        body: bytes = answer.read()
    return body


def _held(asked: Server) -> float:
    """The memory that requests in flight may take, as the server tells; it is awake."""
    with urllib.request.urlopen(f"{asked.address}/metrics", timeout=PATIENCE_SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("sluice_inflight_bytes")
    )


def _series(stage: Stage, result: Result, long: Large) -> None:
    """The stand-in counts what was fetched, and a chunk is decoded as often as it is fetched."""
    with stand_in(stage.root, stage.folder / "stand_in.log") as endpoint:
        entry = {"series": s3_entry(endpoint, BUCKET, long.name, "s3fs")}
        with watched(stage, entry, "series") as asked:
            asked_since(endpoint)
            call = partial(download, asked.server.address, path_of(name="series"))
            timed(asked, result, "sluice, series", [call])
            counts = [n for key, n in asked_since(endpoint).items() if f"/{VARIABLE}/c/" in key]
    failed = result.rows["sluice, series"]["failed"] or len(counts) != long.count
    times = math.nan if failed else float(max(counts))
    gib = long.value_bytes / 2**30
    said = f"{gib:.2g} GiB in chunks of 8760 x 12 x 12: times one is decoded"
    result.claims.append(Claim(said, times, "<=", 4.0))
    result.notes.append(f"series: {sum(counts)} decodes of {long.count} chunks")


def _ends(stage: Stage, result: Result, large: Large) -> None:
    """A store that dies, and clients who leave, when a part of each answer is there."""
    steps = max(min(8, large.shape[0]), large.shape[0] // 8)
    paths = [path_of(0, steps, f) for f, _ in ENDS]
    at = min(8 * MIB, steps * large.chunk_bytes // 16)
    clean = 0
    held = []
    with stand_in(stage.root, stage.folder / "stand_in.log") as endpoint:
        entry = {"maps": s3_entry(endpoint, BUCKET, large.name, "s3fs")}
        with watched(stage, entry) as asked:
            for then in (lambda: False, _once(partial(_end_store, endpoint))):
                calls = [
                    partial(download, asked.server.address, path, headers, at=at, then=then)
                    for path, (_, headers) in zip(paths, ENDS, strict=True)
                ]
                found = all_at_once(calls)
                clean += sum(one.whole for one in found)
                result.notes.append("ends: " + ", ".join(map(_end_of, found)))
                time.sleep(LATER_SECONDS)
                held.append(_held(asked.server))
    result.claims += [
        Claim("store dies, clients leave half-way: clean ends", float(clean), "<=", 0.0),
        Claim("bytes still held a second after clients left", held[0], "<=", 0.0),
        Claim("bytes still held a second after the store's end", held[1], "<=", 0.0),
    ]


def _end_of(found: Download) -> str:
    how = "whole" if found.whole else "broken off"
    return f"{how} after {found.body_bytes:,} bytes and {found.seconds:.1f} s"


def _once(work: Callable[[], None]) -> Callable[[], bool]:
    """What the first of several clients does half-way; all of them go on."""
    first = threading.Lock()

    def then() -> bool:
        if first.acquire(blocking=False):
            work()
        return True

    return then


def _end_store(endpoint: str) -> None:
    with suppress(OSError):  # its answer is that the connection breaks
        urllib.request.urlopen(f"{endpoint}/-/end", timeout=10).close()
