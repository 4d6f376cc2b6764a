"""Zarr v3 stores of metadata alone, all of whose values are fill values: of any name and size."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def array(
    data_type: str,
    shape: Sequence[int],
    dims: Sequence[str],
    fill: Any = 0,
    attributes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The metadata of an array in one chunk, which is not there."""
    codecs: list[dict[str, Any]] = [{"name": "bytes", "configuration": {"endian": "little"}}]
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*shape],
        "data_type": data_type,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [max(length, 1) for length in shape]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": fill,
        "codecs": codecs,
        "attributes": dict(attributes or {}),
        "dimension_names": [*dims],
    }


def write_store(
    path: Path, arrays: Mapping[str, Any], attributes: Mapping[str, Any] | None = None
) -> Path:
    """A group of these arrays, whose names are in its consolidated metadata alone."""
    group = {
        "zarr_format": 3,
        "node_type": "group",
        "attributes": dict(attributes or {}),
        "consolidated_metadata": {
            "kind": "inline",
            "must_understand": False,
            "metadata": dict(arrays),
        },
    }
    path.mkdir(parents=True)
    (path / "zarr.json").write_text(json.dumps(group), encoding="utf-8")
    return path
