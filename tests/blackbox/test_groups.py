"""`group: "*"`: each group of a hierarchy is a dataset, with what it inherits, as in a DataTree."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import xarray as xr
import zarr

from loadtests.attack.odd_web import OddWeb, Visit, odd_web
from tests.blackbox.conftest import Entries, Serve, Service, check, command, write_catalog
from tests.blackbox.processes import says, until

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")

WHOLE, PATTERN, ONE = "a-partner's-key", "a-reader's-key", "a-guest's-key"
KEYS = ";".join(
    [
        f"whole {sha256(WHOLE.encode()).hexdigest()} datasets=tree",
        f"pattern {sha256(PATTERN.encode()).hexdigest()} datasets=tree~land*",
        f"one {sha256(ONE.encode()).hexdigest()} datasets=tree~sea",
    ]
)
TIMES = xr.date_range("2020-01-01", periods=4, freq="D")
KINDS = {
    "v2-consolidated": (2, True),
    "v2-walked": (2, False),
    "v3-consolidated": (3, True),
    "v3-walked": (3, False),
}
PATHS = ["", "land", "land/hourly", "sea", "deep/er/leaf"]


def tree() -> xr.DataTree:
    """Nested groups: one with arrays in the root and on the way, groups without any, leaves.

    ``land`` has a coordinate of the root once more, ``sea`` one of its own without an index.
    """
    lat = xr.Variable("lat", [10.0, 20.0, 30.0], {"units": "degrees_north"})
    root = xr.Dataset(
        {"height": ("lat", np.arange(3, dtype="f4"))},
        {"time": TIMES, "lat": lat, "label": ("station", [1, 2]), "run": 7},
        {"title": "root"},
    )
    land = xr.Dataset(
        {"t2m": (("time", "lat"), np.arange(12.0).reshape(4, 3))},
        {"lat": xr.Variable("lat", [10.0, 20.0, 30.0], {"units": "other"})},
    )
    hourly = xr.Dataset(
        {"rain": (("time", "hour"), np.arange(8, dtype="i2").reshape(4, 2))}, {"hour": [0, 12]}
    )
    sea = xr.Dataset({"sst": ("lat", [1.0, np.nan, 3.0])}, {"depth": ("lat", [5, 6, 7])})
    leaf = xr.Dataset({"n": ("station", [1, 2])})
    return xr.DataTree.from_dict(
        {"/": root, "/land": land, "/land/hourly": hourly, "/sea": sea, "/deep/er/leaf": leaf}
    )


def write(path: Path, zarr_format: int = 2, consolidated: bool = True) -> Path:
    """The tree as a store; a group has what it inherits only from where it inherits it."""
    tree().to_zarr(
        path,
        zarr_format=zarr_format,
        consolidated=consolidated,
        write_inherited_coords=False,
        encoding={"/sea": {"sst": {"chunks": (2,)}}},
    )
    return path


def references(store: Path) -> Path:
    """A document of references to the keys of a store, as kerchunk makes them."""
    refs = {
        str(file.relative_to(store)): (
            file.read_text() if file.name.startswith(".z") else [str(file)]
        )
        for file in store.rglob("*")
        if file.is_file() and file.name != ".zmetadata"
    }
    document = store.with_suffix(".json")
    document.write_text(json.dumps({"version": 1, "refs": refs}))
    return document


def id_of(entry: str, path: str) -> str:
    """The id of the group at `path`."""
    return "~".join([entry, *filter(None, path.split("/"))])


def listed(service: Service, **headers: str) -> dict[str, dict[str, Any]]:
    """What is told of each dataset, by its id."""
    told = service.get("/datasets", headers=headers).json()["datasets"]
    return {one["id"]: one for one in told}


def enumerated(service: Service) -> Callable[[], bool]:
    """Whether nothing is pending any more."""
    return lambda: not any("groups" in one for one in listed(service).values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stores of each kind."""
    folder = tmp_path_factory.mktemp("trees")
    for name, (zarr_format, consolidated) in KINDS.items():
        write(folder / f"{name}.zarr", zarr_format, consolidated)
    references(folder / "v2-walked.zarr")
    (folder / "many").mkdir()
    many = zarr.create_group(folder / "many" / "many.zarr", zarr_format=3)
    for number in range(300):
        many.create_group(f"g{number:03}").create_array(
            "v", data=np.full(2, number), dimension_names=["x"]
        )
    write_odd(folder)
    return folder


