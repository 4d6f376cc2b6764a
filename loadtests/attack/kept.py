"""Requests that are long and ever new, refused or answered: what a server keeps of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from loadtests.attack.stage import Figure, Stage, Target

_DATASETS: Final = 3
_ROUNDS: Final = 5
_BODY_BYTES: Final = 900_000
_URL_BYTES: Final = 15_000


def kept(stage: Stage) -> Iterable[Figure]:
    """Ask several datasets for all that a parser could remember."""
    stores = {f"d{number}": _write(stage.folder / f"{number}.zarr") for number in range(_DATASETS)}
    with stage.serving(stores) as target:
        _send(target, stores, 0)
        with target.watched() as watch:
            for number in range(1, _ROUNDS + 1):
                _send(target, stores, number)
    yield from watch.figures("kept", longest_ms=500, grown_mib=64)


def _send(target: Target, stores: Iterable[str], number: int) -> None:
    connection = HTTPConnection(*target.host_and_port, timeout=60)
    for dataset in stores:
        for body in _bodies(number):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/datasets/{dataset}/isel", json.dumps(body), headers)
            connection.getresponse().read()
        for query in _queries(number):
            connection.request("GET", f"/datasets/{dataset}/isel?{query}")
            connection.getresponse().read()
    connection.close()


def _bodies(number: int) -> Iterator[dict[str, str | int]]:
    text = f"{number:08}" * (_BODY_BYTES // 8)
    names = ",v1" * (_BODY_BYTES // 3)
    yield {"x": 0, "variables": f"v{number}{names}"}
    yield {"x": 99, "variables": f"v{number}{names}"}
    yield {"x": 0, "pointwise": f"x{',x' * (_BODY_BYTES // 2 - number)}"}
    yield {"x": 0, "variables": text}
    yield {"x": 0, "tolerance": f"x:{text}"}
    yield {"x": text}
    yield {text: 0}


def _queries(number: int) -> Iterator[str]:
    for start in range(20):
        names = ",".join(f"v{(number * 20 + start + i) % 200}" for i in range(200))
        yield f"x=0&variables={names}"
        yield f"x=0:{start + 1}&f=csv&variables={names[: _URL_BYTES // 2].rpartition(',')[0]}"


def _write(store: Path) -> Path:
    import numpy as np
    import xarray as xr

    names = {f"v{number}": (("x",), np.zeros(20, "f4")) for number in range(200)}
    ds = xr.Dataset(names, {"x": np.arange(20)}, {"note": "n" * 50_000})
    ds.to_zarr(store, zarr_format=3, consolidated=False)
    return store
