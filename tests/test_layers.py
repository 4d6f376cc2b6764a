"""The house rules that a syntax tree can show: layers, owners of third parties, sizes, gates."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import xarray

TOP = Path(__file__).parent.parent
PACKAGES = ("app", "sluice")

# Each room may import from rooms of a lower number; rooms of one number are blind to each other.
LEVELS = {
    # The library, which knows nothing of the service.
    "sluice": 0,
    "sluice/errors": 0,
    "sluice/aliases": 0,
    "sluice/instrumentation": 0,
    "sluice/concurrency": 0,
    "sluice/cgroup": 1,
    "sluice/scheduler": 1,
    "sluice/selection": 1,
    "sluice/bounded_cache": 1,
    "sluice/labels": 1,
    "sluice/datasets/_xarray": 1,
    "sluice/encoders": 2,
    "sluice/store": 2,
    "sluice/arrays": 3,
    "sluice/axes": 3,
    "sluice/datasets": 4,
    "sluice/engine": 5,
    # The service.
    "app": 6,
    "app/errors": 6,
    "app/server/processes": 6,
    "app/server/framing": 7,
    "app/server/transport": 7,
    "app/telemetry": 7,
    "app/admission": 8,
    "app/settings": 8,
    "app/server/connections": 9,
    "app/server/page_address": 9,
    "app/catalog": 10,
    # What the doors share, each door, and the application of them all.
    "app/api": 11,
    "app/doors": 12,
    "app/api/app": 13,
    "app/server/protocol": 14,
    "app/server/workers": 16,
    "app/server/run": 17,
    "app/server": 18,
    "app/cli": 21,
    "app/__main__": 23,
}

# Third parties that only some rooms may know. What is not listed here anyone may import.
OWNERS = {
    "fsspec": {"sluice/store"},
    "s3fs": {"sluice/store"},
    "gcsfs": {"sluice/store"},
    "adlfs": {"sluice/store"},
    "obstore": {"sluice/store"},
    "numcodecs": {"sluice/arrays", "sluice/encoders/hdf5"},
    "zarr": {"sluice/arrays", "sluice/datasets", "sluice/store/zarr_store"},
    "xarray": {"sluice/datasets", "sluice/encoders", "sluice/engine", "app/catalog", "app/api"},
    "pandas": {"sluice/datasets", "sluice/engine"},
    "h5netcdf": set(),
    "h5py": set(),
    "cftime": {"sluice/datasets", "sluice/encoders"},
    "orjson": {"sluice/encoders"},
    "pyarrow": {"sluice/encoders"},
    "zstandard": {"sluice/arrays", "sluice/encoders", "sluice/store/documents"},
    "prometheus_client": set(),
    "yaml": {"app/catalog"},
    "pydantic": {"app/settings", "app/catalog", "app/api"},
    "pydantic_core": {"app/settings", "app/catalog", "app/api"},
    "pydantic_settings": {"app/settings"},
    "fastapi": {"app/api", "app/doors"},
    "fastapi_swagger": {"app/api"},
    "starlette": {"app/api"},
    "shapely": {"app/doors/edr"},
    "uvicorn": {"app/server"},
}

MODULES = sorted(path for package in PACKAGES for path in (TOP / package).rglob("*.py"))
FUNCTION_LINES = 50
MODULE_LINES = 350


def place_of(path: Path) -> str:
    """The module below the top, such as ``sluice/store/source``."""
    place = path.relative_to(TOP).with_suffix("")
    return (place.parent if place.name == "__init__" else place).as_posix()


def room_of(path: Path) -> str:
    return _room(place_of(path).split("/"))


def _room(parts: list[str]) -> str:
    """The longest beginning of a module's place that has a level."""
    places = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((place for place in places if place in LEVELS), "/".join(parts[:2]))


