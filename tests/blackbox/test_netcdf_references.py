"""A name that NetCDF does not have is one name in all files of a dataset, and in its attributes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import netCDF4
import pytest
import xarray as xr

from tests.blackbox.bare_stores import array, write_store
from tests.blackbox.conftest import Serve, Service
from tests.blackbox.readers import copies, in_r, needed, run, seen

# Each variable's values are its number here.
CLASHING = ["-v", "_-v", "_-v_", "+v", "v\t", "v_", "v\x01", "$v", "_$v", "my time", "my_time"]
CLASHING += [f"{chr(0xE000 + number)}" for number in range(40)]
DIMS = {"my time": 2, "my_time": 3, "-x": 2, "_-x": 3, "points": 4, "points\t": 4}
ALONG = {"my time": ["my time"], "my_time": ["my_time"]}
# Attribute, what the store says, what a file says.
REFERENCES = [
    ("bounds", "-x bnds", "_-x bnds"),
    ("climatology", "-c", "_-c_"),
    ("grid_mapping", "-crs", "_-crs"),
    ("grid_mapping", "-crs: -x ~y crs: lat", "_-crs: _-x _~y crs: lat"),
    ("grid_mapping", "-crs: my lon", "_-crs: my_lon"),
    ("ancillary_variables", "-c  lat\n[flag", "_-c_  lat\n_[flag"),
    ("ancillary_variables", "gone -gone -c", "gone -gone _-c_"),
    ("ancillary_variables", "my lon -c", "my_lon _-c_"),
    # Two variables, or one whose name has a blank.
    ("ancillary_variables", "lat lon -c", "lat lon _-c_"),
    ("cell_measures", "area: -c", "area: _-c_"),
    ("cell_measures", "area: -c volume: my lon", "area: _-c_ volume: my_lon"),
    ("formula_terms", "a: -c b: lat -x: [flag", "a: _-c_ b: lat -x: _[flag"),
    ("cell_methods", "-x: mean", "_-x: mean"),
    ("cell_methods", "-x: ~y: mean where [flag", "_-x: _~y: mean where _[flag"),
    (
        "cell_methods",
        "time: mean (interval: 1 hr comment: -x: sampled) -x: sum my lon: point",
        "time: mean (interval: 1 hr comment: -x: sampled) _-x: sum my_lon: point",
    ),
    ("node_coordinates", "-c lat", "_-c_ lat"),
    ("long_name", "-c", "-c"),
    ("comment", "area: -c", "area: -c"),
]


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """One server over a store of names that clash, and one of names in attributes."""
    folder = tmp_path_factory.mktemp("stores")
    clashing = {
        name: array("int32", [DIMS[d] for d in ALONG.get(name, [])], ALONG.get(name, []), number)
        for number, name in enumerate(CLASHING)
    }
    clashing["all"] = array("int32", [*DIMS.values()], [*DIMS], len(clashing))
    known = ["-x bnds", "-c", "_-c", "-crs", "crs", "lat", "lon", "lat lon", "[flag", "time"]
    named = {name: array("float32", [2], ["~y"], 7) for name in known}
    # Coordinates of dimensions of their names.
    named |= {n: array("float64", [2], [n], 7) for n in ("my lon", "-x", "lat lon")}
    for number, (key, value, _) in enumerate(REFERENCES):
        named[f"v{number}"] = array("float32", [2, 2], ["~y", "-x"], 7, {key: value})
    title = {"Conventions": "CF-1.8", "external_variables": "-c gone"}
    return serve(
        {
            "clashing": write_store(folder / "clashing", clashing),
            "named": write_store(folder / "named", named, title),
        }
    )


def saved(service: Service, folder: Path, name: str, **parameters: Any) -> Path:
    """This part of a dataset as a file."""
    answer = service.get(f"/datasets/{name}/isel", params={"f": "netcdf", **parameters})
    assert answer.status_code == 200, answer.text
    path = folder / f"{abs(hash(json.dumps(parameters)))}.nc"
    path.write_bytes(answer.content)
    return path


def numbers(path: Path) -> dict[int, str]:
    """What the variable of each number is called."""
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        found = {int(v[...].ravel()[0]): name for name, v in file.variables.items()}
        assert len(found) == len(file.variables)
        return found


def test_a_name_is_the_same_in_every_part(service: Service, tmp_path: Path) -> None:
    """Alone, beside others and as a place: what a name clashes with need not be asked for."""
    whole = numbers(saved(service, tmp_path, "clashing"))
    assert len(whole) == len(CLASHING) + 1
    assert all(len(name.encode()) <= 256 for name in whole.values())
    assert {whole[CLASHING.index(name)] for name in ("_-v", "_-v_", "v_", "_$v")} == {
        *("_-v", "_-v_", "v_", "_$v")
    }
    asked: list[dict[str, Any]] = [{"variables": name} for name in CLASHING[:9]]
    asked += [{"variables": name} for name in CLASHING[11:] if name.isprintable()]
    asked += [{"variables": "all", **place} for place in ({}, {"-x": 0}, {"my_time": 1})]
    asked += [{"variables": "all", "my time": place} for place in ("0", "0,1", "0:1")]
    for parameters in asked:
        found = numbers(saved(service, tmp_path, "clashing", **parameters))
        assert {number: whole[number] for number in found} == found
        assert found


def test_a_dimension_is_the_same_in_every_part(service: Service, tmp_path: Path) -> None:
    """By its size; one of places that are read together gets another name than those there are."""
    dims, _, _ = seen(saved(service, tmp_path, "clashing"))
    for gone in DIMS:
        path = saved(service, tmp_path, "clashing", variables="all", **{gone: 0})
        part, variables, _ = seen(path)
        assert {name: dims[name] for name in part} == part
        assert len(variables["all"][1]) == len(DIMS) - 1
        assert all(seen(copy) == seen(path) for copy in copies(path))
    together = {"-x": "0,1,1", "_-x": "0,1,2", "pointwise": "-x,_-x"}
    part, variables, _ = seen(saved(service, tmp_path, "clashing", variables="all", **together))
    assert [name for name in part if name not in dims] != []
    assert len(variables["all"][1]) == len({*variables["all"][1]}) == len(DIMS) - 1


@pytest.mark.parametrize("number", range(len(REFERENCES)))
def test_attributes_name_what_is_in_the_file(service: Service, tmp_path: Path, number: int) -> None:
    """Whether the file holds what they name or not, and read by the C library's own program."""
    key, _, value = REFERENCES[number]
    needed("ncdump")
    for variables in (f"v{number}", None):
        asked = {"variables": variables} if variables else {}
        path = saved(service, tmp_path, "named", **asked)
        with netCDF4.Dataset(path) as file:
            assert file[f"v{number}"].getncattr(key) == value
            assert file.external_variables == "_-c_ gone"
        header = run("ncdump", "-h", path)
        said = value.replace("\n", '\\n",\n\t\t\t"')
        assert said in header or value.replace("\n", "\\n") in header
        assert all(seen(copy) == seen(path) for copy in copies(path))


