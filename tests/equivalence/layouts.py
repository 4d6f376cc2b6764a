"""Hypothesis strategies for how an array is laid out: chunks, order, filters, codecs, shards."""

from __future__ import annotations

from typing import Any

import numcodecs
import numpy as np
import zarr.codecs as v3
import zarr.codecs.numcodecs as v3_numcodecs
from hypothesis import strategies as st

from tests.equivalence.coordinates import Draw, rarely


def layout_v2(draw: Draw, values: np.ndarray, chunks: tuple[int, ...]) -> dict[str, Any]:
    if values.dtype.kind == "O":
        filters: Any = ()
    else:
        filters = draw(st.sampled_from([(), (), *_filters_v2(values.dtype)]))
    separator = draw(st.sampled_from((".", "/")))
    return {
        "chunks": chunks,
        "order": draw(st.sampled_from("CCF")),
        "filters": filters,
        "compressors": draw(st.sampled_from(_compressors_v2())),
        "chunk_key_encoding": {"name": "v2", "separator": separator},
    }


def _compressors_v2() -> list[Any]:
    blosc = [
        numcodecs.Blosc(cname=cname, clevel=3, shuffle=shuffle)
        for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib")
        for shuffle in (0, 1, 2)
    ]
    others = [numcodecs.Zstd(3), numcodecs.GZip(1), numcodecs.Zlib(1), numcodecs.LZ4()]
    return [(), (), *others, *others, numcodecs.BZ2(1), numcodecs.LZMA(), *blosc]


def _filters_v2(dtype: np.dtype[Any]) -> list[Any]:
    spelled = dtype.str
    found: list[Any] = [(numcodecs.Shuffle(dtype.itemsize),), (numcodecs.CRC32(),)]
    if dtype.kind in "iu":
        found += [
            (numcodecs.Delta(spelled),),
            (numcodecs.AsType("<i8", spelled),),
            (numcodecs.Delta(spelled), numcodecs.Shuffle(dtype.itemsize)),
        ]
    if dtype.kind == "f" and dtype.itemsize > 2:
        found += [
            (numcodecs.FixedScaleOffset(offset=10, scale=100, dtype=spelled, astype="<f4"),),
            (numcodecs.Quantize(digits=2, dtype=spelled),),
        ]
    if dtype.kind == "b":
        found.append((numcodecs.PackBits(),))
    return found


def layout_v3(draw: Draw, values: np.ndarray, chunks: tuple[int, ...]) -> dict[str, Any]:
    compressors = draw(st.sampled_from(_compressors_v3()))
    filters = draw(st.sampled_from([(), (), *_filters_v3(values)]))
    if draw(st.integers(0, 3)) == 0 and values.ndim:
        # First, because what numcodecs' filters hand on is flat.
        filters = (v3.TransposeCodec(order=draw(st.permutations(range(values.ndim)))), *filters)
    encoding = draw(
        st.sampled_from(
            (
                None,
                {"name": "default", "separator": "."},
                {"name": "default", "separator": "/"},
                {"name": "v2", "separator": "."},
            )
        )
    )
    layout = {
        "chunks": chunks,
        "compressors": compressors,
        "filters": filters,
        "chunk_key_encoding": encoding,
    }
    if values.ndim and values.size and rarely(draw, 3):
        shards = tuple(chunk * draw(st.integers(1, 3)) for chunk in chunks)
        layout |= _sharded(draw, values, chunks, shards, layout)
    return layout


def _sharded(
    draw: Draw,
    values: np.ndarray,
    chunks: tuple[int, ...],
    shards: tuple[int, ...],
    layout: dict[str, Any],
) -> dict[str, Any]:
    """Shards with the index at the end, or (written as a codec) at the start."""
    if values.dtype.kind == "O" or not rarely(draw, 2):
        return {"shards": shards}
    order = "big" if values.dtype.byteorder == ">" else "little"
    checked = (v3.BytesCodec(), v3.Crc32cCodec())
    inner = (*layout["filters"], v3.BytesCodec(endian=order), *layout["compressors"])
    codec = v3.ShardingCodec(
        chunk_shape=chunks,
        codecs=inner,
        index_codecs=checked if rarely(draw, 2) else checked[:1],
        index_location="start",
    )
    return {"chunks": shards, "serializer": codec, "filters": (), "compressors": ()}


def _compressors_v3() -> list[Any]:
    blosc = [
        (v3.BloscCodec(cname=cname, clevel=3, shuffle=shuffle, typesize=4),)
        for cname in ("lz4", "lz4hc", "blosclz", "zstd", "zlib")
        for shuffle in ("noshuffle", "shuffle", "bitshuffle")
    ]
    others = [
        (v3.ZstdCodec(level=3),),
        (v3.ZstdCodec(level=1, checksum=True),),
        (v3.GzipCodec(level=1),),
        (v3.Crc32cCodec(),),
        (v3.ZstdCodec(), v3.Crc32cCodec()),
    ]
    named = [(v3_numcodecs.LZ4(),), (v3_numcodecs.Zlib(level=1),), (v3_numcodecs.BZ2(level=1),)]
    return [(), (), *others, *others, *named, *blosc]


def _filters_v3(values: np.ndarray) -> list[Any]:
    spelled = values.dtype.newbyteorder("=").str
    if values.dtype.kind in "iu":
        return [(v3_numcodecs.Delta(dtype=spelled),)]
    if values.dtype.kind == "f" and values.dtype.itemsize > 2:
        codec = v3_numcodecs.FixedScaleOffset(offset=10, scale=100, dtype=spelled, astype="<f4")
        return [(codec,)]
    return []