@cache
def nodes_of(text: str) -> list[ast.AST]:
    """All nodes of a module's tree, for each rule looks at all modules."""
    return list(ast.walk(ast.parse(text)))


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports, also inside functions."""
    package = path.relative_to(TOP).with_suffix("").parts[:-1]
    for node in nodes_of(path.read_text()):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(level=level, module=module, names=names):
                # `from app import store` names a room in the second half.
                above = package[: len(package) - level + 1] if level else ()
                origin = ".".join([*above, *([module] if module else [])])
                yield from ((node.lineno, f"{origin}.{alias.name}") for alias in names)


def room_of_import(name: str) -> str | None:
    parts = name.split(".")
    return _room(parts) if parts[0] in PACKAGES else None


def naming_faults(path: Path) -> Iterator[str]:
    """The service names itself relatively, since it is installed under another name."""
    package = path.relative_to(TOP).parts[0]
    for node in nodes_of(path.read_text()):
        match node:
            case ast.ImportFrom(level=0, module=str(module)) if module.split(".")[0] == "app":
                yield f"{path}:{node.lineno} imports {module} by its name"
            case ast.ImportFrom(level=level) if level and package == "sluice":
                yield f"{path}:{node.lineno} imports relatively"
            case ast.Import(names=names) if any(n.name.split(".")[0] == "app" for n in names):
                yield f"{path}:{node.lineno} imports app by its name"


def layer_faults(path: Path) -> Iterator[str]:
    room = room_of(path)
    if path.name == "__init__.py":
        return  # a package itself shows what its rooms have
    for line, name in imports_of(path):
        target = room_of_import(name)
        if target is not None and target != room and LEVELS[target] >= LEVELS[room]:
            yield f"{path}:{line} {room} imports {name}"


def door_faults(path: Path) -> Iterator[str]:
    """Doors do not know each other."""
    parts = place_of(path).split("/")
    if parts[:2] != ["app", "doors"] or len(parts) < 3:
        return
    for line, name in imports_of(path):
        target = name.split(".")
        if target[:2] == ["app", "doors"] and target[2:3] not in ([parts[2]], []):
            yield f"{path}:{line} imports {name}, which is another door's"


def owner_faults(path: Path) -> Iterator[str]:
    place = place_of(path)
    for line, name in imports_of(path):
        owners = OWNERS.get(name.split(".")[0])
        if owners is not None and not any(f"{place}/".startswith(f"{o}/") for o in owners):
            yield f"{path}:{line} imports {name}, which belongs to {', '.join(sorted(owners))}"


def gather_faults(path: Path) -> Iterator[str]:
    for node in nodes_of(path.read_text()):
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
    for node in nodes_of(path.read_text()):
        match node:
            case ast.keyword(arg="allow_pickle", value=value) if not (
                isinstance(value, ast.Constant) and value.value is False
            ):
                yield f"{path}:{node.lineno} allows pickles"
            case ast.Attribute(attr="read_pickle" | "to_pickle"):
                yield f"{path}:{node.lineno} calls {node.attr}"


# What s3fs, aiobotocore and aiohttp keep to themselves (the table in the module says whose it is).
S3FS_PRIVATE = {
    *("_call_s3", "_s3creator", "_endpoint", "_get_credentials"),
    *("_get_session", "_proxy_config", "_response_class"),
}
S3FS_MODULE = "sluice/store/_s3fs"


def private_faults(path: Path) -> Iterator[str]:
    """One module alone touches s3fs's private names, so that a newer s3fs breaks one module."""
    if place_of(path) == S3FS_MODULE:
        return
    for node in nodes_of(path.read_text()):
        match node:
            case ast.Attribute(attr=name) if name in S3FS_PRIVATE:
                yield f"{path}:{node.lineno} touches {name}, which belongs to {S3FS_MODULE}"


# Modules of xarray that its documentation names; the rest is its own business.
PUBLIC_XARRAY = {"backends", "coders", "indexes", "testing"}
# What its objects keep for themselves.
PRIVATE_XARRAY = {
    *("_variables", "_coord_names", "_dims", "_attrs", "_indexes", "_encoding", "_data"),
    *("_construct_direct", "_in_memory"),
}
XARRAY_OWNER = "sluice/datasets/_xarray"


def xarray_module_faults(path: Path) -> Iterator[str]:
    """One module knows what xarray has in modules of its own."""
    if place_of(path) == XARRAY_OWNER:
        return
    for line, name in imports_of(path):
        package, *parts = name.split(".")
        public = len(parts) < 2 or (parts[0] in PUBLIC_XARRAY and not parts[-1].startswith("_"))
        if package == "xarray" and parts and (not public or _is_module(parts)):
            yield f"{path}:{line} imports {name}, which is xarray's own"


