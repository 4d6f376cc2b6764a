"""Rows a second that PyArrow writes of a table that is in memory, as Sluice streams it: one thread.

python -m loadtests.bench.probes.arrow_stream STORE
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pyarrow as pa
import xarray as xr

from loadtests.bench.large import VARIABLE

BATCH_ROWS = 2**16
TIMES = 3


def main(argv: list[str]) -> None:
    """Measure the best of three, and print the figures as a line of JSON."""
    pa.set_cpu_count(1)
    with xr.open_zarr(Path(argv[0]), chunks=None) as ds:
        loaded = ds[[VARIABLE]].load()
    start = time.perf_counter()
    frame = loaded.to_dataframe().reset_index()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    making = time.perf_counter() - start
    cpu = time.process_time()
    writing = min(_written(table) for _ in range(TIMES))
    cpu = (time.process_time() - cpu) / TIMES
    rows = table.num_rows
    told = {"rows_per_s": rows / writing, "with_table": rows / (making + writing), "cpu_s": cpu}
    sys.stdout.write(json.dumps(told) + "\n")


def _written(table: pa.Table) -> float:
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    start = time.perf_counter()
    with (
        pa.OSFile("/dev/null", "wb") as file,
        pa.ipc.new_stream(file, table.schema, options=options) as stream,
    ):
        stream.write_table(table, max_chunksize=BATCH_ROWS)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(sys.argv[1:])
