"""Stores of odd names, attributes and types: nccopy and ncks copy each file to an equal one."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netCDF4
import pytest

from tests.blackbox.bare_stores import array, write_store
from tests.blackbox.conftest import Serve, Service
from tests.blackbox.readers import copies, seen

LETTERS = [*string.punctuation, " ", "\t", "\n", "\x01", "\x1f", "\x7f", "\x80", "\xa0", "é", "☃"]
# Greek question mark and varia (in normal form ASCII), a lone accent, marks of order, an emoji.
LETTERS += ["\u037e", "\u1fef", "\u0301", "\u2028", "\ufeff", "\U0001f600", "0", "z"]
AROUND = [
    form for letter in LETTERS for form in (letter, f"{letter}a", f"a{letter}", f"a{letter}b")
]
# What only dimensions and attributes can be called; then names that have a meaning somewhere.
UNSTORABLE = ["", "\0", "a\0b", "\ud800", "x" * 300, "é" * 200, "a" + " " * 300]
HIDDEN = ["CLASS", "NAME", "DIMENSION_LIST", "REFERENCE_LIST", "DIMENSION_LABELS", "_Codecs"]
HIDDEN += ["_NCProperties", "_Netcdf4Dimid", "_Netcdf4Coordinates", "_nc3_strict", "_IsNetcdf4"]
HIDDEN += ["_SuperblockVersion", "_Format", "_nczarr_array", "_nc4_non_coord_", "_nc4_non_coord_v"]
SPECIAL = ["_ChunkSizes", "_Storage", "_Endianness", "_DeflateLevel", "_Shuffle", "_Fletcher32"]
SPECIAL += ["_NoFill", "_NOFILL", "_Filter", "_QuantizeBitRoundNumberOfSignificantBits", "history"]
RANGES = ["valid_range", "valid_min", "valid_max", "flag_values", "flag_masks", "actual_range"]
MEANINGFUL = [*HIDDEN, *SPECIAL, *RANGES, "NCO", "axis", "Conventions", "title"]
# By these xarray decodes a variable, or refuses to.
DECODING = ["units", "calendar", "dtype", "scale_factor", "add_offset", "_FillValue", "_Encoding"]
DECODING += ["missing_value", "_Unsigned", "coordinates", "bounds", "grid_mapping", "climatology"]
DECODING += ["cell_measures", "formula_terms", "ancillary_variables", "_ARRAY_DIMENSIONS"]
VALUES: dict[str, Any] = {
    "whole": 1,
    "large": 2**40,
    "larger": 2**63,
    "huge": 2**70,
    "real": 1.5,
    "text": "t",
    "empty": "",
    "accented": "é",
    "true": "true",
    "texts": ["a", ""],
    "numbers": [1, 2],
    "mixed": [1, 2.5],
    "none": None,
    "yes": True,
    "nothing": [],
    "nested": [[1], {"a": None}],
    "long": "x" * 70_000,
    "many": ["x"] * 5_000,
    "accents": "°" * 33_000,
}
LONG = ("long", "many", "accents")
TYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
TYPES += ["float16", "float32", "float64"]
PARTS = {f"names{n}": AROUND[start : start + 40] for n, start in enumerate(range(0, 200, 40))}


def storable(names: list[str]) -> list[str]:
    """Those that an array of a store can have."""
    return [name for name in names if "/" not in name and name not in (".", "..")]


def stores_of(folder: Path) -> Iterator[tuple[str, Path, int]]:
    """Id, path and number of variables of each store."""
    for key, names in PARTS.items():
        own = storable(names)
        arrays = {n: array("int32", [2], ["along"], k) for k, n in enumerate(own)}
        yield key, write_store(folder / key, arrays, dict.fromkeys(names, "t")), len(arrays)
        every = [*names, *UNSTORABLE]
        arrays = {f"v{k}": array("int32", [2], [n], k) for k, n in enumerate(every)}
        attributes = dict.fromkeys([*every, *MEANINGFUL], 1)
        arrays["v0"]["attributes"] = attributes
        attributes = dict.fromkeys([*attributes, *DECODING], 1)
        yield f"{key}d", write_store(folder / f"{key}d", arrays, attributes), len(arrays)
        # Their own dimensions, and coordinates of no dimension of theirs.
        arrays = {n: array("int32", [k + 1], [n], k) for k, n in enumerate(own)}
        arrays |= {f"{n}{n}a": array("int32", [], [], k) for k, n in enumerate(own, len(own))}
        listed = {"coordinates": " ".join(f"{n}{n}a" for n in own if " " not in n)}
        arrays["v"] = array("int32", [3], ["x"], 2 * len(own), listed)
        yield f"{key}c", write_store(folder / f"{key}c", arrays), len(arrays)
    for key, value in VALUES.items():
        its = dict.fromkeys(MEANINGFUL, value)
        attributes = dict.fromkeys([*MEANINGFUL, *DECODING], value)
        # Long ones are not for every type, and JSON makes six bytes of each accent.
        kinds = TYPES[::12] if key == "accents" else TYPES[::6] if key in LONG else TYPES
        arrays = {
            f"{kind}_{rank}": array(kind, [2] * rank, ["x"] * rank, kind == "bool" or 1, its)
            for kind in kinds
            for rank in (0, 1)
        }
        yield key, write_store(folder / key, arrays, attributes), len(arrays)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, int]]:
    """Every store, and how many variables it has."""
    folder = tmp_path_factory.mktemp("stores")
    return {key: (path, count) for key, path, count in stores_of(folder)}


@pytest.fixture(scope="module")
def service(serve: Serve, stores: dict[str, tuple[Path, int]]) -> Service:
    """One server over all of them."""
    return serve({key: path for key, (path, _) in stores.items()})


def is_netcdf_name(name: str) -> bool:
    """NetCDF User's Guide, "NetCDF Names"."""
    first, encoded = name[:1], name.encode()
    begins = first == "_" or first.isalnum() or encoded[0] > 127
    holds = all(" " <= letter != "\x7f" and letter != "/" for letter in name)
    normal = unicodedata.is_normalized("NFC", name)
    return begins and holds and normal and len(encoded) <= 256 and not name.endswith(" ")


KEYS = [f"{key}{form}" for key in PARTS for form in ("", "d", "c")]
KEYS += [*VALUES]


@pytest.mark.parametrize("key", KEYS)
def test_every_file_is_copied(
    service: Service, stores: dict[str, tuple[Path, int]], tmp_path: Path, key: str
) -> None:
    """Names are NetCDF names, everything is there, and a copy holds what the file holds."""
    answer = service.get(f"/datasets/{key}/isel?f=netcdf")
    assert answer.status_code == 200, answer.text
    path = tmp_path / "answer.nc"
    path.write_bytes(answer.content)
    dims, variables, attrs = seen(path)
    # Dimensions whose names no format can hold take their variable out of the dataset.
    unusable = service.get(f"/datasets/{key}").json().get("unusable", {})
    assert len(variables) + len(unusable) == stores[key][1]
    assert len(unusable) <= (3 if key.endswith("d") else 0)
    names = [
        *dims,
        *variables,
        *attrs,
        *(name for _, _, _, own in variables.values() for name in own),
    ]
    assert [name for name in names if not is_netcdf_name(name)] == []
    if key.startswith("names"):
        with netCDF4.Dataset(path) as file:
            file.set_auto_maskandscale(False)
            values = sorted(int(v[...].ravel()[0]) for v in file.variables.values())
        assert {*range(stores[key][1])}.issuperset(values)
        assert len({*values}) == len(values) == len(variables)
    for copy in copies(path):
        assert seen(copy) == (dims, variables, attrs)
