"""What every byte source promises, whatever it reads from."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sluice.errors import StoreMissing
from sluice.store.filesystems import Filesystems
from sluice.store.source import (
    ByteSource,
    DatedSource,
    Tagged,
    Unchanged,
    get_tagged,
    part_source,
    resolved,
)

from .conftest import BIG, S3, VALUES, Ground


async def listed(source: ByteSource, prefix: str = "") -> list[str]:
    return sorted([key async for key in source.list(prefix)])


async def test_a_value_is_read_whole(ground: Ground) -> None:
    """`get` gives exactly the bytes that were stored, also when there are none."""
    for key, value in VALUES.items():
        assert await ground.source.get(key) == value, key


async def test_a_range_ends_before_its_end(ground: Ground) -> None:
    """The bytes are those of Python's slice."""
    for start, end in [
        (0, 1),
        (0, 1024),
        (10, 20),
        (1000, None),
        (None, 7),
        (0, None),
        (1023, 1024),
    ]:
        assert await ground.source.get("a/c/0/0", start, end) == BIG[start:end], (start, end)


async def test_a_negative_start_is_a_suffix(ground: Ground) -> None:
    """The last bytes come, and at most all of them."""
    for start in (-1, -16, -1024, -5000):
        assert await ground.source.get("a/c/0/0", start) == BIG[start:], start


async def test_ranges_are_clipped(ground: Ground) -> None:
    """A range past the end gives what there is; one beyond the end, or of nothing, no bytes."""
    source = ground.source
    assert await source.get("a/c/0/1", 8, 4000) == b"89"
    assert await source.get("a/c/0/1", 10, 20) == b""
    assert await source.get("a/c/0/1", 4000) == b""
    assert await source.get("a/c/0/1", 5, 5) == b""
    assert await source.get("a/c/0/1", 0, 0) == b""
    assert await source.get("a/c/0/1", None, 0) == b""
    assert await source.get("a/c/0/1", 5, 3) == b""
    assert await source.get("b/empty", 0, 10) == b""
    assert await source.get("b/empty", -10) == b""


async def test_a_part_tells_the_size_of_the_whole(ground: Ground) -> None:
    """Where the store tells it at all: then rightly, and where the part begins as well."""
    key = "a/c/0/0"
    for start, end in [(0, 1), (10, 20), (1000, None), (1000, 5000), (-16, None), (-5000, None)]:
        part = await part_source(ground.source).get_part(key, start, end)
        assert part is not None
        assert part.data == BIG[start:end]
        first, _ = resolved(start, end, len(BIG))
        assert (part.start, part.size) in ((first, len(BIG)), (max(start, 0), None))
    for start, end in ((2, 5), (-3, None)):
        assert await part_source(ground.source).get_part("a/c/9/9", start, end) is None
    beyond = await part_source(ground.source).get_part("a/c/0/1", 10, 20)
    empty = await part_source(ground.source).get_part("b/empty", 0, 1)
    assert beyond is not None
    assert empty is not None
    assert (beyond.data, empty.data) == (b"", b"")


async def test_other_ranges_are_refused(ground: Ground) -> None:
    """An end that counts from the end is no range of the protocol."""
    for start, end in [(-5, 3), (-5, -3), (0, -1), (None, -1)]:
        with pytest.raises(ValueError, match="byte range"):
            await ground.source.get("a/c/0/0", start, end)


async def test_a_missing_key_is_none(ground: Ground) -> None:
    """Neither an absent key nor a mere prefix of keys is a value, whole or in part."""
    for key in ("nothing", "a/c/9/9", "a", "a/c", "zarr.json/deeper"):
        assert await ground.source.get(key) is None, key
        assert await ground.source.get(key, 2, 5) is None, key
        assert await ground.source.get(key, -3) is None, key
        assert await ground.source.get(key, 4, 4) is None, key
        assert await ground.source.get(key, 4, 2) is None, key


