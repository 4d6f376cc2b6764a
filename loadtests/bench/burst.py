"""Many users who want the same chunk in the same moment."""

from __future__ import annotations

import sys
from dataclasses import replace
from statistics import median

from loadtests.bench import asks
from loadtests.bench.client import drive_all
from loadtests.bench.contestants import SERVED, s3_entry
from loadtests.bench.data import BUCKET, CHUNK_HOURS, ERA5
from loadtests.bench.figures import Claim, Result
from loadtests.bench.machine import cores, on_the_asking_core, server
from loadtests.bench.stage import Stage, fetch, sluice_path
from loadtests.bench.stand_in import asked_since, set_delay

USERS = 200
BURSTS = 10
LATENCY_SECONDS = 0.03


def burst(stage: Stage) -> Result:
    """Each burst wants another chunk, and each of its users another cell of it."""
    result = Result("burst", f"{USERS} users ask at once for one cold chunk, {BURSTS} times")
    gets, decodes, slowest, failed = [], [], [], 0
    with stage.s3(ERA5) as endpoint:
        set_delay(endpoint, LATENCY_SECONDS)
        entry = {"era5": s3_entry(endpoint, BUCKET, ERA5, "s3fs")}
        told = {"SLUICE_CATALOG": str(stage.write_catalog(entry))}
        command = [sys.executable, "-m", "uvicorn", "--factory"]
        command += [f"{SERVED}.counted_sluice:create_app", "--log-level", "warning"]
        log = stage.folder / "counted_sluice.log"
        with server("sluice", command, log, told, ready="/healthz", core=cores()[0]) as sluice:
            chunks = asks.scattered(BURSTS + 1)
            fetch(sluice, sluice_path("point", chunks[0]))
            for chunk in chunks[1:]:
                first, _ = chunk.hours or (0, 0)
                hours = [first // CHUNK_HOURS * CHUNK_HOURS + n for n in range(USERS)]
                paths = [sluice_path("point", replace(chunk, hours=(h, h))) for h in hours]
                before = int(fetch(sluice, "/-/decoded"))
                asked_since(endpoint)
                with sluice.awake(), on_the_asking_core():
                    driven = drive_all(sluice.address, paths, USERS)
                gets.append(sum(asked_since(endpoint).values()))
                decodes.append(int(fetch(sluice, "/-/decoded")) - before)
                slowest.append(driven.max_ms)
                failed += driven.failed
    result.rows["sluice"] = {
        "p50_ms": median(slowest),
        "p99_ms": max(slowest),
        "gets": max(gets) / USERS,
    }
    # A codec that is not the one that was counted would show no decode at all.
    decoded = float(max(decodes)) if min(decodes) else float("nan")
    result.claims += [
        Claim("store requests, in the worst burst", float(max(gets)), "<=", 1.0),
        Claim("decodes, in the worst burst", decoded, "<=", 1.0),
        Claim("requests that failed", float(failed), "<=", 0.0),
    ]
    result.notes.append("p50 and p99: the median and the worst of the bursts' last answers")
    return result
