"""What our pages show at a console is what happens there: every block is run, or says why not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from demo.sample import write_sample
from loadtests.ground import ROOT, free_port, running, serving, wait_until_it_answers
from tests.blackbox.conftest import Entries, write_catalog
from tests.blackbox.processes import until

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "examples/README.md",
    "loadtests/README.md",
    "loadtests/bench/README.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
)
ADDRESS = "http://127.0.0.1:8000"

# By the first command of a block: why it is not run here.
NOT_RUN = {
    "./run demo": "the demo is run by tests/test_demo.py, and the tests are these",
    "./run load": "it takes minutes; a short one is run by tests/loadtests",
    "./run soak": "it takes minutes; a short one is run by tests/loadtests",
    "./run bench": "it takes minutes, and its figures are those of one machine",
    "./run setup": "whoever runs these tests has done that",
    "./run serve": "it serves until it is stopped, as the server of these tests does",
    "SLUICE_CATALOG=.sample/catalog.yaml": "it serves; tests/clients/test_examples.py asks it",
    "docker": "there is no engine; tests/deployment checks the files, and publishes the sample",
    "echo 'ERA5_SECRET": "it goes on with docker, for which there is no engine",
}

# What is drawn at random, or is a hash: keys, their hashes, versions of stores.
RANDOM = re.compile(r"sluice_[\w-]{43}|\b[0-9a-f]{64}\b|\b[0-9a-f]{48}\b")


@dataclass(frozen=True)
class Block:
    """A block of one page: each command with what the page says that it prints."""

    page: str
    commands: tuple[tuple[str, str], ...]

    @property
    def first(self) -> str:
        """Its first command."""
        return self.commands[0][0]

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        found = (why for command, why in NOT_RUN.items() if self.first.startswith(command))
        return next(found, None)


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for text in re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S):
            commands = []
            for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
                command, *said = part.splitlines()
                # An argument, or a command, may go on in the next line.
                while command.count("'") % 2 or command.endswith("\\"):
                    command = f"{command}\n{said.pop(0)}"
                commands.append((command, "\n".join(said)))
            yield Block(page, tuple(commands))


@dataclass
class Console:
    """A shell in `folder`, before a server at `address`; random words of the page are renamed."""

    folder: Path
    address: str
    environment: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """What it prints."""
        programs = str(Path(sys.executable).parent)
        command = command.replace(ADDRESS, self.address).replace(".venv/bin/", f"{programs}/")
        for shown, real in self.names.items():
            command = command.replace(shown, real)
        path = f"{programs}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**os.environ, **self.environment, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.stdout

    def check(self, block: Block) -> None:
        """Run the commands; what they print is what the page says, but for blanks and … in it."""
        for command, shown in block.commands:
            printed = self.run(command)
            said, came = (re.sub(r"\s+", "", RANDOM.sub("\0", text)) for text in (shown, printed))
            wanted = re.escape(said).replace("…", ".*")
            assert re.fullmatch(wanted, came, re.S), f"{command}\nprints\n{came}\nand not\n{said}"
            self.names.update(zip(RANDOM.findall(shown), RANDOM.findall(printed), strict=True))


BLOCKS = list(blocks())


def runnable(page: str, mark: str) -> Block:
    """The one block that is run and has these words."""
    (found,) = [b for b in BLOCKS if b.page == page and b.reason is None and mark in str(b)]
    return found


KEYS = runnable("docs/access.md", "sluice key")
RELOAD = runnable("docs/stores-that-change.md", "/catalog/reload")
CHECK = runnable("docs/catalog.md", "sluice check")
GROUPS = runnable("docs/catalog.md", "era5~land")
SPECIAL = (KEYS, RELOAD, CHECK, GROUPS)
REQUESTS = [block for block in BLOCKS if block.reason is None and block not in SPECIAL]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the demo's sample in it, and the examples."""
    found = tmp_path_factory.mktemp("readme")
    write_sample(found / "analyses.zarr")
    (found / "examples").symlink_to(ROOT / "examples")
    return found


@pytest.fixture(scope="module")
def demo(folder: Path) -> Iterator[Console]:
    """A console before the demo's server."""
    entry = {"url": "analyses.zarr", "title": "Synthetic hourly analyses"}
    catalog = write_catalog(folder, {"sample": entry})
    with serving(catalog, folder / "server.log") as (_, address):
        yield Console(folder, address)


def test_every_block_is_accounted_for() -> None:
    """No reason is left over, and there are blocks of each kind."""
    for command in NOT_RUN:
        assert any(block.first.startswith(command) for block in BLOCKS), command
    assert len(REQUESTS) >= 12


@pytest.mark.parametrize("block", REQUESTS, ids=lambda block: f"{block.page} {block.first[-60:]}")
def test_requests_have_the_answers_that_are_shown(demo: Console, block: Block) -> None:
    """Of the demo's server, to the last digit."""
    if block.first.startswith("Rscript") and shutil.which("Rscript") is None:
        pytest.skip("examples: no R")
    demo.check(block)


def test_what_the_deployment_shows_is_what_the_sample_answers(demo: Console) -> None:
    """The curl lines of blocks that begin with docker, which cannot be run."""
    blocks = [b for b in BLOCKS if b.first.startswith("docker")]
    asked = [pair for b in blocks for pair in b.commands if pair[0].startswith("curl")]
    assert asked
    demo.check(Block("docs/deployment.md", tuple(asked)))


