"""A dimension twice in one variable, or without a name: served as the store has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from tests.blackbox.conftest import Serve, Service, check

BANDS = [10.0, 20.0, 30.0, 40.0]
COV = np.arange(1.0, 17.0).reshape(4, 4)
KERNEL = np.arange(1.0, 33.0).reshape(4, 2, 4)
LONGITUDES = [0.0, 90.0, 180.0, 270.0]
PLAIN = np.arange(1.0, 5.0)


def put(group: zarr.Group, name: str, dims: list[str | None], values: Any, **attrs: Any) -> None:
    """An array with these dimensions, in either format, in chunks of two."""
    values = np.asarray(values)
    v3 = group.metadata.zarr_format == 3
    named: dict[str, Any] = {"dimension_names": dims} if v3 else {}
    chunks = tuple(min(size, 2) for size in values.shape)
    array = group.create_array(name, shape=values.shape, chunks=chunks, dtype="f8", **named)
    array[...] = values
    array.attrs.update(attrs if v3 else {"_ARRAY_DIMENSIONS": dims, **attrs})


def covariances(path: Path, zarr_format: int) -> Path:
    """Covariances of bands, kernels with a level in between, and correlations of longitudes."""
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)  # type: ignore[arg-type]
    put(group, "band", ["band"], BANDS)
    put(group, "cov", ["band", "band"], COV)
    put(group, "kernel", ["band", "level", "band"], KERNEL)
    put(group, "plain", ["band"], PLAIN)
    put(group, "lon", ["lon"], LONGITUDES, units="degrees_east")
    put(group, "corr", ["lon", "lon"], COV)
    return path


def coordinates(path: Path) -> Path:
    """A coordinate that has a dimension twice, and variables of other dtypes that do."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    put(group, "t", ["band"], PLAIN, coordinates="cov")
    put(group, "cov", ["band", "band"], COV)
    put(group, "when", ["band", "band"], COV, units="days since 2000-01-01")
    put(group, "date", ["band", "band"], COV, units="days since 2000-01-01", calendar="noleap")
    put(group, "packed", ["band", "band"], COV, scale_factor=0.5, _FillValue=3.0)
    put(group, "cube", ["band", "band", "band"], np.arange(64).reshape(4, 4, 4))
    return path


def unnamed(path: Path) -> Path:
    """Arrays whose dimensions have no names, of one size and of several."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    put(group, "square", [None, None], COV)
    put(group, "oblong", [None, None], COV[:3])
    put(group, "mixed", ["band", None], COV[:, :2])
    put(group, "band", ["band"], BANDS)
    return path


def nameless(path: Path) -> Path:
    """A dimension whose name is the empty text, twice."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    put(group, "cov", ["", ""], COV)
    return path


def large(path: Path) -> Path:
    """A square of 200 MB of which nothing is stored."""
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array(
        "cov", shape=(5000, 5000), chunks=(500, 500), dtype="f8", dimension_names=["n", "n"]
    )
    return path


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A server over all of them."""
    folder = tmp_path_factory.mktemp("repeated")
    return serve(
        {
            "v2": covariances(folder / "v2.zarr", 2),
            "v3": covariances(folder / "v3.zarr", 3),
            "coordinates": coordinates(folder / "coordinates.zarr"),
            "unnamed": unnamed(folder / "unnamed.zarr"),
            "large": large(folder / "large.zarr"),
            "nameless": nameless(folder / "nameless.zarr"),
        }
    )


def variable(service: Service, path: str, name: str) -> tuple[list[str], Any, dict[str, Any]]:
    """Dimensions and values of a variable of a JSON answer, and the answer's sizes."""
    answer = service.get(path)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    found = document["data_vars"][name]
    shape = [document["dims"][dim] for dim in found["dims"]]
    assert list(np.shape(found["data"])) == shape
    return found["dims"], found["data"], document


