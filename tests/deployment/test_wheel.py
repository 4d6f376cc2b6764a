"""What is installed: one top-level name, the library alone, or the service beside other `app`s."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from packaging.requirements import Requirement

TOP = Path(__file__).parents[2]
BUILT_OF = ("app", "sluice", "pyproject.toml", "setup.py", "README.md", "LICENSE")
# What the service alone needs.
SERVER = ("fastapi", "starlette", "uvicorn", "pydantic", "pydantic_settings", "prometheus_client")

LIBRARY = """
import asyncio, json, sys
from importlib.util import find_spec
import sluice
from sluice.encoders.netcdf_encoder import encode_netcdf


async def main(url):
    async with sluice.Filesystems() as filesystems:
        ds = await sluice.open_dataset(await filesystems.source(url, storage_options={}))
        point = await ds._sel(x=3)
        print(json.dumps([float(point["a"]), encode_netcdf(point)[1:4].decode(), sluice.__file__]))


asyncio.run(main(sys.argv[1]))
assert [name for name in sys.argv[2:] if find_spec(name)] == []
"""

PROJECT = """
import asyncio, json, sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

import app
from app.rooms import ROOM
from sluice.app.api import create_app
from sluice.app.settings import Settings

service = create_app(Settings(catalog=Path(sys.argv[1])))


@asynccontextmanager
async def lifespan(outer):
    async with service.router.lifespan_context(service):
        yield


outer = FastAPI(lifespan=lifespan)
outer.mount("/data", service)


async def main():
    async with lifespan(outer):
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            answer = await client.get("/data/datasets/line/isel?x=2")
    print(json.dumps([answer.status_code, answer.json()["data_vars"]["a"]["data"], ROOM]))


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds of a checkout, in which a build left something behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in BUILT_OF:
        if (TOP / name).is_dir():
            shutil.copytree(TOP / name, source / name)
        else:
            shutil.copyfile(TOP / name, source / name)
    stale = source / "build" / "lib" / "sluice" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    before = sorted(source.iterdir())
    words = ["--quiet", "--disable-pip-version-check", "wheel", "--no-deps", "--wheel-dir"]
    build = [sys.executable, "-m", "pip", *words, str(folder), str(source)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(source.iterdir()) == before
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of a few values."""
    path = tmp_path_factory.mktemp("store") / "line.zarr"
    xr.Dataset({"a": ("x", np.arange(5.0))}, {"x": np.arange(5)}).to_zarr(path, zarr_format=2)
    return path


def closure(names: list[Requirement], found: set[str]) -> set[str]:
    """The distributions that these requirements install, by name."""
    for requirement in names:
        extras = {"extra": extra} if (extra := next(iter(requirement.extras), "")) else {}
        if requirement.marker and not requirement.marker.evaluate({"extra": "", **extras}):
            continue
        name = requirement.name.lower()
        if name in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        closure([Requirement(need) for need in needs], found)
    return found


def installed(wheel: Path, folder: Path, *others: str, extra: str = "") -> Path:
    """The folder with the wheel, and links to what it needs with this extra, and to `others`."""
    needs = [Requirement(need) for need in requires("sluice-zarr") or []]
    wanted = [n for n in needs if n.marker is None or n.marker.evaluate({"extra": extra})]
    for need in wanted:
        need.marker = None
    for name in closure([*wanted, *map(Requirement, others)], set()):
        files = distribution(name).files or []
        for top in {file.parts[0] for file in files} - {"..", "__pycache__"}:
            place = folder / top
            if not place.exists():
                place.symlink_to(str(distribution(name).locate_file(top)))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def library(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``pip install sluice-zarr`` brings."""
    return installed(wheel, tmp_path_factory.mktemp("library"))


def python(packages: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python with those packages alone, in this folder."""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    command = [sys.executable, "-S", *words]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_has_one_name_and_nothing_stale(wheel: Path) -> None:
    """It cannot take the place of a project's own `app`."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"sluice"}
    assert "sluice/stale.py" not in names
    own = {path.relative_to(TOP) for room in ("app", "sluice") for path in (TOP / room).rglob("*")}
    kinds = (".py", ".md", ".typed", ".js", ".css", ".svg", ".LICENSE")
    modules = {str(path) for path in own if path.suffix in kinds}
    assert modules <= {name.replace("sluice/app/", "app/") for name in names}


def test_the_library_reads_without_the_server(library: Path, line: Path, tmp_path: Path) -> None:
    """It opens, selects and writes NetCDF where no web framework is."""
    done = python(library, tmp_path, "-c", LIBRARY, str(line), *SERVER)
    assert done.returncode == 0, done.stderr
    value, signature, place = json.loads(done.stdout)
    assert (value, signature) == (3.0, "HDF")
    assert Path(place).is_relative_to(library)


@pytest.mark.parametrize("words", ["serve", "check", "key name", "health"])
def test_the_command_says_what_to_install(library: Path, tmp_path: Path, words: str) -> None:
    """Without the server's packages it is one line, and no traceback."""
    done = python(library, tmp_path, "-m", "sluice.app", *words.split())
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'sluice-zarr[server]'" in done.stderr


@pytest.mark.parametrize("words", ["--help", "serve --help", "key --help", "--version"])
def test_help_needs_no_server(library: Path, tmp_path: Path, words: str) -> None:
    """The library alone tells which commands there are, and what brings them."""
    done = python(library, tmp_path, "-m", "sluice.app", *words.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sluice " if words == "--version" else "usage: ")
    told = " ".join(done.stdout.split())
    assert ("pip install 'sluice-zarr[server]'" in told) == (words == "--help")
    wrong = python(library, tmp_path, "-m", "sluice.app", "serv")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("usage: ")


def test_the_service_is_mounted_in_a_project_with_its_own_app(
    wheel: Path, line: Path, tmp_path: Path
) -> None:
    """Both are there, and neither takes the other's place."""
    packages = tmp_path / "packages"
    packages.mkdir()
    installed(wheel, packages, "httpx", extra="server")
    project = tmp_path / "project"
    (project / "app").mkdir(parents=True)
    (project / "app" / "__init__.py").touch()
    (project / "app" / "rooms.py").write_text("ROOM = 'theirs'\n")
    (project / "main.py").write_text(PROJECT)
    (project / "catalog.yaml").write_text(json.dumps({"datasets": {"line": {"url": str(line)}}}))
    done = python(packages, project, "main.py", "catalog.yaml")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [200, 2.0, "theirs"]


def test_the_job_that_publishes_the_sample_starts_in_its_image(wheel: Path, tmp_path: Path) -> None:
    """It has all that it imports, and says in one line what its catalog lacks."""
    packages, image = tmp_path / "packages", tmp_path / "srv"
    packages.mkdir()
    installed(wheel, packages, extra="server")
    stage = (TOP / "Dockerfile").read_text().partition("AS sample\n")[2].partition("\nFROM")[0]
    words = [line.split() for line in stage.splitlines()]
    for source, target in (rest for word, *rest in filter(None, words) if word == "COPY"):
        shutil.copytree(TOP / source, image / target)
    (command,) = (
        json.loads(" ".join(rest)) for word, *rest in filter(None, words) if word == "CMD"
    )
    (image / "catalog.yaml").write_text("datasets: {}")
    environment = {**os.environ, "PYTHONPATH": str(packages), "SLUICE_CATALOG": "catalog.yaml"}
    done = subprocess.run(
        [sys.executable, "-S", *command[1:]],
        cwd=image,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("publish: ")
