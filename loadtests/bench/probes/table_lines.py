"""Rows a second of a table that is in memory: by `pandas.to_csv`, and a dict a line by orjson.

python -m loadtests.bench.probes.table_lines STORE STEPS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import orjson
import xarray as xr

from loadtests.bench.large import VARIABLE


def main(argv: list[str]) -> None:
    """Measure once, and print the figures as a line of JSON."""
    with xr.open_zarr(Path(argv[0]), chunks=None) as ds:
        frame = ds[[VARIABLE]].isel(time=slice(int(argv[1]))).to_dataframe().reset_index()
    with Path("/dev/null").open("w", encoding="utf-8") as file:
        start = time.perf_counter()
        frame.to_csv(file, index=False)
        by_pandas = len(frame) / (time.perf_counter() - start)
    names = list(frame.columns)
    texts = frame["time"].astype(str)
    columns = [(texts if name == "time" else frame[name]).tolist() for name in names]
    with Path("/dev/null").open("wb") as binary:
        start = time.perf_counter()
        for row in zip(*columns, strict=True):
            line = dict(zip(names, row, strict=True))
            binary.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        by_orjson = len(frame) / (time.perf_counter() - start)
    sys.stdout.write(json.dumps({"csv": by_pandas, "ndjson": by_orjson}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