@pytest.mark.parametrize("store", ["v2", "v3"])
@pytest.mark.parametrize(
    ("query", "places", "dims"),
    [
        ("isel?", slice(None), 2),
        ("isel?band=1:3", slice(1, 3), 2),
        ("isel?band=::-1", slice(None, None, -1), 2),
        ("isel?band=2,0", [2, 0], 2),
        ("isel?band=2", 2, 0),
        ("sel?band=30", 2, 0),
        ("sel?band=nearest::31", 2, 0),
        ("sel?band=40,10", [3, 0], 2),
        ("sel?band=20/40", slice(1, 4), 2),
    ],
)
def test_a_selection_is_along_both(
    service: Service, store: str, query: str, places: Any, dims: int
) -> None:
    """A position or label along the dimension is one along each of its places."""
    path = f"/datasets/{store}/{query}&variables="
    named, values, document = variable(service, path + "cov", "cov")
    assert named == ["band"] * dims
    assert values == (COV[places, places] if dims == 0 else COV[places][:, places]).tolist()
    named, values, _ = variable(service, path + "kernel", "kernel")
    assert named == (["band", "level", "band"] if dims else ["level"])
    wanted = KERNEL[places, :, places] if dims == 0 else KERNEL[places][:, :, places]
    assert values == wanted.tolist()
    assert document["coords"]["band"]["data"] == np.asarray(BANDS)[places].tolist()


def test_points_and_seams(service: Service) -> None:
    """Points are on the diagonal, and a box across the seam has both axes turned."""
    path = "/datasets/v3/isel?band=3,1&level=0,1&pointwise=band,level&variables=kernel"
    dims, values, _ = variable(service, path, "kernel")
    assert (dims, values) == (["points"], [KERNEL[3, 0, 3], KERNEL[1, 1, 1]])
    dims, values, document = variable(service, "/datasets/v3/sel?lon=-90/0&variables=corr", "corr")
    assert (dims, values) == (["lon", "lon"], COV[[3, 0]][:, [3, 0]].tolist())
    assert document["coords"]["lon"]["data"] == [-90.0, 0.0]


@pytest.mark.parametrize("form", ["csv", "netcdf"])
def test_what_a_format_cannot_say_is_refused_by_name(service: Service, form: str) -> None:
    """A table and a file have no place for it; what is left of it, and other variables, they do."""
    for path in ("isel", "isel?variables=cov", "isel?band=0:2&variables=cov,plain"):
        answer = service.get(f"/datasets/v3/{path}{'&' if '?' in path else '?'}f={form}")
        assert answer.status_code == 406, answer.text
        problem = answer.json()
        assert problem["variable"] in ("cov", "kernel", "corr")
        assert problem["variable"] in problem["detail"]
        assert problem["known"] == ["json"]
    for query in ("variables=plain", "variables=cov&band=1", "variables=plain&band=1:3"):
        assert service.get(f"/datasets/v3/isel?{query}&f={form}").status_code == 200


def test_values_of_other_kinds(service: Service) -> None:
    """Times, dates, packed numbers and cubes, which are read and decoded as any others."""
    path = "/datasets/coordinates/isel?band=0,2&variables="
    for name, wanted in (
        ("when", [["2000-01-02T00:00:00Z", "2000-01-04T00:00:00Z"],
                  ["2000-01-10T00:00:00Z", "2000-01-12T00:00:00Z"]]),
        ("date", [["2000-01-02T00:00:00", "2000-01-04T00:00:00"],
                  ["2000-01-10T00:00:00", "2000-01-12T00:00:00"]]),
        ("packed", [[0.5, None], [4.5, 5.5]]),
        ("cube", [[[0.0, 2.0], [8.0, 10.0]], [[32.0, 34.0], [40.0, 42.0]]]),
    ):  # fmt: skip
        dims, values, document = variable(service, path + name, name)
        assert dims == ["band"] * (3 if name == "cube" else 2)
        assert values == wanted
        assert document["coords"]["cov"]["data"] == COV[[0, 2]][:, [0, 2]].tolist()


