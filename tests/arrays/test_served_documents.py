"""The documents of arrays that are served: grids, keys, and what marks missing values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import zarr
from zarr.storage import MemoryStore

from sluice.arrays.array_metadata import ArrayMeta, parse_array
from sluice.arrays.served_documents import (
    ChunkKeys,
    ZarrFormat,
    own_document,
    served_chunks,
    value_document,
)

pytestmark = pytest.mark.filterwarnings("ignore")


def array(
    shape: tuple[int, ...], chunks: tuple[int, ...], dtype: str = "f4", **options: Any
) -> tuple[dict[str, Any], ArrayMeta]:
    """The document of an array without chunks, and what it says."""
    store = MemoryStore()
    zarr_format = options.setdefault("zarr_format", 3)
    names = [f"d{number}" for number in range(len(shape))]
    if zarr_format == 3:
        options["dimension_names"] = names
    else:
        options["attributes"] = {**options.get("attributes", {}), "_ARRAY_DIMENSIONS": names}
    made = zarr.create_array(store, shape=shape, chunks=chunks, dtype=dtype, **options)
    document = {**made.metadata.to_dict(), "attributes": dict(made.attrs)}
    return document, parse_array("a", document, store)


@pytest.mark.parametrize(
    ("shape", "chunks", "served"),
    [
        ((), (), ()),
        ((1000,), (1,), (4096,)),
        ((1000,), (1000,), (1000,)),
        ((10**6,), (10**5,), (200_000,)),
        ((500, 10, 10), (1, 10, 10), (16, 10, 10)),
        ((5, 721, 1440), (1, 721, 1440), (1, 721, 1440)),
        ((40, 4000, 4000), (10, 4000, 4000), (1, 250, 4000)),
        ((0, 5), (3, 5), (3, 5)),
    ],
)
def test_the_grid_follows_the_stored_one(
    shape: tuple[int, ...], chunks: tuple[int, ...], served: tuple[int, ...]
) -> None:
    """Neither tiny nor huge; as long as there are several chunks an append changes nothing."""
    _, meta = array(shape, chunks)
    assert served_chunks(meta) == served
    if shape and shape[0] > chunks[0]:
        _, later = array((3 * shape[0], *shape[1:]), chunks)
        assert served_chunks(later) == served


@pytest.mark.parametrize(
    ("keys", "key", "place"),
    [
        (ChunkKeys(True, "/"), "c/0/12", (0, 12)),
        (ChunkKeys(True, "."), "c.0.12", (0, 12)),
        (ChunkKeys(False, "."), "0.12", (0, 12)),
        (ChunkKeys(False, "/"), "0/12", (0, 12)),
        (ChunkKeys(True, "/"), "c", None),
        (ChunkKeys(True, "/"), "c/0", None),
        (ChunkKeys(True, "/"), "c/0/1/2", None),
        (ChunkKeys(True, "/"), "c/0/01", None),
        (ChunkKeys(True, "/"), "c/0/+1", None),
        (ChunkKeys(True, "/"), "c/0/²", None),
        (ChunkKeys(True, "/"), "c/0/" + "9" * 40, None),
        (ChunkKeys(False, "."), "0.12/", None),
    ],
)
def test_keys_have_one_spelling(keys: ChunkKeys, key: str, place: tuple[int, ...] | None) -> None:
    assert keys.place(key, 2) == place


def test_the_key_of_a_scalar() -> None:
    assert ChunkKeys(True, "/").place("c", 0) == ()
    assert ChunkKeys(False, ".").place("0", 0) == ()
    assert ChunkKeys(True, "/").place("", 0) is None


def marks(zarr_format: ZarrFormat, dtype: str, served: ZarrFormat, **options: Any) -> Any:
    """The ``fill_value`` and the attribute ``_FillValue`` of an array as it is served."""
    document, meta = array((4,), (2,), dtype, zarr_format=zarr_format, **options)
    made = value_document(document, meta, served, (2,))
    return made["fill_value"], made["attributes"].get("_FillValue")


def test_missing_values_are_marked_as_each_format_does_it() -> None:
    """By the fill value in format 2, by an attribute in format 3."""
    nan, ninety = "AAAAAAAA+H8=", "AAAAAACAVkA="
    assert marks(2, "f4", 3, fill_value=np.nan) == ("NaN", nan)
    assert marks(3, "f4", 2, fill_value=0, attributes={"_FillValue": ninety}) == (90.0, None)
    assert marks(3, "f4", 2, fill_value=0) == (None, None)
    assert marks(2, "i2", 3, fill_value=-9) == (-9, -9)
    assert marks(2, "i2", 3, fill_value=None) == (0, None)
    unsigned = {"_Unsigned": "true"}
    assert marks(2, "i1", 3, fill_value=-1, attributes=unsigned) == (-1, 255)
    told = {**unsigned, "_FillValue": 255}
    assert marks(3, "i1", 2, fill_value=0, attributes=told) == (-1, None)
    # What is no value of the type's own stays an attribute.
    assert marks(3, "i1", 2, fill_value=0, attributes={"_FillValue": 999}) == (None, 999)


def test_a_document_that_is_handed_on_is_spelled_for_all_readers() -> None:
    """Numbers that JSON lacks have names, and options that say nothing are left out."""
    from numcodecs import Zstd

    document, meta = array(
        (4,), (2,), zarr_format=2, fill_value=np.nan, compressors=Zstd(3, checksum=False)
    )
    own = own_document({**document, "fill_value": float("nan"), "_private": 1}, meta)
    assert own is not None
    assert own["fill_value"] == "NaN"
    assert own["compressor"] == {"id": "zstd", "level": 3}
    assert "_private" not in own