def test_keys_are_made_as_it_is_shown(folder: Path, tmp_path: Path) -> None:
    """Each command in its order, and a server of its own where one is started behind them."""
    entries: Entries = {
        "era5": {"url": str(folder / "analyses.zarr"), "title": "ERA5 hourly"},
        "sample": {"url": str(folder / "analyses.zarr"), "title": "Synthetic", "access": "public"},
        "forecast": {"url": str(folder / "analyses.zarr"), "access": ["weather-team"]},
    }
    write_catalog(tmp_path, entries)
    port = free_port()
    console = Console(tmp_path, f"http://127.0.0.1:{port}")
    with ExitStack() as stack:
        for command, said in KEYS.commands:
            if not command.endswith("&"):
                console.check(Block(KEYS.page, ((command, said),)))
                continue
            assert command == "SLUICE_KEYS_FILE=keys sluice serve --catalog catalog.yaml &"
            options = ["serve", "--catalog", str(tmp_path / "catalog.yaml"), "--port", str(port)]
            log, keys = tmp_path / "server.log", str(tmp_path / "keys")
            started = running([sys.executable, "-m", "app", *options], log, SLUICE_KEYS_FILE=keys)
            server = stack.enter_context(started)
            wait_until_it_answers(server, f"{console.address}/healthz", log)


def test_reloads_answer_as_it_is_shown(folder: Path, tmp_path: Path) -> None:
    """One entry goes, another one comes."""
    console = Console(tmp_path, "")
    key, line = console.run("sluice key operations --admin").splitlines()
    entries = {name: {"url": str(folder / "analyses.zarr")} for name in "abc"}
    catalog = write_catalog(tmp_path, {name: entries[name] for name in "ab"})
    with serving(catalog, tmp_path / "server.log", SLUICE_KEYS=line) as (_, address):
        write_catalog(tmp_path, {name: entries[name] for name in "ac"})
        console.address, console.environment = address, {"KEY": key}
        console.check(RELOAD)


def test_groups_are_served_as_it_is_shown(tmp_path: Path) -> None:
    """One group in another one, whose times it inherits."""
    times = xr.date_range("2020-01-01", periods=8, freq="6h")
    land = xr.Dataset({"t2m": ("time", np.arange(8.0))}, {"time": times})
    hourly = xr.Dataset({"rain": ("time", np.arange(8.0))})
    tree = xr.DataTree.from_dict({"/land": land, "/land/hourly": hourly})
    tree.to_zarr(tmp_path / "era5.zarr", zarr_format=2, write_inherited_coords=False)
    entry = {"url": "era5.zarr", "title": "ERA5", "group": "*"}
    catalog = write_catalog(tmp_path, {"era5": entry})
    with serving(catalog, tmp_path / "server.log") as (_, address):
        console = Console(tmp_path, address)
        until(lambda: "pending" not in console.run(GROUPS.commands[0][0]), "know the groups")
        console.check(GROUPS)


def test_the_check_finds_what_is_shown(folder: Path, tmp_path: Path) -> None:
    """A part of the circle, a store that is gone, and nothing about the sample."""
    lon = (np.arange(2000) + 0.5) / 400
    ocean = xr.Dataset(
        {"t": ("lon", np.zeros(2000, "f4"), {"units": "K"})},
        {"lon": ("lon", lon, {"units": "degrees_east", "standard_name": "longitude"})},
    )
    ocean.to_zarr(tmp_path / "ocean.zarr", zarr_format=2, consolidated=True)
    stores: Entries = {
        "ocean": "ocean.zarr",
        "gone": "/nowhere.zarr",
        "sample": folder / "analyses.zarr",
    }
    write_catalog(tmp_path, stores)
    Console(tmp_path, "").check(CHECK)


PROGRAMS = re.findall(
    r"^```python\n(.*?)^```(?:\n\n```\n(.*?)^```)?",
    (ROOT / "docs" / "library.md").read_text(),
    re.M | re.S,
)


def test_the_librarys_program_prints_what_is_shown(folder: Path, tmp_path: Path) -> None:
    """To the last sign, of the demo's sample."""
    (tmp_path / ".sample").symlink_to(folder)
    (program, shown), *_ = PROGRAMS
    assert shown
    assert run_python(program, tmp_path).rstrip() == shown.rstrip()


def test_the_library_writes_a_file_as_the_store_is(folder: Path, tmp_path: Path) -> None:
    """Packed as in the store, and equal to what xarray selects of it."""
    run_lines("encode_netcdf(", folder, tmp_path)
    store = folder / "analyses.zarr"
    for decode_cf in (True, False):
        with (
            xr.open_dataset(tmp_path / "box.nc", decode_cf=decode_cf) as found,
            xr.open_zarr(store, chunks=None, decode_cf=decode_cf) as whole,
        ):
            expected = whole.sel(latitude=slice(60, 30), longitude=slice(0, 40)).load()
            xr.testing.assert_equal(found.load()["t"], expected["t"])
            assert found["t"].dtype == expected["t"].dtype


@pytest.mark.parametrize("words", ["Reader(", "planned.slabs("])
def test_the_librarys_other_lines_run(words: str, folder: Path, tmp_path: Path) -> None:
    """With a store of one's own before them."""
    run_lines(words, folder, tmp_path)


def run_lines(words: str, folder: Path, here: Path) -> None:
    """The lines of the page that these words are in, with a dataset before them, run `here`."""
    (lines,) = [program for program, _ in PROGRAMS if words in program]
    body = "\n".join(f"        {line}" for line in lines.splitlines())
    program = f"""
import asyncio
from sluice import Filesystems, open_dataset

async def main() -> None:
    async with Filesystems() as filesystems:
        source = await filesystems.source("{folder}/analyses.zarr", storage_options={{}})
        ds = await open_dataset(source)
{body}
        print("ran")

asyncio.run(main())
"""
    assert run_python(program, here).endswith("ran\n")


def run_python(program: str, folder: Path) -> str:
    """What it prints."""
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout
