"""Every kind of store that is promised, each by one small example: it reads as xarray reads it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr.codecs as v3
import zarr.codecs.numcodecs as v3_numcodecs

from sluice.datasets import AsyncZarrBackendEntrypoint
from sluice.store import Filesystems
from tests.equivalence.sameness import assert_same, assert_same_surface
from tests.stores import ArraySpec, DictFileSystem, StoreSpec, documents_of, fs_map, memory_store

# Both sides warn about types and codecs that Zarr v3 does not specify yet.
pytestmark = pytest.mark.filterwarnings("ignore")

NUMBERS = np.arange(48, dtype="i4").reshape(6, 8)
REALS = np.where(NUMBERS % 7 == 3, np.nan, NUMBERS / 4).astype("f8")
V2 = {"name": "v2", "separator": "."}

SELECTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"y": 3},
    {"y": -1, "x": slice(1, 7, 2)},
    {"y": slice(None, None, -2), "x": [5, 0, 5]},
    {"y": [], "x": slice(4, 4)},
    {"y": xr.DataArray([0, 5, 2], dims="p"), "x": xr.DataArray([7, 0, 3], dims="p")},
)


async def assert_reads_as_xarray(documents: Mapping[str, bytes], **options: Any) -> xr.Dataset:
    """Six selections of the store agree; answers all of it."""
    theirs: xr.Dataset = xr.open_zarr(memory_store(documents), chunks=None, **options)
    for door in (fs_map, memory_store):
        ours = await AsyncZarrBackendEntrypoint().open_dataset(door(documents), **options)
        assert_same_surface(ours, theirs)
        for indexers in SELECTIONS:
            known = {name: at for name, at in indexers.items() if theirs.sizes.get(name, 0) > 5}
            assert_same(await ours._isel(known), theirs.isel(known).load())
    return theirs.load()


def one(values: np.ndarray, zarr_format: Literal[2, 3], **layout: Any) -> dict[str, bytes]:
    """A store with the one array `v`, in chunks of two by three where it has two dimensions."""
    if values.ndim == 2:
        layout = {"chunks": (2, 3), **layout}
    dims = ("y", "x", "z")[: values.ndim]
    fill = layout.pop("fill", None if zarr_format == 2 else ...)
    attrs = layout.pop("attrs", {})
    array = ArraySpec("v", dims, values, attrs, fill=fill, **layout)
    return documents_of(StoreSpec((array,), zarr_format=zarr_format, consolidated="group"))


# ---- formats, metadata, groups


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("consolidated", ["", "group"])
async def test_formats_with_and_without_consolidated_metadata(
    zarr_format: Literal[2, 3], consolidated: str
) -> None:
    """Both formats open, whether their metadata is gathered or found by listing."""
    arrays = (
        ArraySpec("y", ("y",), np.arange(6), fill=None if zarr_format == 2 else ...),
        ArraySpec("v", ("y", "x"), NUMBERS, chunks=(4, 4)),
    )
    spec = StoreSpec(arrays, zarr_format, consolidated, attrs={"title": "t"})
    dataset = await assert_reads_as_xarray(documents_of(spec))
    assert dataset.attrs == {"title": "t"}


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("group", ["inner", "outer/inner", "/outer/inner/"])
@pytest.mark.parametrize("consolidated", ["", "group", "root"])
async def test_groups(zarr_format: Literal[2, 3], group: str, consolidated: str) -> None:
    """A group opens by its path; metadata consolidated at the root serves it."""
    array = ArraySpec("v", ("y", "x"), NUMBERS, chunks=(4, 4))
    spec = StoreSpec((array,), zarr_format, consolidated, group=group.strip("/"))
    await assert_reads_as_xarray(documents_of(spec), group=group)


async def test_root_consolidated_metadata_spares_the_groups_documents() -> None:
    """A group under consolidated metadata opens without its own documents being read."""
    array = ArraySpec("v", ("y", "x"), NUMBERS)
    spec = StoreSpec((array,), 2, "root", group="inner")
    source = fs_map(documents_of(spec))
    await AsyncZarrBackendEntrypoint().open_dataset(source, group="inner")
    assert isinstance(source.fs, DictFileSystem)
    assert not [path for path in source.fs.reads if path.endswith("v/.zarray")]


# ---- codecs


BLOSC = [
    (name, shuffle) for name in ("lz4", "lz4hc", "blosclz", "zstd", "zlib") for shuffle in range(3)
]


@pytest.mark.parametrize(("cname", "shuffle"), BLOSC)
async def test_blosc_v2(cname: str, shuffle: int) -> None:
    """Every inner compressor and shuffle of blosc, as Zarr v2 names them."""
    await assert_reads_as_xarray(
        one(REALS, 2, compressors=numcodecs.Blosc(cname=cname, shuffle=shuffle))
    )


@pytest.mark.parametrize(("cname", "shuffle"), BLOSC)
async def test_blosc_v3(cname: Any, shuffle: int) -> None:
    """Every inner compressor and shuffle of blosc, as Zarr v3 names them."""
    names: tuple[Any, ...] = ("noshuffle", "shuffle", "bitshuffle")
    codec = v3.BloscCodec(cname=cname, shuffle=names[shuffle], typesize=8)
    await assert_reads_as_xarray(one(REALS, 3, compressors=(codec,)))


@pytest.mark.parametrize(
    "codec",
    [
        numcodecs.Zstd(3),
        numcodecs.GZip(1),
        numcodecs.Zlib(1),
        numcodecs.LZ4(),
        numcodecs.BZ2(1),
        numcodecs.LZMA(),
    ],
    ids=lambda codec: codec.codec_id,
)
async def test_compressors_v2(codec: Any) -> None:
    """The other compressors of Zarr v2."""
    await assert_reads_as_xarray(one(REALS, 2, compressors=codec))


@pytest.mark.parametrize(
    "codecs",
    [
        (),
        (v3.ZstdCodec(level=3, checksum=True),),
        (v3.GzipCodec(level=1),),
        (v3.Crc32cCodec(),),
        (v3.GzipCodec(level=1), v3.Crc32cCodec()),
    ],
    ids=lambda codecs: "+".join(type(codec).__name__ for codec in codecs) or "none",
)
async def test_compressors_v3(codecs: tuple[Any, ...]) -> None:
    """The other codecs of Zarr v3, alone and in a row."""
    await assert_reads_as_xarray(one(REALS, 3, compressors=codecs))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("LZ4", {}),
        ("Zlib", {"level": 1}),
        ("BZ2", {"level": 1}),
        ("Shuffle", {"elementsize": 8}),
        ("Adler32", {}),
    ],
)
async def test_numcodecs_compressors_v3(name: str, options: dict[str, Any]) -> None:
    """The compressors that numcodecs brings to Zarr v3 (zarr 3.1 warns when one is made)."""
    codec = getattr(v3_numcodecs, name)(**options)
    await assert_reads_as_xarray(one(REALS, 3, compressors=(codec,)))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", [">i2", ">u4", ">f4", ">f8", ">c8", ">M8[s]", ">U3"])
async def test_big_endian(zarr_format: Literal[2, 3], dtype: str) -> None:
    """The most significant byte first."""
    await assert_reads_as_xarray(one(NUMBERS.astype(dtype), zarr_format))


async def test_fortran_order() -> None:
    """Zarr v2's order F, with and without a compressor."""
    await assert_reads_as_xarray(one(REALS, 2, order="F"))
    await assert_reads_as_xarray(one(REALS, 2, order="F", compressors=numcodecs.Zstd()))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_transpose(order: tuple[int, ...]) -> None:
    """Zarr v3's transpose, in every direction, also inside shards."""
    values = np.arange(6 * 8 * 3).reshape(6, 8, 3)
    codec = (v3.TransposeCodec(order=order),)
    await assert_reads_as_xarray(one(values, 3, filters=codec, chunks=(2, 3, 2)))
    await assert_reads_as_xarray(one(values, 3, filters=codec, chunks=(2, 3, 2), shards=(4, 6, 4)))


@pytest.mark.parametrize(
    ("values", "filters"),
    [
        (NUMBERS, (numcodecs.Delta("<i4"),)),
        (NUMBERS, (numcodecs.Delta("<i4", "<i2"), numcodecs.Shuffle(2))),
        (NUMBERS, (numcodecs.AsType("<i8", "<i4"),)),
        (NUMBERS, (numcodecs.CRC32(),)),
        (NUMBERS, (numcodecs.Fletcher32(),)),
        (NUMBERS / 4, (numcodecs.FixedScaleOffset(10, 4, "<f8", "<i2"),)),
        (NUMBERS / 4, (numcodecs.Quantize(2, "<f8"),)),
        (NUMBERS / 4, (numcodecs.BitRound(10),)),
        (NUMBERS % 3 == 0, (numcodecs.PackBits(),)),
        (NUMBERS, (numcodecs.Zlib(1), numcodecs.Adler32())),
    ],
    ids=lambda value: "+".join(c.codec_id for c in value) if isinstance(value, tuple) else "",
)
async def test_filters_v2(values: np.ndarray, filters: tuple[Any, ...]) -> None:
    """The filters of Zarr v2, alone and chained, with a compressor behind them."""
    await assert_reads_as_xarray(one(values, 2, filters=filters, compressors=numcodecs.Zlib(1)))