def test_readers_follow_the_names(service: Service, tmp_path: Path) -> None:
    """NCO brings along what a variable's attributes name, and xarray makes coordinates of it."""
    path = saved(service, tmp_path, "named")
    part = tmp_path / "part.nc"
    numbers_of = {(key, value): number for number, (key, _, value) in enumerate(REFERENCES)}
    followed = {
        ("climatology", "_-c_"): "_-c_",
        ("grid_mapping", "_-crs"): "_-crs",
        ("ancillary_variables", "my_lon _-c_"): "_-c_",
        ("cell_measures", "area: _-c_"): "_-c_",
        ("formula_terms", "a: _-c_ b: lat -x: _[flag"): "_-c_",
    }
    for reference, name in followed.items():
        run("ncks", "-O", "-h", "-v", f"v{numbers_of[reference]}", path, part)
        assert name in seen(part)[1]
    # xarray splits all of them at blanks, and warns of what is not there.
    kept = ("v1", *(f"v{numbers_of[reference]}" for reference in followed))
    odd = [name for name in seen(path)[1] if name[0] == "v" and name not in kept]
    with xr.open_dataset(path, decode_coords="all", drop_variables=odd) as found:
        assert {"_-c_", "_-crs", "_~y"}.difference(found.coords) == {"_~y"}
    read = in_r("RNetCDF", path)
    assert read["v0:bounds"] == "_-x bnds"