def write_odd(folder: Path) -> None:
    """A tree of which some groups are broken, misaligned, or have names that make no id."""
    x = xr.Dataset(coords={"x": [1, 2, 3]})
    good = xr.Dataset({"v": ("x", [1.0, 2.0, 3.0])})
    odd = xr.DataTree.from_dict({"/": x, "/good": good, "/a b/c": good, "/ü": good, "/q~r": good})
    odd.to_zarr(folder / "odd.zarr", zarr_format=3, consolidated=False)
    short = xr.Dataset({"v": ("x", [1.0, 2.0])}, {"x": [1, 2]})
    for name in ("short", "short/below", "torn", "torn/below"):
        (good if "below" in name else short).to_zarr(
            folder / "odd.zarr", group=name, zarr_format=3, consolidated=False
        )
    (folder / "odd.zarr" / "torn" / "zarr.json").write_text("{")


@pytest.fixture(scope="module")
def service(serve: Serve, folder: Path) -> Service:
    """One server over all of them, whose groups are known."""
    entries: dict[str, Any] = {
        name: {"url": str(folder / f"{name}.zarr"), "group": "*", "title": "Trees"}
        for name in KINDS
    }
    fo = {"fo": str(folder / "v2-walked.json")}
    entries["references"] = {"url": "reference://", "storage_options": fo, "group": "*"}
    entries["{stem}-glob"] = {"url": str(folder / "many" / "*.zarr"), "group": "*"}
    entries["odd"] = {"url": str(folder / "odd.zarr"), "group": "*"}
    # Who names a group in the file means it.
    entries["v2-walked~sea"] = {
        "url": str(folder / "v2-walked.zarr"),
        "group": "land/hourly",
        "title": "Own",
    }
    service = serve(entries)
    until(enumerated(service), "know all groups")
    return service


def netcdf(service: Service, path: str) -> xr.Dataset:
    """The answer as a dataset in memory."""
    answer = service.get(path, headers={"Accept": "application/x-netcdf"})
    assert answer.status_code == 200, answer.text
    with xr.open_dataset(io.BytesIO(answer.content), engine="h5netcdf") as found:
        return found.load()


@pytest.mark.parametrize("entry", [*KINDS, "references"])
@pytest.mark.parametrize("path", PATHS)
def test_a_group_is_what_it_is_in_a_datatree(
    service: Service, folder: Path, entry: str, path: str
) -> None:
    """With the coordinates that it inherits, whole, in part, and by labels it does not have."""
    if (entry, path) == ("v2-walked", "sea"):
        pytest.skip("an entry of the file has this id")
    store, consolidated = folder / f"{entry}.zarr", KINDS.get(entry, (2, False))[1]
    if entry == "references":
        store = folder / "v2-walked.zarr"
    with xr.open_datatree(store, engine="zarr", consolidated=consolidated) as opened:
        expected = opened[f"/{path}"].to_dataset().load()
    found = f"/datasets/{id_of(entry, path)}"
    xr.testing.assert_identical(netcdf(service, f"{found}/isel"), expected)
    part = netcdf(service, f"{found}/isel?time=1:3&lat=-1")
    xr.testing.assert_identical(part, expected.isel(time=slice(1, 3), lat=-1))
    labels = netcdf(service, f"{found}/sel?time=2020-01-02T00:00Z&lat=nearest::19")
    near = expected.sel(lat=19, method="nearest").sel(time="2020-01-02T00:00")
    xr.testing.assert_identical(labels, near)
    told = service.get(found).json()
    assert set(told["coords"]) == set(expected.coords)
    assert set(told["data_vars"]) == set(expected.data_vars)


def test_groups_are_listed_in_the_place_of_their_entry(service: Service) -> None:
    """Groups without arrays are none; the root is called as the entry is."""
    told = listed(service)
    for name in ("v2-consolidated", "v3-consolidated", "v3-walked", "references"):
        own = [one for one in told if one == name or one.startswith(f"{name}~")]
        assert own == sorted(id_of(name, path) for path in PATHS)
    assert told["v3-walked"]["title"] == "Trees"
    assert told["v3-walked~land~hourly"]["title"] == "Trees: land/hourly"
    assert service.get("/catalog/status").json()["datasets"]["v3-walked~sea"] == "ready"


