"""Text behind a dtype of 8 bytes a value (450 MB in small chunks, 90 MB in one), and attributes."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.attack.stage import Figure, Stage

_VALUES: Final = 45_000
_CHUNK: Final = 500
_LETTERS: Final = 10_000
_ATTRIBUTE_BYTES: Final = 15_000_000
_AT_ONCE: Final = 8
_ROUNDS: Final = 3
_RESULT_BYTES: Final = 8 * 2**20
_FORMATS: Final = {
    "texts": ("json", "netcdf", "csv"),
    "umlauts": ("json", "netcdf", "csv"),
    "attributes": ("json", "netcdf"),
}
_UMLAUTS: Final = 1_000_000
_PATHS: Final = tuple(
    f"/datasets/{dataset}/isel?f={f}" for dataset, formats in _FORMATS.items() for f in formats
)


def texts(stage: Stage) -> Iterable[Figure]:
    """Ask for all of it in every format, many at a time: each is refused."""
    stores = {
        "texts": _write_texts(stage.folder),
        "umlauts": _write_umlauts(stage.folder),
        "attributes": _write_attributes(stage.folder),
    }
    limit = {"SLUICE_REQUEST_RESULT_BYTES": str(_RESULT_BYTES)}
    with (
        stage.serving(stores, **limit) as target,
        httpx.Client(base_url=target.address, timeout=60) as http,
    ):
        for name in stores:
            http.get(f"/datasets/{name}")
        with target.watched() as watch, ThreadPoolExecutor(_AT_ONCE) as clients:
            asked = [path for path in _PATHS for _ in range(_AT_ONCE * _ROUNDS)]
            statuses = Counter(clients.map(lambda path: http.get(path).status_code, asked))
    yield Figure("texts: answers that are no 413", len(asked) - statuses[413], 0)
    yield from watch.figures("texts", longest_ms=500, grown_mib=500)


def _write_texts(folder: Path) -> Path:
    import numpy as np

    array = _array(folder / "texts.zarr", "remark", (_VALUES,), (_CHUNK,), str, ("station",))
    for start in range(0, _VALUES, _CHUNK):
        letter = chr(ord("a") + start // _CHUNK % 26)
        array[start : start + _CHUNK] = np.array([letter * _LETTERS] * _CHUNK, dtype=object)
    return folder / "texts.zarr"


def _write_umlauts(folder: Path) -> Path:
    """A million texts of 90 bytes in one chunk, which take four times as much once decoded."""
    import numpy as np

    array = _array(folder / "umlauts.zarr", "remark", (_UMLAUTS,), (_UMLAUTS,), str, ("station",))
    array[:] = np.array(["a" * 43 + "ä" * 21 + "😀" + str(i % 10) for i in range(_UMLAUTS)], object)
    return folder / "umlauts.zarr"


def _write_attributes(folder: Path) -> Path:
    array = _array(folder / "attributes.zarr", "one", (1,), (1,), "f4", ("x",))
    array[:] = 1.0
    array.attrs["history"] = "h" * _ATTRIBUTE_BYTES
    return folder / "attributes.zarr"


def _array(
    store: Path, name: str, shape: Any, chunks: Any, dtype: Any, dims: tuple[str, ...]
) -> Any:
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = zarr.open_group(store, mode="w", zarr_format=3)
        return root.create_array(
            name, shape=shape, chunks=chunks, dtype=dtype, dimension_names=dims
        )
