"""Groups by their documents: which keys are asked, and what is an error."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import zarr
from zarr.storage import MemoryStore

from sluice.arrays.group_documents import GroupDocuments
from sluice.arrays.group_metadata import open_group, revalidate_groups
from sluice.errors import MetadataError, StoreMissing, StoreRefused
from tests.sources import DictSource, TaggingDict, stored


def hierarchy(zarr_format: int, *, consolidated: bool) -> dict[str, bytes]:
    """A store with an array in the root and one in the group ``a/b``."""
    store = MemoryStore()
    root = zarr.create_group(store, zarr_format=zarr_format, attributes={"title": "root"})  # type: ignore[arg-type]
    group = root.create_group("a/b", attributes={"title": "inner"})
    for parent in (root, group):
        parent.create_array("x", shape=(2,), dtype="i4")[:] = 1
    if consolidated:
        zarr.consolidate_metadata(store)
    return asyncio.run(stored(store))


def opened(source: DictSource, **options: Any) -> GroupDocuments:
    options = {"group": None, "zarr_format": None, "consolidated": None, **options}
    return asyncio.run(open_group(source, **options))


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("group", [None, "a/b", "/a/b/"])
@pytest.mark.parametrize("consolidated", [True, False])
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_group_is_found(zarr_format: int, consolidated: bool, group: str | None) -> None:
    """Both formats, consolidated and not, root and nested group (also by the root's metadata)."""
    found = opened(DictSource(hierarchy(zarr_format, consolidated=consolidated)), group=group)
    assert found.zarr_format == zarr_format
    assert found.attributes == {"title": "inner" if group else "root"}
    assert list(found.arrays) == ["x"]
    assert found.arrays["x"]["shape"] in ((2,), [2])


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_store_takes_one_wave(zarr_format: int) -> None:
    """Of an unknown format both documents are asked for, of a stated one only its own."""
    source = DictSource(hierarchy(zarr_format, consolidated=True))
    opened(source)
    assert sorted(source.keys) == [".zmetadata", "zarr.json"]
    source.requests.clear()
    opened(source, zarr_format=zarr_format)
    assert source.keys == [".zmetadata" if zarr_format == 2 else "zarr.json"]


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
def test_forbidden_probe_does_not_matter_while_the_other_answers() -> None:
    """A reader without s3:ListBucket gets 403 for the key that is not there."""
    source = DictSource(hierarchy(2, consolidated=True), refused=["zarr.json"])
    assert list(opened(source).arrays) == ["x"]


def test_store_that_answers_nothing_names_the_permissions() -> None:
    """Both probes forbidden: the error says what to grant."""
    source = DictSource({}, refused=["zarr.json", ".zmetadata"])
    with pytest.raises(StoreRefused, match=r"s3:GetObject.*s3:ListBucket"):
        opened(source)


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_store_neither_listed_nor_consolidated_says_so(zarr_format: int) -> None:
    """Without consolidated metadata a true listing is needed; a blind one will not do."""
    values = hierarchy(zarr_format, consolidated=False)
    with pytest.raises(StoreRefused, match="neither listed nor has consolidated metadata"):
        opened(DictSource(values, listable=False))

    class Blind(DictSource):
        async def list_dir(self, prefix: str = "") -> list[str]:
            return []

    with pytest.raises(MetadataError, match="neither listed nor has consolidated metadata"):
        opened(Blind(values))


def test_consolidated_can_be_insisted_on_or_ignored() -> None:
    """True fails without consolidated metadata; False does not believe it."""
    with pytest.raises(MetadataError, match="consolidated"):
        opened(DictSource(hierarchy(3, consolidated=False)), consolidated=True)
    values = hierarchy(2, consolidated=False) | {".zmetadata": b'{"metadata": {".zgroup": {}}}'}
    assert list(opened(DictSource(values), consolidated=False).arrays) == ["x"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, StoreMissing),
        ({"zarr.json": b"{"}, MetadataError),
        ({"zarr.json": b"[]"}, MetadataError),
        ({"zarr.json": b"{}"}, MetadataError),
        ({"zarr.json": b"[" * 200_000}, MetadataError),
        ({".zmetadata": b"{}"}, MetadataError),
        ({"zarr.json": b'{"zarr_format": 3, "node_type": "array"}'}, MetadataError),
        ({".zarray": b"{}"}, MetadataError),
    ],
)
def test_what_is_no_group_is_an_error(values: dict[str, bytes], error: type[Exception]) -> None:
    """Nothing there, documents that are no JSON objects, and arrays are each told apart."""
    with pytest.raises(error):
        opened(DictSource(values))


def test_nczarr_dimensions_are_understood() -> None:
    """NCZarr names dimensions in the array's document, not in its attributes."""
    zarray = {"shape": [2], "_NCZARR_ARRAY": {"dimrefs": ["/group/time"]}}
    values = {".zgroup": b'{"zarr_format": 2}', "x/.zarray": json.dumps(zarray).encode()}
    document = opened(DictSource(values)).arrays["x"]
    assert document["attributes"]["_ARRAY_DIMENSIONS"] == ["time"]


