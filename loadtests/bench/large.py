"""Stores of gigabytes that are quick to write and small on disk: few chunks, many names for each.

Every chunk is decoded on its own, whoever else has the same bytes: hard links share room on disk,
and nothing in a reader's memory.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import zarr
from numpy.typing import NDArray

from loadtests.bench.data import BUCKET, LATITUDES, add_array, add_coordinates, consolidate

VARIABLE = "t2m"
ITEM_BYTES = 4
# Distinct chunks; more of them would only take longer to write.
_DISTINCT = 8
_MAP = (721, 1440)
_SERIES = (8760, 12, 12)


@dataclass(frozen=True, slots=True)
class Large:
    """One variable of float32 over `shape`, in chunks of one shape: time, lat, lon."""

    name: str
    shape: tuple[int, int, int]
    chunks: tuple[int, int, int]

    @property
    def chunk_bytes(self) -> int:
        """The bytes of a chunk, decoded."""
        return math.prod(self.chunks) * ITEM_BYTES

    @property
    def value_bytes(self) -> int:
        """The bytes of all values."""
        return math.prod(self.shape) * ITEM_BYTES

    @property
    def count(self) -> int:
        """How many chunks there are."""
        return math.prod(n // chunk for n, chunk in zip(self.shape, self.chunks, strict=True))

    def object(self, time: int) -> str:
        """The key of the chunk of one step in the store's folder, where chunks are maps."""
        return f"{self.name}/{VARIABLE}/c/{time}/0/0"

    def written(self, root: Path, say: Callable[[str], None]) -> Path:
        """The store in the bucket below `root`; written once."""
        path = root / BUCKET / self.name
        if not path.exists():
            say(f"bench: writing {self.name} ...")
            unfinished = path.with_name(f"{self.name}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            _write(unfinished, self)
            unfinished.rename(path)
        return path


def maps(nbytes: int) -> Large:
    """Chunks of one map each, as reanalyses have them: at least so many bytes of them."""
    steps = max(2, -(-nbytes // (math.prod(_MAP) * ITEM_BYTES)))
    return Large(f"maps-{steps}.zarr", (steps, *_MAP), (1, *_MAP))


def series(nbytes: int) -> Large:
    """Chunks of a year of 12 x 12 cells: about so many bytes of them, at least 2 x 2 chunks."""
    side = max(2, round(math.sqrt(nbytes / (math.prod(_SERIES) * ITEM_BYTES))))
    shape = (_SERIES[0], side * _SERIES[1], side * _SERIES[2])
    return Large(f"series-{side}.zarr", shape, _SERIES)


def _write(path: Path, large: Large) -> None:
    group = zarr.open_group(path, mode="w", attributes={"title": "Synthetic hourly fields"})
    steps, rows, columns = large.shape
    lats = np.linspace(LATITUDES[0], LATITUDES[-1], rows)
    lons = np.arange(columns) * (360 / columns)
    add_coordinates(group, {"time": 438_288 + np.arange(steps), "lat": lats, "lon": lons})
    dims = ("time", "lat", "lon")
    add_array(group, VARIABLE, large.shape, "float32", large.chunks, dims, {"units": "K"})
    array = group[VARIABLE]
    assert isinstance(array, zarr.Array)
    counts = [n // chunk for n, chunk in zip(large.shape, large.chunks, strict=True)]
    first: list[Path] = []
    for number, place in enumerate(product(*map(range, counts))):
        file = path / VARIABLE / "c" / "/".join(map(str, place))
        if number < _DISTINCT:
            array.blocks[place] = _field(large.chunks, number)
            first.append(file)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            os.link(first[number % _DISTINCT], file)
    consolidate(path)


def _field(shape: tuple[int, int, int], number: int) -> NDArray[np.float32]:
    """Kelvin in steps of a 32nd: waves, and four bits of noise; it compresses as fields do."""
    random = np.random.default_rng(number)
    t, y, x = (np.arange(n, dtype="f4") for n in shape)
    wave = 20 * np.cos(x / 40 + number) * np.cos(y / 30)[:, None] - 30 * (y[:, None] / 360 - 1) ** 2
    day = 5 * np.cos(t * np.float32(np.pi / 12))
    steps = np.rint((280 + wave + day[:, None, None]) * 32)
    return np.asarray((steps + random.integers(-8, 8, shape)) / 32, "f4")
