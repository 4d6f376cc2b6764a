"""The house rules that a syntax tree can show: layers, owners of third parties, sizes, gates."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).parent.parent / "app"

# Each room may import from rooms of a lower number; rooms of one number are blind to each other.
LEVELS = {
    "__init__": 0,
    "errors": 0,
    "record": 0,
    "shared": 0,
    "liveness": 0,
    "framing": 1,
    "labels": 1,
    "kept": 1,
    "sizes": 1,
    "pace": 1,
    "transport": 1,
    "wording": 1,
    "telemetry": 1,
    "admission": 2,
    "connections": 2,
    "presence": 2,
    "query": 2,
    "store": 2,
    "encoders": 2,
    "settings": 2,
    "arrays": 3,
    "descriptors": 3,
    "datasets": 4,
    "catalog": 5,
    "api": 6,
    "protocol": 7,
    "serving": 8,
    "workers": 9,
    "server": 10,
    "cli": 11,
    "__main__": 12,
}

# Third parties that only some rooms may know. What is not listed here anyone may import.
OWNERS = {
    "fsspec": {"store"},
    "s3fs": {"store"},
    "gcsfs": {"store"},
    "adlfs": {"store"},
    "obstore": {"store"},
    "numcodecs": {"arrays", "encoders/hdf5_messages"},
    "zarr": {"arrays", "datasets", "store/zarr_store"},
    "xarray": {"datasets", "encoders", "catalog", "api"},
    "pandas": {"datasets"},
    "h5netcdf": set(),
    "h5py": set(),
    "cftime": {"datasets", "encoders"},
    "orjson": {"encoders"},
    "zstandard": {"arrays", "encoders", "store/compressed"},
    "prometheus_client": set(),
    "yaml": {"catalog"},
    "pydantic": {"settings", "catalog", "api"},
    "pydantic_core": {"settings", "catalog", "api"},
    "pydantic_settings": {"settings"},
    "fastapi": {"api"},
    "fastapi_swagger": {"api"},
    "starlette": {"api"},
    "uvicorn": {"server", "serving", "workers", "protocol"},
}

MODULES = sorted(APP.rglob("*.py"))
FUNCTION_LINES = 50
MODULE_LINES = 350


def room_of(path: Path) -> str:
    return path.relative_to(APP).with_suffix("").parts[0]


def place_of(path: Path) -> str:
    return path.relative_to(APP).with_suffix("").as_posix()


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(level=0, module=str(module), names=names):
                # `from app import store` names a room in the second half.
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case ast.ImportFrom(level=level):
                assert level == 0, f"{path}:{node.lineno} imports relatively"


def room_of_import(name: str) -> str | None:
    parts = name.split(".")
    if parts[0] != "app":
        return None
    return parts[1] if len(parts) > 1 and parts[1] in LEVELS else "__init__"


def layer_faults(path: Path) -> Iterator[str]:
    room = room_of(path)
    for line, name in imports_of(path):
        target = room_of_import(name)
        if target is not None and target != room and LEVELS[target] >= LEVELS[room]:
            yield f"{path}:{line} {room} imports {name}"


def owner_faults(path: Path) -> Iterator[str]:
    place = place_of(path)
    for line, name in imports_of(path):
        owners = OWNERS.get(name.split(".")[0])
        if owners is not None and not any(f"{place}/".startswith(f"{o}/") for o in owners):
            yield f"{path}:{line} imports {name}, which belongs to {', '.join(sorted(owners))}"


def gather_faults(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Attribute(value=ast.Name(id="asyncio"), attr="gather"):
                yield f"{path}:{node.lineno} calls asyncio.gather"
            case ast.ImportFrom(module="asyncio", names=names):
                if any(alias.name == "gather" for alias in names):
                    yield f"{path}:{node.lineno} imports asyncio.gather"


# What runs whatever code is in the data that it reads.
RUNNING_DATA = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def pickle_faults(path: Path) -> Iterator[str]:
    for line, name in imports_of(path):
        if name.split(".")[0] in RUNNING_DATA:
            yield f"{path}:{line} imports {name}"
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.keyword(arg="allow_pickle", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                yield f"{path}:{node.lineno} allows pickles"
            case ast.Attribute(attr="read_pickle" | "to_pickle"):
                yield f"{path}:{node.lineno} calls {node.attr}"


def size_faults(path: Path) -> Iterator[str]:
    text = path.read_text()
    if (lines := text.count("\n")) > MODULE_LINES:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= len(documented.split("\n")) if documented is not None else 0
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name}: {lines} lines"


def test_every_module_has_a_level():
    """A new room cannot appear without a place among the layers."""
    assert {room_of(path) for path in MODULES} <= LEVELS.keys()


@pytest.mark.parametrize(
    "faults", [layer_faults, owner_faults, gather_faults, pickle_faults, size_faults]
)
def test_no_module_breaks_the_house_rule(faults):
    """Imports go down, third parties have owners, gather and pickle are banned, sizes bounded."""
    assert [fault for path in MODULES for fault in faults(path)] == []


@pytest.mark.parametrize(
    ("faults", "room", "text"),
    [
        (layer_faults, "query", "from sluice.store import Filesystems"),
        (layer_faults, "arrays", "from app import datasets"),
        (layer_faults, "store", "def f():\n    import app.api.problems"),
        (owner_faults, "arrays", "import fsspec.asyn"),
        (owner_faults, "datasets", "from fastapi import Request"),
        (gather_faults, "arrays", "import asyncio\nx = asyncio.gather"),
        (gather_faults, "arrays", "from asyncio import gather"),
        (pickle_faults, "store", "def f():\n    from pickle import loads"),
        (pickle_faults, "arrays", "import numpy as np\nnp.load(f, allow_pickle=x)"),
        (pickle_faults, "datasets", "frame.to_pickle(x)"),
        (size_faults, "arrays", "def f():\n" + "    x = 1\n" * 50),
        (size_faults, "arrays", "x = 1\n" * 351),
    ],
)
def test_each_rule_finds_what_breaks_it(faults, room, text, tmp_path, monkeypatch):
    """Each rule reports a module that breaks it: none of them passes by looking away."""
    monkeypatch.setitem(globals(), "APP", tmp_path)
    module = tmp_path / room / "wrong.py"
    module.parent.mkdir()
    module.write_text(text)
    assert len(list(faults(module))) == 1


def test_the_rules_allow_a_room_its_own(tmp_path, monkeypatch):
    """A room may import itself, what is below it, and the third parties that it owns."""
    monkeypatch.setitem(globals(), "APP", tmp_path)
    module = tmp_path / "store" / "right.py"
    module.parent.mkdir()
    module.write_text(
        "import fsspec\nfrom app.errors import StoreError\nfrom sluice.store import x\n"
    )
    rules = (layer_faults, owner_faults, gather_faults, size_faults)
    assert [fault for rule in rules for fault in rule(module)] == []