def test_hundreds_of_groups_come_through_a_glob(service: Service) -> None:
    """Each with its own values; the root, which has no array, is no dataset."""
    told = listed(service)
    assert [one for one in told if "glob" in one] == [f"many-glob~g{n:03}" for n in range(300)]
    answer = service.get("/datasets/many-glob~g217/isel?x=0")
    assert answer.json()["data_vars"]["v"]["data"] == 217


def test_an_entry_of_the_file_keeps_its_id(service: Service) -> None:
    """The group that would have it is not served, and the log says so."""
    assert listed(service)["v2-walked~sea"]["title"] == "Own"
    assert "rain" in service.get("/datasets/v2-walked~sea").json()["data_vars"]
    line = "groups of 'v2-walked': 1 found and not served: the group 'sea': the id 'v2-walked~sea'"
    assert line in service.log.read_text()


def test_a_group_that_is_none_is_a_404_that_leads_on(service: Service) -> None:
    """To the group that may be meant; to one of them where the root is meant and has no array."""
    problem = service.get("/datasets/v3-walked~lnad~hourly/isel")
    assert problem.status_code == 404
    assert problem.json()["did_you_mean"] == "v3-walked~land~hourly"
    assert "did you mean v3-walked~land~hourly?" in problem.json()["detail"]
    assert service.get("/datasets/many-glob").json()["did_you_mean"] == "many-glob~g000"
    for name in ("v3-walked~", "v3-walked~~", "v3-walked~..", "nothing~land", "~", "v3-walked~*"):
        answer = service.get(f"/datasets/{name}")
        assert answer.status_code == 404, name


def test_odd_groups_leave_their_siblings_alone(service: Service) -> None:
    """What is broken or does not fit its parents is a problem; a name that makes no id is left."""
    told = [name for name in listed(service) if name.startswith("odd")]
    assert told == ["odd", "odd~good", "odd~short", "odd~short~below", "odd~torn", "odd~torn~below"]
    good = service.get("/datasets/odd~good/sel?x=2").json()
    assert good["data_vars"]["v"]["data"] == 2.0
    for name in ("odd~short", "odd~short~below"):
        problem = service.get(f"/datasets/{name}/isel")
        assert problem.status_code == 502
        assert problem.json()["group"] == "short"
        assert "'short' is not aligned with those that it lies in" in problem.json()["detail"]
    for name in ("odd~torn", "odd~torn~below"):
        problem = service.get(f"/datasets/{name}/isel")
        assert problem.status_code == 502
        assert problem.json()["type"].endswith("store-metadata")
        assert f"dataset '{name}': MetadataError: 'torn/zarr.json'" in service.log.read_text()
    log = service.log.read_text()
    for path in ("a b/c", "ü", "q~r"):
        assert f"the group '{path}': a group that is served has letters" in log


def test_check_looks_at_every_group(folder: Path, tmp_path: Path) -> None:
    """By the ids that they are served by, and says what is left out."""
    found = check(tmp_path, {"odd": {"url": str(folder / "odd.zarr"), "group": "*"}})
    errors = {one["dataset"] for one in found if one["severity"] == "error"}
    # The root has a member that cannot be told to be a group.
    assert errors == {"odd", "odd~short", "odd~short~below", "odd~torn", "odd~torn~below"}
    texts = [one["text"] for one in found if one["dataset"] == "odd"]
    assert sum("left out: the group" in text for text in texts) == 3
    gone = check(tmp_path, {"gone": {"url": str(tmp_path / "gone.zarr"), "group": "*"}})
    assert [one["severity"] for one in gone] == ["error"]
    assert "it cannot be listed" in gone[0]["text"]


def test_check_advises_groups(folder: Path, tmp_path: Path) -> None:
    """An entry whose group holds no array is told of those that do, and how to serve them all."""
    (found,) = check(tmp_path, {"many": folder / "many" / "many.zarr"})
    assert 'or group: "*", which serves each' in found["text"]


@pytest.fixture
def web(folder: Path) -> Iterator[OddWeb]:
    """A web server over the stores."""
    with odd_web(folder) as web:
        yield web


def unavailable(visit: Visit) -> None:
    """The answer of a server that is not well."""
    visit.whole(500, b"")


def test_until_groups_are_known_the_entry_says_so(serve: Serve, web: OddWeb) -> None:
    """Nothing waits for a slow store: neither the start nor the list; who asks for a group does."""
    gate = threading.Event()

    def slow(visit: Visit) -> None:
        gate.wait(60)
        visit.file()

    web.manners[".zmetadata"] = slow
    try:
        service = serve(
            {
                "tree": {
                    "url": f"{web.address}/v2-consolidated.zarr",
                    "group": "*",
                    "zarr_format": 2,
                }
            },
            SLUICE_STATUS_PATIENCE_SECONDS="0.2",
        )
        assert listed(service) == {"tree": {"id": "tree", "title": None, "groups": "pending"}}
        gone = service.get("/datasets/trees~land")
        assert gone.status_code == 404
        answers: list[httpx.Response] = []
        asking = threading.Thread(
            target=lambda: answers.append(service.get("/datasets/tree~sea/isel"))
        )
        asking.start()
        assert listed(service)["tree"]["groups"] == "pending"
        assert service.get("/catalog/status").json()["datasets"] == {"tree": "pending"}
    finally:
        gate.set()
    asking.join()
    assert answers[0].status_code == 200
    assert list(listed(service)) == sorted(id_of("tree", path) for path in PATHS)
    assert service.get("/datasets/tree~see").json()["did_you_mean"] == "tree~sea"


def test_a_store_that_fails_is_a_problem_and_asked_again(serve: Serve, web: OddWeb) -> None:
    """No group is unknown because a store did not answer; when it does, all is there."""
    web.manners["v3-consolidated"] = unavailable
    entry = {"url": f"{web.address}/v3-consolidated.zarr", "group": "*"}
    service = serve({"tree": entry}, SLUICE_FAILED_OPEN_SECONDS="1", SLUICE_STORE_ATTEMPTS="1")
    for name in ("tree", "tree~land", "tree~what"):
        assert service.get(f"/datasets/{name}").status_code in (502, 503)
    assert listed(service)["tree"]["groups"] == "pending"
    assert service.get("/catalog/status").json()["status"] == "unready"
    assert "groups of 'tree': cannot be listed" in service.log.read_text()
    web.manners.clear()
    until(enumerated(service), "know the groups")
    until(lambda: service.get("/datasets/tree~land").status_code == 200, "answer")
    assert service.get("/datasets/tree~what").status_code == 404
    assert "groups of 'tree': it can be listed again" in service.log.read_text()
    # What was known stays when it fails again.
    web.manners["v3-consolidated"] = unavailable
    assert len(listed(service)) == len(PATHS)


def test_keys_for_an_entry_or_a_pattern_open_its_groups(serve: Serve, folder: Path) -> None:
    """Others are hidden, in lists, in answers and in what may be meant."""
    entries: Entries = {
        "tree": {"url": str(folder / "v3-walked.zarr"), "group": "*"},
        "other": {"url": str(folder / "v2-walked.zarr"), "group": "*"},
    }
    service = serve(entries, SLUICE_KEYS=KEYS)
    assert service.get("/datasets/tree~land").status_code == 401
    ids = [id_of("tree", path) for path in PATHS]
    allowed = {
        WHOLE: sorted(ids),
        PATTERN: ["tree~land", "tree~land~hourly"],
        ONE: ["tree~sea"],
    }
    for key, expected in allowed.items():
        headers = {"X-API-Key": key}
        until(lambda h=headers, e=expected: list(listed(service, **h)) == e, "list them")  # type: ignore[misc]
        for name in [*ids, *(id_of("other", path) for path in PATHS)]:
            status = service.get(f"/datasets/{name}", headers=headers).status_code
            assert status == (200 if name in expected else 404), name
    problem = service.get("/datasets/tree~lan", headers={"X-API-Key": ONE}).json()
    assert problem.get("did_you_mean") in (None, "tree~sea")


