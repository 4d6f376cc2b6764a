"""`check` raises no alarm over times that are missing, or beyond what nanoseconds hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from .conftest import Serve, check

DAYS = "days since 1970-01-01"
NAN = np.full(4, np.nan)
MARK = np.full(4, -(2**63))
# The values of each variable, and its attributes.
TIMES: dict[str, tuple[Any, dict[str, Any]]] = {
    "missing": (NAN, {"units": DAYS}),
    "missing_noleap": (NAN, {"units": DAYS, "calendar": "noleap"}),
    "missing_late": (NAN, {"units": "hours since 3000-01-01"}),
    "missing_early": (NAN.astype("f4"), {"units": "hours since 0001-01-01"}),
    "missing_whole": (MARK, {"units": DAYS}),
    "missing_once": (np.array(np.nan), {"units": DAYS}),
    "missing_span": (NAN, {"units": "days"}),
    "never": (np.full(4, "NaT", "M8[s]"), {}),
    "late": (400_000.0 + np.arange(4), {"units": DAYS}),
    "early": (-400_000 - np.arange(4), {"units": DAYS}),
    "last": (np.array([np.nan, np.nan, np.nan, 400_000.0]), {"units": DAYS}),
    "far": (np.array([4_000_000, 5_000_000, 5_000_001, 5_000_002]), {"units": DAYS}),
}


def write(folder: Path, version: int) -> Path:
    group = zarr.open_group(folder, mode="w", zarr_format=version)  # type: ignore[arg-type]
    with zarr.config.set({"array.write_empty_chunks": True}):
        for name, (values, attrs) in TIMES.items():
            dims = ["x"] * values.ndim
            named: dict[str, Any] = {"dimension_names": dims} if version == 3 else {}
            array = group.create_array(name, data=values, **named)
            array.attrs.update({**attrs, **({"_ARRAY_DIMENSIONS": dims} if version == 2 else {})})
    zarr.consolidate_metadata(folder)
    return folder


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.filterwarnings("ignore:The data type")
def test_missing_and_far_times_are_no_alarm(serve: Serve, tmp_path: Path) -> None:
    entries = {f"v{version}": write(tmp_path / f"v{version}", version) for version in (2, 3)}
    found = check(tmp_path, entries)
    alarms = [one for one in found if one["severity"] == "error" or "NaN" in one["text"]]
    assert not alarms
    service = serve(entries)
    for dataset in entries:
        data = service.get(f"/datasets/{dataset}/isel").json()["data_vars"]
        for name, (values, _) in TIMES.items():
            if name.startswith("missing") or name == "never":
                assert data[name]["data"] == ([None] * 4 if values.ndim else None), name
        assert data["late"]["data"][0].startswith("3065-")
        assert data["last"]["data"][:3] == [None] * 3
