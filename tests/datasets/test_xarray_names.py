"""What is used of xarray's private names is still there; imports nothing that would fail before."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import xarray as xr
from xarray.backends import ZarrStore

PRIVATE = Path(__file__).parents[2] / "sluice/datasets/_xarray.py"
ATTRIBUTES = [
    *((xr.Dataset, name) for name in ("_variables", "_coord_names", "_dims", "_indexes")),
    *((xr.Variable, name) for name in ("_dims", "_data", "_attrs", "_encoding")),
    *((xr.Dataset, name) for name in ("_construct_direct", "_replace")),
    *((ZarrStore, name) for name in ("get_attrs", "open_store_variable", "members")),
]


def imported_names() -> list[tuple[str, str]]:
    """What the one module takes from xarray's own modules."""
    tree = ast.parse(PRIVATE.read_text())
    return [
        (str(node.module), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("xarray.")
        for alias in node.names
    ]


@pytest.mark.parametrize(("module", "name"), imported_names())
def test_xarray_has_the_name_still(module: str, name: str) -> None:
    """Where a newer xarray moved one of them, this says which."""
    assert hasattr(import_module(module), name), f"xarray moved {module}.{name}"


@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES)
def test_xarray_keeps_the_attribute(owner: type, name: str) -> None:
    """Where a newer xarray renamed one of them, this says which."""
    slots = [slot for kind in owner.__mro__ for slot in getattr(kind, "__slots__", ())]
    annotated = [name for kind in owner.__mro__ for name in vars(kind).get("__annotations__", ())]
    assert hasattr(owner, name) or name in (*slots, *annotated), f"xarray renamed {name}"


def test_xarray_constructs_of_the_same_parts() -> None:
    """The parts that are handed over by their places stand in these places."""
    parts = ["variables", "coord_names", "dims", "attrs", "indexes", "encoding"]
    assert [*inspect.signature(xr.Dataset._construct_direct).parameters][: len(parts)] == parts
    replaced = [*inspect.signature(xr.Dataset._replace).parameters]
    assert replaced[:2] == ["self", "variables"]
    assert "dims" in replaced
    read: Any = inspect.getsource(ZarrStore)
    for name in ("_use_zarr_fill_value_as_mask", "zarr_group", "_mode"):
        assert f"self.{name}" in read or f'"{name}"' in read, f"xarray renamed {name}"
