"""Standard doors beside what serves the same today: DAP, EDR, Zarr, and tables of Arrow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np

from loadtests.bench import asks
from loadtests.bench.asks import Ask, Truth
from loadtests.bench.contestants import (
    EDR,
    FILES,
    NGINX,
    OPENDAP,
    SLUICE,
    SLUICE_DAP,
    SLUICE_EDR,
    Contestant,
)
from loadtests.bench.data import CHUNKS, HOURS, LATITUDES, LONGITUDES, VARIABLES
from loadtests.bench.download import download, path_of, watched
from loadtests.bench.drive import Lane, interleaved, medians, ratio
from loadtests.bench.figures import Claim, Figures, Result
from loadtests.bench.large import maps
from loadtests.bench.race import WARM
from loadtests.bench.stage import Stage, WrongAnswers, fetch, verify
from loadtests.ground import NotReady

USERS = 8
# So many maps of 721 x 1440 cells, if a stream has as many.
TABLE_STEPS = 8


def doors(stage: Stage) -> Result:
    """Each door in turn, over the hourly fields; tables over maps."""
    result = Result("doors", "points by DAP and EDR, chunks by Zarr, rows by Arrow, caches warm")
    parts: Sequence[Callable[[], None]] = (
        partial(_arrow, stage, result),
        partial(_chunks, stage, result),
        partial(_points, stage, result, Points("dap", SLUICE_DAP, OPENDAP, "point")),
        partial(_points, stage, result, Points("dap", SLUICE_DAP, OPENDAP, "series")),
        partial(_points, stage, result, Points("edr", SLUICE_EDR, EDR, "point")),
    )
    result.notes.append(
        "pydap's server is not measured: of a NetCDF copy of the same data it answers 500 to every"
        " part of an array (3.5.9: cannot reshape array of size 1), and knows whole ones alone"
    )
    for part in parts:
        try:
            part()
        except (NotReady, WrongAnswers, OSError) as error:
            result.notes.append(f"NOT MEASURED: {error}")
    return result


@dataclass(frozen=True, slots=True)
class Points:
    """A door, who asks Sluice through it, and beside whom, for points or for series."""

    door: str
    ours: Contestant
    theirs: Contestant
    kind: str

    @property
    def asked(self) -> Sequence[Ask]:
        """The requests."""
        return asks.points(10_000) if self.kind == "point" else asks.series(1_000)


def _points(stage: Stage, result: Result, points: Points) -> None:
    """Full speed, in turns; a peer that gives wrong values is not measured, and said so."""
    truth, asked, kind = Truth(Path(stage.era5)), points.asked, points.kind
    name, other = f"sluice, {points.door} {kind}", points.theirs.name
    with ExitStack() as stack:
        sluice = stack.enter_context(stage.started(points.ours, **WARM))
        verify(sluice, points.ours, kind, asked, truth)
        lanes = [Lane(sluice, [points.ours.urls[kind](ask) for ask in asked])]
        if kind in points.theirs.urls:
            try:
                peer = stack.enter_context(stage.started(points.theirs))
                verify(peer, points.theirs, kind, asked, truth)
                lanes.append(Lane(peer, [points.theirs.urls[kind](ask) for ask in asked]))
            except (WrongAnswers, NotReady) as error:
                result.notes.append(f"{other} is not measured: {error}")
        found = _turns(stage, lanes)
    result.rows[name] = medians(found["sluice"])
    value = math.nan
    if other in found:
        result.rows[f"{other}, {kind}"] = medians(found[other])
        value = ratio(found["sluice"], found[other])
    said = f"{points.door} {kind}: requests per second / {other}"
    result.claims.append(Claim(said, value, ">=", 20.0))


def _turns(stage: Stage, lanes: Sequence[Lane]) -> Mapping[str, Sequence[Figures]]:
    return interleaved(
        lanes, users=USERS, rounds=stage.rounds, seconds=stage.seconds, folder=stage.folder
    )


def _chunks(stage: Stage, result: Result) -> None:
    """Chunks as they are stored, from the same files."""
    counts = [-(-n // c) for n, c in zip(_shape(), CHUNKS, strict=True)]
    keys = ["/".join(map(str, place)) for place in product(*map(range, counts))]
    keys = [f"{name}/c/{key}" for name in VARIABLES for key in keys]
    np.random.default_rng(31).shuffle(keys)
    with ExitStack() as stack:
        ours, *theirs = (stack.enter_context(stage.started(who)) for who in (SLUICE, NGINX, FILES))
        lanes = [Lane(ours, [f"/zarr/v3/era5/{key}" for key in keys])]
        lanes += [Lane(other, [f"/{key}" for key in keys]) for other in theirs]
        for paths in zip(*(lane.paths[:10] for lane in lanes), strict=True):
            asked = zip(lanes, paths, strict=True)
            if len({fetch(lane.server, path) for lane, path in asked}) != 1:
                raise WrongAnswers(f"{paths[0]} has other bytes than the store")
        found = _turns(stage, lanes)
    result.rows["sluice, zarr chunks"] = medians(found["sluice"])
    result.rows["nginx, the same files"] = medians(found[NGINX.name])
    result.rows["bare ASGI, the same files"] = medians(found[FILES.name])
    # Whoever asks is slower than nginx, which answers a second's chunks in less.
    nginx, bare = (1 / ratio(found["sluice"], found[who.name], "cpu_us") for who in (NGINX, FILES))
    said = "zarr: chunks per second of CPU / nginx"
    result.claims.append(Claim(said, nginx, ">=", 0.3))
    ceiling = 1 / ratio(found[FILES.name], found[NGINX.name], "cpu_us")
    result.notes.append(
        f"zarr: chunks per second of CPU / an ASGI application that reads the same files and does"
        f" nothing else: {bare:.2f}; of nginx it reaches {ceiling:.2f} itself"
    )


def _shape() -> tuple[int, int, int]:
    return HOURS, len(LATITUDES), len(LONGITUDES)


def _arrow(stage: Stage, result: Result) -> None:
    """Rows a second of maps, beside PyArrow writing the same table, which is in memory already."""
    large = maps(min(stage.stream_bytes, TABLE_STEPS * 721 * 1440 * 4))
    store = large.written(stage.root, stage.say)
    rows = math.prod(large.shape)
    ours, theirs, by_cpu = list[float](), list[float](), list[float]()
    for _ in range(stage.rounds):
        with watched(stage, {"maps": {"url": str(store)}}) as asked:
            # Once before, so that chunks are warm and what is loaded late is loaded.
            download(asked.server.address, path_of(f="arrow"))
            before = asked.server.usage().cpu
            found = download(asked.server.address, path_of(f="arrow"))
            cpu, above = asked.server.usage().cpu - before, asked.above_mib
        if found.status != 200 or not found.whole:
            raise WrongAnswers(f"arrow: {found.status} and {found.body_bytes} bytes")
        ours.append(rows / found.seconds)
        told = stage.probe("arrow_stream", store)
        theirs.append(told["rows_per_s"])
        by_cpu.append(told["cpu_s"] / cpu)
    result.rows["sluice, arrow"] = {"per_s": median(ours), "above_mib": above}
    result.rows["pyarrow, in memory"] = {"per_s": median(theirs)}
    ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
    said = "arrow: rows per second of CPU / pyarrow writing the table from memory"
    result.claims.append(Claim(said, median(by_cpu), ">=", 0.7))
    result.notes.append(
        f"arrow: {rows:,} rows, {median(ours):,.0f} a second from chunks to client; pyarrow alone"
        f" {median(theirs):,.0f} (the best of three), and {told['with_table']:,.0f} where it makes"
        f" the table first; by the clock, which other work disturbs: {median(ratios):.2f}"
    )