def test_a_coordinate_comes_along(service: Service) -> None:
    """So asking for other variables is no advice; it is no index, which is said once."""
    answer = service.get("/datasets/coordinates/isel?variables=t&f=csv")
    assert answer.status_code == 406
    assert answer.json()["variable"] == "cov"
    assert "variables=" not in answer.json()["detail"]
    answer = service.get("/datasets/coordinates/isel?variables=t&f=csv&band=3")
    assert answer.text.split() == ["cov,t", "16.0,4.0"]
    answer = service.get("/datasets/coordinates/sel?cov=1")
    assert answer.status_code == 422
    assert answer.json()["instead"] == ["isel[band]"]


def test_sizes_and_limits(service: Service) -> None:
    """What it counts for is the square, in explanations, limits and descriptions."""
    described = service.get("/datasets/large").json()
    assert described["dims"] == {"n": 5000}
    assert described["data_vars"]["cov"]["dims"] == ["n", "n"]
    assert described["data_vars"]["cov"]["nbytes"] == 5000 * 5000 * 8
    explained = service.get("/datasets/large/isel?explain=true").json()
    assert explained["result_bytes"] == explained["chunk_bytes"] == 5000 * 5000 * 8
    assert explained["chunks"] == 100
    assert not explained["within_limits"]
    answer = service.get("/datasets/large/isel")
    assert answer.status_code == 413
    assert answer.json()["estimate"] == 5000 * 5000 * 8
    explained = service.get("/datasets/large/isel?n=0:1000&explain=true").json()
    assert (explained["result_bytes"], explained["chunks"]) == (8_000_000, 4)
    explained = service.get("/datasets/large/isel?n=7&explain=true").json()
    assert (explained["result_bytes"], explained["chunks"]) == (8, 1)


def test_an_empty_name_is_seen_in_a_sentence(service: Service, tmp_path: Path) -> None:
    """In quotation marks, in refusals and findings."""
    for form in ("csv", "netcdf"):
        answer = service.get(f"/datasets/nameless/isel?f={form}")
        assert answer.status_code == 406
        assert "cov has the dimension '' more than once" in answer.json()["detail"]
        assert "one position along ''" in answer.json()["detail"]
    found = check(tmp_path, {"nameless": nameless(tmp_path / "nameless.zarr")})
    assert all(one["where"] for one in found if "dimension" in one["text"])


def test_unnamed_dimensions_are_each_one_of_its_own(service: Service) -> None:
    """They are called after the variable, can be selected along, and fit into every format."""
    sizes = service.get("/datasets/unnamed").json()["dims"]
    assert sizes == {
        "square_dim_0": 4,
        "square_dim_1": 4,
        "oblong_dim_0": 3,
        "oblong_dim_1": 4,
        "band": 4,
        "mixed_dim_1": 2,
    }
    for name, values in (("square", COV), ("oblong", COV[:3])):
        path = f"/datasets/unnamed/isel?variables={name}"
        dims, found, _ = variable(service, path, name)
        assert (dims, found) == ([f"{name}_dim_0", f"{name}_dim_1"], values.tolist())
        dims, found, _ = variable(service, f"{path}&{name}_dim_1=1:3", name)
        assert found == values[:, 1:3].tolist()
        rows = service.get(f"{path}&f=csv").text.split()
        assert rows[0] == f"{name}_dim_0,{name}_dim_1,{name}"
        assert len(rows) == values.size + 1
        assert service.get(f"{path}&f=netcdf").status_code == 200
    dims, found, _ = variable(service, "/datasets/unnamed/sel?variables=mixed&band=20", "mixed")
    assert (dims, found) == (["mixed_dim_1"], COV[1, :2].tolist())


def test_the_log_and_check_say_no_word_of_code(service: Service, tmp_path: Path) -> None:
    """xarray's advice on such variables is for programmers."""
    assert "dimension names" not in service.log.read_text().lower()
    stores = {"v3": covariances(tmp_path / "v3.zarr", 3), "unnamed": unnamed(tmp_path / "u.zarr")}
    for finding in check(tmp_path, stores):
        assert "Error" not in str(finding)
        assert finding["severity"] != "error"
