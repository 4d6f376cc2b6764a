"""Stores with odd arrays beside good ones, written as documents and bytes, key by key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Json = dict[str, Any]
LITTLE: Json = {"name": "bytes", "configuration": {"endian": "little"}}


def v2(
    attrs: Any = None, *, dims: Any = ("x",), chunk: bytes | None = None, **members: Any
) -> dict[str, Any]:
    """The keys of a v2 array of four float32 along x, 0 to 3; `members` replace or add."""
    zarray = {
        "zarr_format": 2,
        "shape": [4],
        "chunks": [4],
        "dtype": "<f4",
        "compressor": None,
        "filters": None,
        "fill_value": None,
        "order": "C",
        **members,
    }
    attributes = attrs if attrs is not None else {}
    if dims is not None and isinstance(attributes, dict):
        attributes = {"_ARRAY_DIMENSIONS": list(dims), **attributes}
    return {".zarray": zarray, ".zattrs": attributes, "0": chunk or values(zarray["dtype"])}


def v3(
    attrs: Any = None, *, dims: Any = ("x",), chunk: bytes | None = None, **members: Any
) -> dict[str, Any]:
    """The keys of a v3 array of four float32 along x, 0 to 3; `members` replace or add."""
    document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [4],
        "data_type": "float32",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [4]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [LITTLE],
        "fill_value": 0,
        "attributes": attrs if attrs is not None else {},
        **members,
    }
    if dims is not None:
        document["dimension_names"] = list(dims)
    return {"zarr.json": document, "c/0": chunk or values(document["data_type"])}


def values(dtype: Any) -> bytes:
    """The numbers 0 to 3 as a chunk of this type; of float32 where NumPy does not know it."""
    try:
        return np.arange(4).astype(np.dtype(dtype)).tobytes()
    except (TypeError, ValueError):
        return np.arange(4, dtype="<f4").tobytes()


def write(folder: Path, arrays: Mapping[str, Mapping[str, Any]], attrs: Any = None) -> Path:
    """A store of these `arrays` (of the format that the first one has), consolidated in v2."""
    folder.mkdir(parents=True)
    if "zarr.json" in next(iter(arrays.values())):
        root = {"zarr_format": 3, "node_type": "group", "attributes": attrs or {}}
        (folder / "zarr.json").write_text(json.dumps(root))
    else:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps(attrs or {}))
        documents = {
            f"{name}/{key}": document
            for name, keys in arrays.items()
            for key, document in keys.items()
            if key.startswith(".")
        }
        whole = {".zgroup": {"zarr_format": 2}, ".zattrs": attrs or {}, **documents}
        consolidated = {"zarr_consolidated_format": 1, "metadata": whole}
        (folder / ".zmetadata").write_text(json.dumps(consolidated))
    for name, keys in arrays.items():
        if "\0" not in name and name.isprintable():
            _write_keys(folder / name, keys)
    return folder


def _write_keys(folder: Path, keys: Mapping[str, Any]) -> None:
    for key, value in keys.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        match value:
            case bytes():
                path.write_bytes(value)
            case str():
                path.write_text(value)
            case _:
                path.write_text(json.dumps(value))