@pytest.mark.parametrize(
    ("values", "name", "options"),
    [
        (NUMBERS, "Delta", {"dtype": "<i4"}),
        (
            NUMBERS / 4,
            "FixedScaleOffset",
            {"offset": 10, "scale": 4, "dtype": "<f8", "astype": "<i2"},
        ),
        (NUMBERS / 4, "Quantize", {"digits": 2, "dtype": "<f8"}),
        (NUMBERS % 3 == 0, "PackBits", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_filters_v3(values: np.ndarray, name: str, options: dict[str, Any]) -> None:
    """The filters that numcodecs brings to Zarr v3."""
    await assert_reads_as_xarray(one(values, 3, filters=(getattr(v3_numcodecs, name)(**options),)))


# ---- types, fill values, shapes


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "dtype",
    [
        *("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"),
        *("M8[ns]", "M8[s]", "m8[ns]", "m8[s]", "S3", "U4", "O"),
    ],
)
async def test_types(zarr_format: Literal[2, 3], dtype: str) -> None:
    """All number types, moments, durations, and text of fixed and of any length."""
    values = NUMBERS % 100
    text = dtype == "O"
    await assert_reads_as_xarray(
        one(values.astype(str).astype(object) if text else values.astype(dtype), zarr_format)
    )


async def test_structured_types() -> None:
    """Records, which xarray opens too."""
    values = np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i2"), ("b", "<f4")])
    await assert_reads_as_xarray(one(values, 3))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("fill", [..., 0, -7, 5.5, float("nan"), float("-inf")])
async def test_missing_chunks_are_fill(zarr_format: Literal[2, 3], fill: float) -> None:
    """A chunk that was never written is full of the fill value."""
    await assert_reads_as_xarray(one(REALS, zarr_format, fill=fill, holes=(0, 4, 8)))


async def test_missing_chunks_without_fill_value() -> None:
    """A Zarr v2 array need not name a fill value; all of its chunks may be missing."""
    await assert_reads_as_xarray(one(REALS, 2, fill=None, holes=tuple(range(9))))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
async def test_zero_size(zarr_format: Literal[2, 3], shape: tuple[int, ...]) -> None:
    """An array with no cells opens and answers an array with no cells."""
    dataset = await assert_reads_as_xarray(one(np.zeros(shape, "f4"), zarr_format, chunks=None))
    assert dataset["v"].shape == shape


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("holes", [(), (0,)])
async def test_zero_dimensions(zarr_format: Literal[2, 3], holes: tuple[int, ...]) -> None:
    """An array without dimensions is one value, written or not."""
    await assert_reads_as_xarray(one(np.array(5.5), zarr_format, fill=2.5, holes=holes))


@pytest.mark.parametrize("encoding", [None, V2, {"name": "default", "separator": "."}])
async def test_chunk_keys(encoding: Any) -> None:
    """Chunks are found under every way of writing their keys."""
    await assert_reads_as_xarray(one(REALS, 3, chunk_key_encoding=encoding))


@pytest.mark.parametrize("separator", [".", "/"])
async def test_chunk_keys_v2(separator: str) -> None:
    """Zarr v2's chunks lie flat or in folders."""
    encoding = {"name": "v2", "separator": separator}
    await assert_reads_as_xarray(one(REALS, 2, chunk_key_encoding=encoding))


# ---- shards


async def test_partial_shards() -> None:
    """Shards that reach beyond the array's edge."""
    await assert_reads_as_xarray(one(REALS, 3, chunks=(2, 3), shards=(4, 6)))


async def test_missing_inner_chunks_and_missing_shards() -> None:
    """Inner chunks that hold only fill are not stored, nor are whole shards of them."""
    values = NUMBERS.copy()
    values[:2] = values[:, 3:6] = values[4:, 6:] = 0
    await assert_reads_as_xarray(one(values, 3, chunks=(2, 3), shards=(4, 6), fill=0))
    await assert_reads_as_xarray(one(values, 3, chunks=(2, 3), shards=(4, 6), holes=(0, 3)))


@pytest.mark.parametrize("index_codecs", [(v3.BytesCodec(),), (v3.BytesCodec(), v3.Crc32cCodec())])
@pytest.mark.parametrize("location", ["start", "end"])
async def test_shard_index(location: str, index_codecs: tuple[Any, ...]) -> None:
    """The index lies at either end of the shard, with or without a checksum."""
    codec = v3.ShardingCodec(
        chunk_shape=(2, 3),
        codecs=(v3.BytesCodec(), v3.GzipCodec(level=1)),
        index_codecs=index_codecs,
        index_location=location,
    )
    await assert_reads_as_xarray(one(REALS, 3, serializer=codec, chunks=(4, 6)))


async def test_shards_of_text() -> None:
    """Text of any length inside shards."""
    values = NUMBERS.astype(str).astype(object)
    await assert_reads_as_xarray(one(values, 3, chunks=(2, 3), shards=(4, 6)))


async def test_point_from_shard_reads_its_parts_only() -> None:
    """One point costs the shard's index and one inner chunk, not the shard."""
    noise = np.random.default_rng(1).random((64, 64))
    documents = one(noise, 3, chunks=(8, 8), shards=(64, 64))
    source = fs_map(documents)
    ds = await AsyncZarrBackendEntrypoint().open_dataset(source)
    spans: list[tuple[int | None, int | None]] = []
    read = source.fs._cat_file

    async def noted(path: str, start: int | None = None, end: int | None = None) -> bytes:
        spans.append((start, end))
        content: bytes = await read(path, start=start, end=end)
        return content

    source.fs._cat_file = noted
    answer = await ds._isel(y=3, x=60)
    assert float(answer["v"]) == noise[3, 60]
    assert len(spans) == 2
    assert all(start is not None for start, _ in spans)


# ---- CF coding


def coded(
    zarr_format: Literal[2, 3], **arrays: tuple[tuple[str, ...], Any, dict[str, Any]]
) -> dict[str, bytes]:
    """A store of arrays written as name=(dims, raw values, attributes)."""
    fill = None if zarr_format == 2 else ...
    specs = (ArraySpec(n, dims, np.asarray(v), a, fill=fill) for n, (dims, v, a) in arrays.items())
    return documents_of(StoreSpec(tuple(specs), zarr_format, "group"))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize(
    "attrs",
    [
        {"scale_factor": 0.1},
        {"add_offset": 273.15},
        {"scale_factor": 0.01, "add_offset": -5, "_FillValue": 7},
        {"missing_value": 9},
        {"_FillValue": 3, "missing_value": 4},
        {"_Unsigned": "true", "scale_factor": 0.5, "_FillValue": 8},
    ],
    ids=lambda attrs: "+".join(attrs),
)
async def test_packed_numbers(zarr_format: Literal[2, 3], attrs: dict[str, Any]) -> None:
    """Scale, offset, missing values and lost signs are decoded as xarray decodes them."""
    packed = (NUMBERS - 10).astype("i2")
    await assert_reads_as_xarray(coded(zarr_format, v=(("y", "x"), packed, attrs)))


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day", "julian", None])
async def test_calendars(zarr_format: Literal[2, 3], calendar: str | None) -> None:
    """Times on the axis and in a variable, in standard and non-standard calendars."""
    attrs: dict[str, Any] = {"units": "days since 2000-02-27"}
    if calendar:
        attrs["calendar"] = calendar
    documents = coded(
        zarr_format,
        y=(("y",), np.arange(6), attrs),
        seen=(("y",), np.arange(6) * 1.5, attrs),
    )
    theirs = xr.open_zarr(memory_store(documents), chunks=None)
    ours = await AsyncZarrBackendEntrypoint().open_dataset(fs_map(documents))
    for key in ("2000-02-28", slice("2000-02-28", "2000-03-01"), "2000-02"):
        assert_same(await ours._sel(y=key), theirs.sel(y=key).load())
    assert_same(await ours._isel(), theirs.load())


async def test_times_that_are_not_decoded() -> None:
    """`decode_times=False` and `mask_and_scale=False` leave the raw values."""
    documents = coded(
        3,
        y=(("y",), np.arange(6), {"units": "days since 2000-01-01"}),
        v=(("y", "x"), NUMBERS, {"scale_factor": 0.5}),
    )
    await assert_reads_as_xarray(documents, decode_times=False, mask_and_scale=False)


@pytest.mark.parametrize("decode_timedelta", [None, True, False])
@pytest.mark.parametrize("attrs", [{"units": "days"}, {"units": "h", "dtype": "timedelta64[ns]"}])
async def test_durations(decode_timedelta: bool | None, attrs: dict[str, Any]) -> None:
    """Units of time on a number, decoded where xarray decodes them."""
    documents = coded(3, y=(("y",), np.arange(6), attrs), v=(("y",), np.arange(6) * 2, attrs))
    await assert_reads_as_xarray(documents, decode_timedelta=decode_timedelta)


@pytest.mark.parametrize("decode_timedelta", [None, {}, {"y": None, "v": True}, {"v": False}])
async def test_durations_among_what_is_left_out(decode_timedelta: Any) -> None:
    """Their resolution is what they tell of it, also where what cannot be used is left out."""
    attrs = {"units": "days", "dtype": "timedelta64[s]"}
    documents = coded(3, y=(("y",), np.arange(6), attrs), v=(("y",), np.arange(6) * 10**6, attrs))
    options = {"decode_timedelta": decode_timedelta}
    theirs = xr.open_zarr(memory_store(documents), chunks=None, **options)
    ours = await AsyncZarrBackendEntrypoint().open_dataset(
        fs_map(documents), on_unusable="leave_out", **options
    )
    assert_same_surface(ours, theirs)
    assert_same(await ours._isel(), theirs.load())


@pytest.mark.parametrize("decode_coords", [True, False, "coordinates", "all"])
async def test_coordinates_and_bounds(decode_coords: Any) -> None:
    """What `coordinates` and `bounds` name becomes a coordinate as the option says."""
    documents = coded(
        3,
        y=(("y",), np.arange(6), {"units": "days since 2000-01-01", "bounds": "y_bnds"}),
        y_bnds=(("y", "bnds"), np.arange(12).reshape(6, 2), {}),
        height=((), 2.0, {}),
        station=(("x",), np.array(list("abcdefgh"), "U1"), {}),
        area=(("y", "x"), NUMBERS * 2.0, {}),
        v=(("y", "x"), NUMBERS, {"coordinates": "height station area"}),
    )
    await assert_reads_as_xarray(documents, decode_coords=decode_coords)


async def test_characters_are_joined() -> None:
    """An array of single characters is text, one dimension shorter."""
    letters = np.array([list("abc"), list("de ")], dtype="S1")
    dataset = await assert_reads_as_xarray(coded(2, v=(("n", "length"), letters, {})))
    assert dataset["v"].dims == ("n",)


@pytest.mark.parametrize("drop", ["v", ["v", "w"], ["nothing"]])
async def test_dropped_variables(drop: str | list[str]) -> None:
    """`drop_variables` leaves them out, as one name or as several."""
    documents = coded(3, v=(("y",), np.arange(6), {}), w=(("y",), np.arange(6), {}))
    await assert_reads_as_xarray(documents, drop_variables=drop)


# ---- references


async def test_kerchunk_references(tmp_path: Path) -> None:
    """A JSON reference whose chunks are ranges of one file reads as the store that it describes."""
    documents = one(REALS, 2, compressors=numcodecs.Zlib(1))
    blob = b""
    refs: dict[str, Any] = {}
    for key, value in documents.items():
        if key.rsplit("/", 1)[-1].startswith("."):
            refs[key] = value.decode()
        else:
            refs[key] = [str(tmp_path / "chunks.bin"), len(blob), len(value)]
            blob += value
    (tmp_path / "chunks.bin").write_bytes(blob)
    (tmp_path / "refs.json").write_text(json.dumps({"version": 1, "refs": refs}))
    theirs = xr.open_zarr(memory_store(documents), chunks=None)
    async with Filesystems() as filesystems:
        options = {"fo": str(tmp_path / "refs.json"), "remote_protocol": "file"}
        source = await filesystems.source("reference://", storage_options=options)
        ours = await AsyncZarrBackendEntrypoint().open_dataset(source)
        for indexers in SELECTIONS:
            assert_same(await ours._isel(indexers), theirs.isel(indexers).load())


# ---- what only _isel can be asked


async def test_missing_dims_warn_as_in_xarray() -> None:
    """`missing_dims="warn"` warns and goes on, `"ignore"` only goes on, `"raise"` raises."""
    ours = await AsyncZarrBackendEntrypoint().open_dataset(fs_map(one(NUMBERS, 3)))
    with pytest.warns(UserWarning, match="nowhere"):
        warned = await ours._isel({"nowhere": 1, "y": 0}, missing_dims="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ignored = await ours._isel({"nowhere": 1, "y": 0}, missing_dims="ignore")
    assert_same(warned, ignored)
    with pytest.raises(ValueError, match="nowhere"):
        await ours._isel({"nowhere": 1, "y": 0})