def test_a_key_for_no_group_is_refused_at_the_start(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for any dataset that there is not."""
    catalog = write_catalog(tmp_path, {"tree": {"url": str(folder / "odd.zarr"), "group": "*"}})
    monkeypatch.setenv("SLUICE_KEYS", f"x {'0' * 64} datasets=three~land")
    done = command("serve", "--catalog", catalog)
    assert done.returncode == 2
    assert "there is no dataset 'three~land'" in done.stderr


def test_groups_come_and_go_in_all_workers(serve: Serve, folder: Path, tmp_path: Path) -> None:
    """A new group appears by itself; SIGHUP brings other entries, and drops those that are gone."""
    store = tmp_path / "tree.zarr"
    shutil.copytree(folder / "v3-walked.zarr", store)
    entry = {"url": str(store), "group": "*", "refresh_seconds": 1}
    service = serve({"tree": entry}, "--workers", "2")

    def ids() -> list[set[str]]:
        found = []
        for _ in range(6):
            with httpx.Client(
                base_url=service.client.base_url, trust_env=False, verify=False, timeout=60
            ) as client:
                found.append({one["id"] for one in client.get("/datasets").json()["datasets"]})
        return found

    def agree(wanted: set[str]) -> Callable[[], bool]:
        return lambda: all(one == wanted for one in ids())

    before = {id_of("tree", path) for path in PATHS}
    until(agree(before), "know the groups")
    xr.Dataset({"v": ("lat", [1, 2, 3])}).to_zarr(
        store, group="new/one", zarr_format=3, consolidated=False
    )
    until(agree({*before, "tree~new~one"}), "find the new group")
    shutil.rmtree(store / "sea")
    until(agree({*before, "tree~new~one"} - {"tree~sea"}), "miss a group")
    answer = service.get("/datasets/tree~new~one/sel?lat=20&time=2020-01-04")
    assert answer.json()["data_vars"]["v"]["data"] == 2
    write_catalog(service.catalog.parent, {"other": entry, "flat": {**entry, "group": "land"}})
    os.kill(service.pid, signal.SIGHUP)
    left = {name.replace("tree", "other") for name in {*before, "tree~new~one"} - {"tree~sea"}}
    until(agree({*left, "flat"}), "reload")
    # Without a DataTree nothing is inherited.
    assert "time" not in service.get("/datasets/flat").json()["coords"]


BOSS = {"X-API-Key": WHOLE}
ONE_ARRAY: dict[str, Any] = {"dimension_names": ["x"], "chunks": (2,)}


@pytest.fixture(scope="module")
def refreshed(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Two workers over hierarchies that are never looked at by themselves."""
    folder = tmp_path_factory.mktemp("refreshed")
    for entry, names in {"tree": "ab", "chunks": "a"}.items():
        group = zarr.create_group(folder / entry, zarr_format=3)
        for name in names:
            group.create_group(name).create_array("v", data=np.arange(2), **ONE_ARRAY)
    entries: Entries = {
        entry: {"url": str(folder / entry), "group": "*", "refresh_seconds": None}
        for entry in ("tree", "chunks")
    }
    keys = f"boss {sha256(WHOLE.encode()).hexdigest()} admin"
    return serve(entries, "--workers", "2", SLUICE_KEYS=keys)


def store_of(service: Service, entry: str) -> Path:
    """Where the hierarchy of an entry lies."""
    return Path(json.loads(service.catalog.read_text())["datasets"][entry]["url"])


def test_a_refresh_enumerates_groups_anew(refreshed: Service) -> None:
    """In all workers, of an entry that is never looked at by itself; one group is opened anew."""
    service, store = refreshed, store_of(refreshed, "tree")

    def refresh(name: str) -> httpx.Response:
        return service.client.post(f"/datasets/{name}/refresh", headers=BOSS)

    assert service.client.post("/datasets/tree/refresh").status_code == 401
    first = refresh("tree").json()
    assert (first["id"], first["version"], first["removed"]) == ("tree", None, [])
    assert service.get("/datasets/tree~a", headers=BOSS).status_code == 200
    shutil.rmtree(store / "b")
    zarr.open_group(store).create_group("c/d").create_array("v", data=np.arange(2), **ONE_ARRAY)
    told = {"id": "tree", "version": None, "added": ["tree~c~d"], "removed": ["tree~b"]}
    assert refresh("tree").json() == told
    for _ in range(6):
        with httpx.Client(
            base_url=service.client.base_url, trust_env=False, verify=False, timeout=60
        ) as client:
            ids = [one["id"] for one in client.get("/datasets", headers=BOSS).json()["datasets"]]
            assert [one for one in ids if "tree" in one] == ["tree~a", "tree~c~d"]
    assert refresh("tree~a").json().keys() == {"id", "version"}
    # Where the root holds arrays, it is opened anew.
    zarr.open_group(store).create_array("w", data=np.arange(2), **ONE_ARRAY)
    again = refresh("tree").json()
    assert again["added"] == ["tree"]
    assert again["version"] != refresh("tree").json()["version"]
    assert service.get("/datasets/tree~a", headers=BOSS).status_code == 200
    (store / "zarr.json").rename(store / "away.json")
    assert refresh("tree").status_code == 502
    assert service.get("/datasets/tree~a", headers=BOSS).status_code == 200


def test_a_refresh_is_of_each_group(refreshed: Service) -> None:
    """Chunks that were rewritten in place are read anew, by every worker, under another tag."""
    service, store = refreshed, store_of(refreshed, "chunks")
    path = "/datasets/chunks~a"

    def first() -> tuple[int, str]:
        with httpx.Client(
            base_url=service.client.base_url, trust_env=False, verify=False, timeout=60
        ) as client:
            answer = client.get(f"{path}/isel", params={"x": 0}, headers=BOSS)
        return answer.json()["data_vars"]["v"]["data"], answer.headers["etag"]

    until(lambda: service.get(path, headers=BOSS).status_code == 200, "its groups")
    old = {first() for _ in range(6)}
    assert {value for value, _ in old} == {0}
    zarr.open_array(store / "a" / "v", mode="r+")[:] = np.array([5, 6])
    assert service.client.post("/datasets/chunks/refresh", headers=BOSS).status_code == 200
    new = {first() for _ in range(6)}
    assert {value for value, _ in new} == {5}
    assert {tag for _, tag in new}.isdisjoint(tag for _, tag in old)


def test_a_growing_coordinate_grows_in_the_groups_below(serve: Serve, tmp_path: Path) -> None:
    """What a group inherits is looked at again with the group itself."""
    store = tmp_path / "grows.zarr"

    def put(days: int) -> None:
        root = xr.Dataset(coords={"time": xr.date_range("2020-01-01", periods=days)})
        child = xr.Dataset({"v": ("time", np.arange(days))})
        new = xr.DataTree.from_dict({"/": root, "/a": child})
        new.to_zarr(store, mode="w", zarr_format=3, write_inherited_coords=False)

    put(3)
    service = serve({"tree": {"url": str(store), "group": "*", "refresh_seconds": 0}})
    until(lambda: service.get("/datasets/tree~a").status_code == 200, "answer")
    put(5)

    def last() -> bool:
        answer = service.get("/datasets/tree~a/sel?time=2020-01-05T00:00Z")
        return answer.status_code == 200 and answer.json()["data_vars"]["v"]["data"] == 4

    until(last, "see the new days")


def test_groups_are_opened_at_the_start(serve: Serve, folder: Path) -> None:
    """Where their entry says so, and what `defaults` say is said of it."""
    service = serve({"a": {"url": str(folder / "v3-consolidated.zarr")}})
    catalog = {
        "defaults": {"group": "*", "open": "at_start", "cache_control": "max-age=9"},
        "datasets": {"tree": {"url": str(folder / "v3-consolidated.zarr")}},
    }
    service.catalog.write_text(json.dumps(catalog))
    os.kill(service.pid, signal.SIGHUP)

    until(lambda: len(listed(service)) == len(PATHS), "know the groups")
    until(lambda: opened(service) == len(PATHS), "open them")
    answer = service.get("/datasets/tree~land/isel")
    assert answer.headers["cache-control"] == "max-age=9"


def opened(service: Service) -> int:
    """How many datasets were opened, by the metrics."""
    text = service.get("/metrics").text
    rows = [row for row in text.splitlines() if row.startswith("sluice_dataset_open_seconds_count")]
    return sum(int(float(row.split()[-1])) for row in rows if 'outcome="ok"' in row)


def test_more_groups_than_there_may_be_are_left_out(serve: Serve, folder: Path) -> None:
    """The first are served; the log tells of the others."""
    entry = {"url": str(folder / "many" / "many.zarr"), "group": "*"}
    service = serve({"many": entry}, SLUICE_GROUP_DATASETS="100")
    until(enumerated(service), "know the groups")
    assert list(listed(service)) == [f"many~g{n:03}" for n in range(100)]
    until(says(service.log, "there are more than the 100 datasets"), "say so")