async def test_a_version_changes_with_the_documents_and_with_nothing_else() -> None:
    """An append gives another version; reading again, or keys in another order, the same one."""
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"a": 1, "b": 2}}
    array = {"zarr_format": 3, "node_type": "array", "shape": [2]}

    async def version(group: dict[str, Any], array: dict[str, Any]) -> str:
        documents = {"zarr.json": group, "x/zarr.json": array}
        source = DictSource({key: json.dumps(value).encode() for key, value in documents.items()})
        return (await open_group(source, group=None, zarr_format=3, consolidated=None)).version

    first = await version(group, array)
    assert await version(dict(reversed(group.items())), array) == first
    assert await version(group, {**array, "shape": [3]}) != first
    assert await version({**group, "attributes": {"a": 1}}, array) != first


UNSPECIFIED = "ignore:Consolidated metadata is currently not part"


def known_of(source: DictSource) -> GroupDocuments:
    """The documents of the source, whose requests until now are forgotten."""
    known = opened(source)
    source.requests.clear()
    return known


def again(source: DictSource, known: GroupDocuments) -> GroupDocuments:
    (now,) = asyncio.run(revalidate_groups(source, [known], zarr_format=None, consolidated=None))
    return now


@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_an_unchanged_consolidated_group_costs_one_request(zarr_format: int) -> None:
    """To look again is to read its one document; what it says is not even parsed."""
    source = DictSource(hierarchy(zarr_format, consolidated=True))
    known = known_of(source)
    assert again(source, known) is known
    assert source.keys == ["zarr.json" if zarr_format == 3 else ".zmetadata"]


@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_tag_spares_the_document(zarr_format: int) -> None:
    """What the open read is not sent again; the same bytes under another tag are the same group."""
    source = TaggingDict(hierarchy(zarr_format, consolidated=True))
    known = known_of(source)
    source.shown.clear()
    assert again(source, known) is known
    source.mark = "other"
    now = again(source, known)
    assert (now.version, now.arrays) == (known.version, known.arrays)
    assert again(source, now) is now
    assert source.keys == ["zarr.json" if zarr_format == 3 else ".zmetadata"] * 3
    assert len({source.shown[0], source.shown[1]}) == 1
    assert str(source.shown[2]).startswith('"other')


@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_that_is_gone_is_missing_whatever_tag_is_known(zarr_format: int) -> None:
    """A tag is a question about a document that is there."""
    source = TaggingDict(hierarchy(zarr_format, consolidated=True))
    known = known_of(source)
    source.values.clear()
    with pytest.raises(StoreMissing):
        again(source, known)


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_another_document_is_another_version(zarr_format: int, consolidated: bool) -> None:
    """Whether documents are gathered or not, the version follows what they say, not how."""
    source = DictSource(hierarchy(zarr_format, consolidated=consolidated))
    known = known_of(source)
    changed = "zarr.json" if zarr_format == 3 else ".zmetadata" if consolidated else ".zattrs"
    document = json.loads(source.values.get(changed, b"{}"))
    source.values[changed] = json.dumps(document, indent=7).encode()
    assert (again(source, known)).version == known.version
    parts = document["metadata"].setdefault(".zattrs", {}) if changed == ".zmetadata" else document
    (parts["attributes"] if changed == "zarr.json" else parts)["title"] = "another"
    source.values[changed] = json.dumps(document).encode()
    assert (again(source, known)).version != known.version


@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_group_that_was_consolidated_is_not_read_without(zarr_format: int) -> None:
    """A writer on its way is waited for: v3 takes the metadata away first, and v2's is gone."""
    source = DictSource(hierarchy(zarr_format, consolidated=True))
    known = known_of(source)
    source.values |= hierarchy(zarr_format, consolidated=False)
    source.values.pop(".zmetadata", None)
    with pytest.raises(MetadataError if zarr_format == 3 else StoreMissing):
        again(source, known)


@pytest.mark.parametrize("consolidated", [False, True])
@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_metadata_that_is_gone_is_missing(zarr_format: int, consolidated: bool) -> None:
    """An emptied store is told from one that cannot be used."""
    source = DictSource(hierarchy(zarr_format, consolidated=consolidated))
    known = known_of(source)
    source.values.clear()
    with pytest.raises(StoreMissing):
        again(source, known)


@pytest.mark.filterwarnings(UNSPECIFIED)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_documents_are_another_version_once_they_are_gathered(zarr_format: int) -> None:
    """What was read one by one may be from before the writer's chunks, however alike it looks."""
    source = DictSource(hierarchy(zarr_format, consolidated=False))
    known = known_of(source)
    source.values |= hierarchy(zarr_format, consolidated=True)
    now = again(source, known)
    assert (now.attributes, now.arrays) == (known.attributes, known.arrays)
    assert now.version != known.version