async def test_a_tag_spares_the_value_and_nothing_else(ground: Ground) -> None:
    """With the tag of a value, where it has one, it may stay away; with another one it comes."""
    for key, value in VALUES.items():
        first = await get_tagged(ground.source, key)
        assert isinstance(first, Tagged)
        assert first.data == value
        other = await get_tagged(ground.source, key, '"another"')
        again = await get_tagged(ground.source, key, first.tag)
        if first.tag is None:  # there is none, or the value is too young for one as yet
            assert isinstance(other, Tagged)
            assert isinstance(again, Tagged)
            assert (other.data, again.data) == (value, value), key
        else:
            assert (other, again) == (first, Unchanged()), key
    for key in ("nothing", "a/c"):
        assert await get_tagged(ground.source, key) is None
        assert await get_tagged(ground.source, key, '"some"') is None


async def test_getitems_omits_what_is_missing(ground: Ground) -> None:
    """Many keys are read at once, repeated ones too; absent ones are left out."""
    keys = [*VALUES, "nothing", "a/c", "zarr.json"]
    assert await ground.source.getitems(keys) == VALUES
    assert await ground.source.getitems([]) == {}


async def test_exists_means_a_value(ground: Ground) -> None:
    """Values exist, empty ones too; prefixes and absent keys do not."""
    assert [await ground.source.exists(key) for key in VALUES] == [True] * len(VALUES)
    assert [await ground.source.exists(key) for key in ("nothing", "a", "a/c/0")] == [False] * 3


async def test_list_is_recursive_and_relative_to_the_root(ground: Ground) -> None:
    """All keys below a path come, with or without its slash, and no neighbours of like name."""
    source = ground.source
    assert await listed(source) == sorted(VALUES)
    below = sorted(key for key in VALUES if key.startswith("a/"))
    assert await listed(source, "a") == below
    assert await listed(source, "a/") == below
    assert await listed(source, "a/c/0") == ["a/c/0/0", "a/c/0/1"]
    assert await listed(source, "nothing") == []


async def test_list_dir_names_one_level(ground: Ground) -> None:
    """Values and deeper prefixes come by name, sorted."""
    source = ground.source
    assert await source.list_dir() == ["a", "ab", "b", "zarr.json"]
    assert await source.list_dir("a/") == ["c", "zarr.json"]
    assert await source.list_dir("a/c/0") == ["0", "1"]
    assert await source.list_dir("nothing") == []


async def test_a_missing_root_is_no_missing_key(ground: Ground) -> None:
    """Where a store can tell, reading from a root that is not there fails."""
    if ground.rootless is None:
        return
    with pytest.raises(StoreMissing):
        await ground.rootless.get("zarr.json")
    with pytest.raises(StoreMissing):
        await ground.rootless.get("zarr.json", -4)
    with pytest.raises(StoreMissing):
        await get_tagged(ground.rootless, "zarr.json", '"some"')
    with pytest.raises(StoreMissing):
        await ground.rootless.exists("zarr.json")
    with pytest.raises(StoreMissing):
        await ground.rootless.getitems(["zarr.json", "a/c/0/0"])
    with pytest.raises(StoreMissing):
        await listed(ground.rootless)
    with pytest.raises(StoreMissing):
        await ground.rootless.list_dir()


async def test_times_are_those_of_the_store_or_none(ground: Ground) -> None:
    """A source that tells when a value was written tells a moment ago, and nothing of no value."""
    source = ground.source
    if not isinstance(source, DatedSource):
        return
    written = await source.modified("a/c/0/0")
    assert written is None or abs(time.time() - written) < 3600
    assert await source.modified("a/none") is None


async def test_s3_and_files_tell_times(s3: S3, tmp_path: Path) -> None:
    s3.put("dated")
    s3.put("dated/key", b"value")
    (tmp_path / "key").write_bytes(b"value")
    async with Filesystems() as filesystems:
        for url, options in (("s3://dated", s3.options()), (str(tmp_path), {})):
            source = await filesystems.source(url, storage_options=options)
            assert isinstance(source, DatedSource)
            written = await source.modified("key")
            assert written is not None, url
            assert abs(time.time() - written) < 3600