def xarray_attribute_faults(path: Path) -> Iterator[str]:
    """One module knows what xarray's objects keep, as far as a syntax tree shows it.

    A class may keep what it likes in its own attributes, unless it is one of xarray's.
    """
    if place_of(path) == XARRAY_OWNER:
        return
    tree = ast.parse(path.read_text())
    own = {id(node) for kind in _plain_classes(tree) for node in ast.walk(kind)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")) if id(node) in own:
                continue
            case ast.Attribute(attr=attr) if attr in PRIVATE_XARRAY:
                yield f"{path}:{node.lineno} uses {attr}, which is xarray's own"
            case ast.Call(func=ast.Attribute(attr="_replace"), args=[_, *_]):
                yield f"{path}:{node.lineno} calls _replace, which is xarray's own"


def _is_module(parts: list[str]) -> bool:
    """Whether a name right in xarray is one of its modules, and no public one."""
    (first, *rest) = parts
    found = getattr(xarray, first, None)
    return not rest and first not in PUBLIC_XARRAY and isinstance(found, ModuleType)


def _plain_classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """The classes that are none of xarray's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base) for base in node.bases]
            if not any(base.startswith(("xr.", "xarray.")) for base in bases):
                yield node


def size_faults(path: Path) -> Iterator[str]:
    text = path.read_text()
    if (lines := text.count("\n")) > MODULE_LINES:
        yield f"{path}: {lines} lines"
    for node in nodes_of(text):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1
            lines -= len(documented.split("\n")) if documented is not None else 0
            if lines > FUNCTION_LINES:
                yield f"{path}:{node.lineno} {node.name}: {lines} lines"


def test_every_module_has_a_level() -> None:
    """A new room cannot appear without a place among the layers."""
    assert {room_of(path) for path in MODULES} <= LEVELS.keys()


RULES = [
    naming_faults,
    layer_faults,
    door_faults,
    owner_faults,
    gather_faults,
    pickle_faults,
    private_faults,
    size_faults,
]


@pytest.mark.parametrize("faults", RULES)
def test_no_module_breaks_the_house_rule(faults: Callable[[Path], Iterator[str]]) -> None:
    """Imports go down, third parties have owners, gather and pickle are banned, sizes bounded."""
    assert [fault for path in MODULES for fault in faults(path)] == []


@pytest.mark.parametrize(
    ("faults", "room", "text"),
    [
        (layer_faults, "app/settings", "from ..catalog import Catalog"),
        (layer_faults, "app/api", "from ..doors.native import routes"),
        (door_faults, "app/doors/edr", "from ..native.grammar import Grammar"),
        (layer_faults, "app/admission", "from .. import api"),
        (layer_faults, "sluice/arrays", "from sluice import datasets"),
        (layer_faults, "sluice/store", "def f():\n    import app.api.problems"),
        (layer_faults, "sluice/datasets", "from app.errors import NotJson"),
        (naming_faults, "app/api", "from app.errors import NotJson"),
        (naming_faults, "app/api", "def f():\n    import app.errors"),
        (naming_faults, "sluice/store", "from .paths import joined"),
        (owner_faults, "sluice/arrays", "import fsspec.asyn"),
        (owner_faults, "sluice/datasets", "from fastapi import Request"),
        (gather_faults, "sluice/arrays", "import asyncio\nx = asyncio.gather"),
        (gather_faults, "sluice/arrays", "from asyncio import gather"),
        (pickle_faults, "sluice/store", "def f():\n    from pickle import loads"),
        (pickle_faults, "sluice/arrays", "import numpy as np\nnp.load(f, allow_pickle=x)"),
        (pickle_faults, "sluice/datasets", "frame.to_pickle(x)"),
        (private_faults, "sluice/store", "x = client._endpoint.http_session"),
        (xarray_module_faults, "sluice/encoders", "from xarray.core import indexing"),
        (
            xarray_module_faults,
            "sluice/datasets",
            "def f():\n    import xarray.conventions",
        ),
        (xarray_module_faults, "sluice/datasets", "from xarray import conventions"),
        (xarray_attribute_faults, "app/catalog", "def f(variable):\n    return variable._data"),
        (
            xarray_attribute_faults,
            "sluice/datasets",
            "def f(d, x):\n    return d._replace(x)",
        ),
        (
            xarray_attribute_faults,
            "sluice/datasets",
            "class A(xr.Dataset):\n    def f(self):\n        return self._dims",
        ),
        (size_faults, "sluice/arrays", "def f():\n" + "    x = 1\n" * 50),
        (size_faults, "sluice/arrays", "x = 1\n" * 351),
    ],
)
def test_each_rule_finds_what_breaks_it(
    faults: Callable[[Path], Iterator[str]],
    room: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each rule reports a module that breaks it: none of them passes by looking away."""
    monkeypatch.setitem(globals(), "TOP", tmp_path)
    module = tmp_path / room / "wrong.py"
    module.parent.mkdir(parents=True)
    module.write_text(text)
    assert len(list(faults(module))) == 1


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (
            "sluice/store",
            "import fsspec\nfrom sluice.errors import StoreError\nfrom sluice.store import x\n",
        ),
        (
            "sluice/datasets",
            "from xarray.backends import BackendArray\nfrom xarray.indexes import PandasIndex\n"
            "class A:\n    def f(self):\n        return self._data\n",
        ),
        ("app/api", "from fastapi import Request\nfrom ..catalog import x\nfrom .y import z\n"),
    ],
)
def test_the_rules_allow_a_room_its_own(
    room: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room may import itself, what is below it, and the third parties that it owns."""
    monkeypatch.setitem(globals(), "TOP", tmp_path)
    module = tmp_path / room / "right.py"
    module.parent.mkdir(parents=True)
    module.write_text(text)
    assert [fault for rule in RULES for fault in rule(module)] == []
