"""Ranges and flags that are no values of their variable stop no reader and blank nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from tests.blackbox.bare_stores import array, write_store
from tests.blackbox.conftest import Serve, Service
from tests.blackbox.readers import copies, in_old_python, in_r, needed, run, seen

TYPES = ["int8", "uint8", "bool", "int16", "uint64", "float32"]
BYTES = TYPES[:3]
LIMITS = ["valid_min", "valid_max"]
FLAGS = ["flag_values", "flag_masks"]
PACKED = {"scale_factor": 0.5, "add_offset": 1.0, "_FillValue": -9}
# What is no range for any variable of numbers, and then what is none for single bytes.
NO_NUMBERS: list[Any] = ["t", "5", "é", "", "lots", ["a", "b"], ["5"], [], [[1]], None]
# Too large for any whole number of a file.
LARGE = 2**70
NO_BYTES: list[Any] = [300, -200, 2**40, 1.5, -1e30]


def cases() -> list[tuple[str, str, Any, bool]]:
    """Stored type, attribute, its value, and whether it keeps its name."""
    found: list[tuple[str, str, Any, bool]] = []
    for kind in TYPES:
        for value in NO_NUMBERS:
            found += [(kind, name, value, False) for name in (*LIMITS, "valid_range")]
            found += [(kind, name, value, True) for name in FLAGS]
        for value in NO_BYTES:
            keeps = kind not in BYTES
            found += [(kind, name, value, keeps) for name in LIMITS]
            found += [(kind, "valid_range", [value, value], keeps)]
            found += [(kind, name, [1, value], True) for name in FLAGS]
        found += [(kind, "valid_range", value, False) for value in (1, [1], [0, 1, 2], "ab", "[]")]
        found += [(kind, name, LARGE, kind == "float32") for name in LIMITS]
        found += [(kind, name, [0, 1], False) for name in LIMITS]
        found += [(kind, "valid_min", 0, True), (kind, "valid_range", [0, 100], True)]
        found += [(kind, "flag_masks", [1, 2, 4], True)]
    return found


CASES = cases()
# Numbers that are packed: ranges of unpacked values beside packed bytes would blank good ones.
PACKED_CASES = [
    ("int8", "valid_max", 3.5, False),
    ("int8", "valid_max", 100, True),
    ("int8", "valid_range", [0.5, 60.5], False),
    ("int16", "valid_range", [0.5, 60.5], True),
]


@pytest.fixture(scope="module")
def path(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of a variable for each case, all of whose values are 7 (or true)."""
    folder = tmp_path_factory.mktemp("stores")
    arrays = {
        f"v{number}": array(kind, [2], ["x"], kind == "bool" or 7, {name: value})
        for number, (kind, name, value, _) in enumerate(CASES)
    }
    arrays |= {
        f"p{number}": array(kind, [2], ["x"], 7, PACKED | {name: value})
        for number, (kind, name, value, _) in enumerate(PACKED_CASES)
    }
    service: Service = serve({"ranges": write_store(folder / "ranges", arrays)})
    answer = service.get("/datasets/ranges/isel?f=netcdf")
    assert answer.status_code == 200, answer.text
    file = folder / "ranges.nc"
    file.write_bytes(answer.content)
    return file


def seven(kind: str) -> str:
    """Two values as R prints them."""
    return "1|1" if kind == "bool" else "7|7"


def test_names_tell_what_readers_can_use(path: Path) -> None:
    """What stays under its name is one or two numbers, beside bytes of their type."""
    with netCDF4.Dataset(path) as file:
        for prefix, listed in (("v", CASES), ("p", PACKED_CASES)):
            for number, (kind, name, value, keeps) in enumerate(listed):
                variable = file[f"{prefix}{number}"]
                where = (prefix, kind, name, value)
                assert {name, f"{name}_"}.intersection(variable.ncattrs()) == {
                    name if keeps else f"{name}_"
                }, where
                found = variable.getncattr(name if keeps else f"{name}_")
                if keeps and name.startswith("valid"):
                    assert np.asarray(found).dtype.kind in "iuf", where
                    if kind in BYTES:
                        assert np.asarray(found).dtype == variable.dtype, where


@pytest.mark.parametrize("package", ["RNetCDF", "ncdf4"])
def test_r_reads_every_value(path: Path, package: str) -> None:
    """RNetCDF, which compares bytes with their range, among them."""
    read = in_r(package, path)
    # Wider types may have ranges that the values are outside of.
    expected = {
        f"v{number}": seven(kind)
        for number, (kind, name, _, keeps) in enumerate(CASES)
        if kind in BYTES or not keeps or name in FLAGS
    }
    assert {name: read[name] for name in expected} == expected
    if package == "RNetCDF":
        assert [read[f"p{number}"] for number in range(len(PACKED_CASES))] == ["7|7"] * 4


def test_programs_and_old_python_read_it(path: Path) -> None:
    """Copies are equal, ncdump and ncks print all, and the netCDF4 and h5py of 2018 read on."""
    assert all(seen(copy) == seen(path) for copy in copies(path))
    needed("ncdump", "ncks")
    assert f"v{len(CASES) - 1} = 7, 7 ;" in run("ncdump", path)
    run("ncks", "--cdl", path)
    for read in in_old_python(path).values():
        for number, (kind, *_) in enumerate(CASES):
            values = read[f"v{number}"]["values"]
            assert values == [1 if kind == "bool" else 7] * 2 or kind not in BYTES
