"""Which groups hold arrays: by consolidated metadata, by a walk, and where neither is whole."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sluice.arrays.group_documents import groups_with_arrays
from sluice.errors import MetadataError, StoreMissing, StoreRefused, StoreTooLarge
from tests.sources import DictSource

GROUP_3 = json.dumps({"zarr_format": 3, "node_type": "group"}).encode()
ARRAY_3 = json.dumps({"zarr_format": 3, "node_type": "array"}).encode()
# A root with an array, a group without one, and groups and arrays in it.
NODES = {"": "group", "x": "array", "a": "group", "a/b": "group", "a/b/y": "array", "e": "group"}


def v3(nodes: dict[str, str] = NODES) -> dict[str, bytes]:
    """The documents of these groups and arrays."""
    documents = {"group": GROUP_3, "array": ARRAY_3}
    return {f"{path}/zarr.json".lstrip("/"): documents[kind] for path, kind in nodes.items()}


def v2(nodes: dict[str, str] = NODES) -> dict[str, bytes]:
    """Likewise, with a chunk in each array."""
    keys = {f"{path}/.z{kind}".lstrip("/"): b"{}" for path, kind in nodes.items()}
    return {**keys, **{f"{path}/0": b"0" for path, kind in nodes.items() if kind == "array"}}


def gathered(values: dict[str, bytes]) -> dict[str, bytes]:
    """With consolidated metadata of these documents in the root."""
    documents = {key: json.loads(value) for key, value in values.items() if value != b"0"}
    if "zarr.json" not in values:
        return {**values, ".zmetadata": json.dumps({"metadata": documents}).encode()}
    members = {key.removesuffix("/zarr.json"): one for key, one in documents.items() if "/" in key}
    root = {**documents["zarr.json"], "consolidated_metadata": {"metadata": members}}
    return {**values, "zarr.json": json.dumps(root).encode()}


def found(source: DictSource, **options: Any) -> tuple[str, ...]:
    wanted = {"zarr_format": None, "consolidated": None, "most": 99, **options}
    return asyncio.run(groups_with_arrays(source, **wanted))


@pytest.mark.parametrize("values", [v2(), v3(), gathered(v2()), gathered(v3())])
def test_groups_that_hold_arrays_are_found(values: dict[str, bytes]) -> None:
    """The root is "", those that only lead to others are none, and some are wanted alone."""
    assert found(DictSource(values)) == ("", "a/b")
    assert found(DictSource(values), below="a") == ("a/b",)
    assert found(DictSource(values), below="e") == ()


@pytest.mark.parametrize("values", [gathered(v2()), gathered(v3())])
def test_consolidated_metadata_needs_no_listing(values: dict[str, bytes]) -> None:
    """And is believed beside what it does not tell of, unless it is not wanted."""
    source = DictSource(values, listable=False)
    assert found(source) == ("", "a/b")
    assert set(source.keys) <= {"zarr.json", ".zmetadata"}
    more = {**values, "new/zarr.json": GROUP_3, "new/z/zarr.json": ARRAY_3}
    more |= {"new/.zgroup": b"{}", "new/z/.zarray": b"{}"}
    assert found(DictSource(more)) == ("", "a/b")
    assert found(DictSource(more), consolidated=False) == ("", "a/b", "new")


def test_a_group_is_reached_through_groups_alone() -> None:
    """An array in what is no group is in none."""
    values = gathered(
        {".zgroup": b"{}", "lost/found/.zgroup": b"{}", "lost/found/x/.zarray": b"{}"}
    )
    assert found(DictSource(values)) == ()


def test_a_broken_document_leaves_the_others() -> None:
    """Of a group it is one where arrays are in it; of an array its group holds it."""
    values = {**v3(), "e/zarr.json": b"{", "e/z/zarr.json": ARRAY_3, "a/q/zarr.json": b"["}
    assert found(DictSource(values)) == ("", "a", "a/b", "e")
    assert found(DictSource({**v2(), "e/.zgroup": b"{", "e/q/.zarray": b"{"})) == ("", "a/b", "e")


def test_no_more_are_found_than_wanted() -> None:
    """One more says that there are others; a hierarchy of endless groups is too large."""
    nodes = {"": "group"}
    for number in range(9):
        nodes |= {f"g{number}": "group", f"g{number}/x": "array"}
    for values in (v3(nodes), v2(nodes), gathered(v3(nodes)), gathered(v2(nodes))):
        assert found(DictSource(values), most=3) == ("g0", "g1", "g2", "g3")
    deep = {"/".join("a" * depth): "group" for depth in range(50)}
    with pytest.raises(StoreTooLarge, match="groups to walk"):
        found(DictSource(v3(deep)), most=3)


@pytest.mark.parametrize(
    ("values", "options", "error", "words"),
    [
        ({}, {}, StoreMissing, "no Zarr group"),
        ({}, {"zarr_format": 3}, StoreMissing, "no Zarr group"),
        (v3(), {"zarr_format": 2}, StoreMissing, "no Zarr group"),
        (v3(), {"consolidated": True}, MetadataError, "no consolidated metadata"),
        ({"zarr.json": ARRAY_3}, {}, MetadataError, "leads to a Zarr array"),
        ({".zarray": b"{}"}, {}, MetadataError, "leads to a Zarr array"),
        ({"zarr.json": b"{"}, {}, MetadataError, "not JSON"),
    ],
)
def test_what_is_no_hierarchy_is_an_error(
    values: dict[str, bytes], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """Which says what is there."""
    with pytest.raises(error, match=words):
        found(DictSource(values), **options)


def test_what_may_not_be_read_is_refused() -> None:
    """A document that is refused beside one that is read does not matter."""
    source = DictSource(gathered(v3()), refused=[".zmetadata"])
    assert found(source) == ("", "a/b")
    with pytest.raises(StoreRefused):
        found(DictSource(v3(), refused=["zarr.json", ".zmetadata"]))
    with pytest.raises(StoreRefused):
        found(DictSource(v3(), listable=False))


def test_a_listing_that_shows_nothing_is_none() -> None:
    """Web servers without index pages answer so."""

    class Unlisted(DictSource):
        async def list_dir(self, prefix: str = "") -> list[str]:
            return []

    for values in (v3(), v2()):
        with pytest.raises(MetadataError, match="neither listed nor"):
            found(Unlisted(values))
