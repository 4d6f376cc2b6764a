"""Half of S3's answers are SlowDown: how many requests are answered all the same."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import numpy as np
import xarray as xr

from loadtests.attack.odd_web import Visit, odd_web
from loadtests.attack.stage import Figure, Stage, Target

ENGINES: Final = ("s3fs", "obstore")
REQUESTS: Final = 40
SLOW_DOWN: Final = b"<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>"


def attack(stage: Stage) -> Iterable[Figure]:
    """Forty boxes of twelve chunks by each engine, the first opening included."""
    bucket = stage.folder / "web" / "bucket"
    bucket.mkdir(parents=True)
    data = xr.Dataset({"a": ("x", np.arange(480.0))}, {"x": np.arange(480)})
    data.to_zarr(bucket / "a.zarr", zarr_format=2, encoding={"a": {"chunks": (1,)}})
    drawn = random.Random(7)

    def half(visit: Visit) -> None:
        if drawn.random() < 0.5:
            visit.whole(503, SLOW_DOWN)
        else:
            visit.file()

    with odd_web(stage.folder / "web") as web:
        options: dict[str, Any] = {"endpoint_url": web.address, "key": "any", "secret": "any"}
        options["client_kwargs"] = {"region_name": "us-east-1"}
        where = {"url": "s3://bucket/a.zarr", "zarr_format": 2, "storage_options": options}
        entries = {engine: {**where, "engine": engine} for engine in ENGINES}
        web.manners = {"/bucket/": half}
        with stage.serving(entries) as target:
            for engine in ENGINES:
                yield from _attacked(target, engine)


def _attacked(target: Target, engine: str) -> Iterable[Figure]:
    def ask(number: int) -> int:
        box = f"/datasets/{engine}/isel?x={12 * number}:{12 * number + 12}"
        return httpx.get(target.address + box, timeout=60, trust_env=False).status_code

    with target.watched() as watch, ThreadPoolExecutor(4) as pool:
        missed = sum(status != 200 for status in pool.map(ask, range(REQUESTS)))
    yield Figure(f"slow down, {engine}: requests of {REQUESTS} not answered", missed, 1)
    # An engine is imported meanwhile, by its first opening.
    yield from watch.figures(f"slow down, {engine}", longest_ms=2000, grown_mib=100)
