"""Stores that are broken in as many ways as we know, and how each is written."""

from __future__ import annotations

import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zstandard

Json = dict[str, Any]
Entry = Mapping[str, Any]


def sample() -> xr.Dataset:
    """Two variables on three axes."""
    time = np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D")
    coords = {"time": time, "lat": [10.0, 20.0, 30.0], "lon": [0.0, 1.0]}
    values = np.arange(24, dtype="f4").reshape(4, 3, 2)
    dims = ("time", "lat", "lon")
    return xr.Dataset({"t": (dims, values), "u": (dims, values + 1)}, coords)


def written(
    path: Path, version: int, *, consolidated: bool = True, group: str | None = None
) -> Path:
    """The sample as a store of this format at `path`."""
    for name, content in _files(version, consolidated, group).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


@cache
def _files(version: int, consolidated: bool, group: str | None) -> dict[Path, bytes]:
    """What is in such a store: hundreds of them are wanted, and writing one takes a moment."""
    encoding = {name: {"chunks": (2, 3, 2)} for name in ("t", "u")}
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        # zarr-python warns that the v3 specification does not have consolidated metadata.
        warnings.simplefilter("ignore")
        sample().to_zarr(
            folder, zarr_format=version, consolidated=consolidated, encoding=encoding, group=group
        )
        paths = [path for path in Path(folder).rglob("*") if path.is_file()]
        return {path.relative_to(folder): path.read_bytes() for path in paths}


def _compressed(compressor: Json | None, array: Json) -> None:
    array.update(compressor=compressor)


def edited(path: Path, edit: Callable[[Json], Any]) -> None:
    """A JSON document changed in place; a list that `edit` returns takes its place."""
    document = json.loads(path.read_text())
    changed = edit(document)
    path.write_text(json.dumps(changed if isinstance(changed, list) else document))


def broken_v2(folder: Path) -> Iterator[tuple[str, Path]]:
    """v2 stores without consolidated metadata, each with something else that is wrong."""
    array: dict[str, Callable[[Json], Any]] = {
        "shape-text": lambda d: d.update(shape="no"),
        "shape-none": lambda d: d.update(shape=None),
        "shape-negative": lambda d: d.update(shape=[-1, 3, 2]),
        "shape-short": lambda d: d.update(shape=[4, 3]),
        "shape-float": lambda d: d.update(shape=[4.5, 3, 2]),
        "no-shape": lambda d: d.pop("shape"),
        "no-chunks": lambda d: d.pop("chunks"),
        "chunks-zero": lambda d: d.update(chunks=[0, 3, 2]),
        "chunks-short": lambda d: d.update(chunks=[2]),
        "no-dtype": lambda d: d.pop("dtype"),
        "dtype-unknown": lambda d: d.update(dtype="<q9"),
        "dtype-number": lambda d: d.update(dtype=4),
        "dtype-none": lambda d: d.update(dtype=None),
        "codec-unknown": lambda d: d.update(compressor={"id": "squeeze"}),
        "codec-no-id": lambda d: d.update(compressor={"level": 1}),
        "codec-text": lambda d: d.update(compressor="zstd"),
        "codec-option": lambda d: d.update(compressor={"id": "zlib", "speed": 3}),
        "codec-missing": lambda d: d.update(filters=[{"id": "pcodec"}]),
        "filter-number": lambda d: d.update(filters=3),
        "fill-text": lambda d: d.update(fill_value="blue"),
        "fill-list": lambda d: d.update(fill_value=[1]),
        "order": lambda d: d.update(order="Z"),
        "format": lambda d: d.update(zarr_format=7),
        "list": lambda d: [d],
    }
    for name, edit in array.items():
        path = written(folder / f"v2-{name}", 2, consolidated=False)
        edited(path / "t" / ".zarray", edit)
        yield f"v2-{name}", path
    attributes: dict[str, Callable[[Json], Any]] = {
        "dims-short": lambda d: d.update(_ARRAY_DIMENSIONS=["time"]),
        "dims-number": lambda d: d.update(_ARRAY_DIMENSIONS=3),
        "dims-none": lambda d: d.update(_ARRAY_DIMENSIONS=None),
        "dims-other": lambda d: d.update(_ARRAY_DIMENSIONS=["a", "b", "time"]),
        "no-dims": lambda d: d.pop("_ARRAY_DIMENSIONS"),
        "scale-text": lambda d: d.update(scale_factor="0.5"),
        "scale-list": lambda d: d.update(scale_factor=[1, 2]),
        "units-bad": lambda d: d.update(units="months since 2020-01-01"),
        "units-run": lambda d: d.update(units="days since beginning of run"),
        "units-number": lambda d: d.update(units=5),
        "calendar": lambda d: d.update(units="days since 2020-01-01", calendar="mayan"),
        "missing-text": lambda d: d.update(missing_value="none"),
        "fill-object": lambda d: d.update(_FillValue={"a": 1}),
        "attrs-list": lambda d: [d],
    }
    for name, edit in attributes.items():
        path = written(folder / f"v2-{name}", 2, consolidated=False)
        edited(path / "t" / ".zattrs", edit)
        yield f"v2-{name}", path
    for name in ("units-bad", "calendar"):
        path = written(folder / f"v2-time-{name}", 2, consolidated=False)
        edited(path / "time" / ".zattrs", attributes[name])
        yield f"v2-time-{name}", path


def broken_v3(folder: Path) -> Iterator[tuple[str, Path]]:
    """v3 stores, each with something else that is wrong with an array."""

    def codec(document: Json, change: Json) -> None:
        document["codecs"] = [{**document["codecs"][0], **change}, *document["codecs"][1:]]

    array: dict[str, Callable[[Json], Any]] = {
        "shape-text": lambda d: d.update(shape="no"),
        "no-codecs": lambda d: d.pop("codecs"),
        "codecs-empty": lambda d: d.update(codecs=[]),
        "codec-unknown": lambda d: d.update(codecs=[{"name": "bytes"}, {"name": "squeeze"}]),
        "codec-number": lambda d: d.update(codecs=[3]),
        "codec-option": lambda d: codec(d, {"configuration": {"endian": "middle"}}),
        "type-unknown": lambda d: d.update(data_type="bfloat16"),
        "type-object": lambda d: d.update(data_type={"name": "int4", "configuration": {}}),
        "type-none": lambda d: d.update(data_type=None),
        "grid-unknown": lambda d: d.update(chunk_grid={"name": "hexagons"}),
        "grid-none": lambda d: d.update(chunk_grid=None),
        "keys-unknown": lambda d: d.update(chunk_key_encoding={"name": "roman"}),
        "fill-none": lambda d: d.update(fill_value=None),
        "no-fill": lambda d: d.pop("fill_value"),
        "node": lambda d: d.update(node_type="tree"),
        "format": lambda d: d.update(zarr_format=9),
        "names-none": lambda d: d.update(dimension_names=None),
        "names-short": lambda d: d.update(dimension_names=["time"]),
        "names-number": lambda d: d.update(dimension_names=[1, 2, 3]),
        "transformers": lambda d: d.update(storage_transformers=[{"name": "x"}]),
        "must-understand": lambda d: d.update(magic={"must_understand": True}),
        "attributes-list": lambda d: d.update(attributes=[1]),
        "list": lambda d: [d],
    }
    for name, edit in array.items():
        path = written(folder / f"v3-{name}", 3, consolidated=False)
        edited(path / "t" / "zarr.json", edit)
        yield f"v3-{name}", path


def broken_documents(folder: Path) -> Iterator[tuple[str, Path]]:
    """Stores whose documents are torn, empty, binary, or something else."""
    texts = {"torn": b'{"zarr_format": 2, "met', "empty": b"", "binary": b"\xff\xfe\x00\x01",
             "nested": b"[" * 100_000, "null": b"null", "number": b"3", "html": b"<html></html>",
             "hollow": b"{}", "metadata-list": b'{"metadata": [], "zarr_consolidated_format": 1}',
             "metadata-wrong": b'{"metadata": {".zgroup": 3, "t/.zarray": null}}'}  # fmt: skip
    for name, text in texts.items():
        path = written(folder / f"zmetadata-{name}", 2)
        (path / ".zmetadata").write_bytes(text)
        yield f"zmetadata-{name}", path
        path = written(folder / f"zarr-json-{name}", 3)
        (path / "zarr.json").write_bytes(text)
        yield f"zarr-json-{name}", path
        path = written(folder / f"zarray-{name}", 2, consolidated=False)
        (path / "t" / ".zarray").write_bytes(text)
        yield f"zarray-{name}", path
    for name, text in {
        "latin-1": b'{"_ARRAY_DIMENSIONS": ["time", "lat", "lon"], "a": "\xe9"}',
        "digits": b'{"_ARRAY_DIMENSIONS": ["time", "lat", "lon"], "a": ' + b"9" * 5000 + b"}",
    }.items():
        path = written(folder / f"zattrs-{name}", 2, consolidated=False)
        (path / "t" / ".zattrs").write_bytes(text)
        yield f"zattrs-{name}", path
    wrong: dict[str, Callable[[Json], Any]] = {
        "members-list": lambda d: d.update(consolidated_metadata={"metadata": [1]}),
        "members-number": lambda d: d.update(consolidated_metadata={"metadata": {"t": 3}}),
        "attributes-number": lambda d: d.update(attributes=3),
    }
    for name, edit in wrong.items():
        path = written(folder / f"v3-root-{name}", 3)
        edited(path / "zarr.json", edit)
        yield f"v3-root-{name}", path


def broken_chunks(folder: Path) -> Iterator[tuple[str, Path]]:
    """Stores whose chunks are torn, of another size, absent, or somewhere else."""
    for version, chunk in ((2, "t/0.0.0"), (3, "t/c/0/0/0")):
        for name, data in {
            "torn": b"\x28\xb5\x2f\xfd",
            "noise": b"noise" * 9,
            "odd": b"7 bytes",
            "empty": b"",
        }.items():
            path = written(folder / f"chunk-{version}-{name}", version)
            (path / chunk).write_bytes(data)
            yield f"chunk-{version}-{name}", path
        path = written(folder / f"chunks-folder-{version}", version)
        (path / chunk).unlink()
        (path / chunk).mkdir()
        yield f"chunks-folder-{version}", path
    for codec in ("zlib", "gzip", "lzma", "bz2", "lz4", None):
        for name, data in {"noise": b"noise" * 9, "odd": b"7 bytes"}.items():
            path = written(folder / f"chunk-{codec}-{name}", 2, consolidated=False)
            compressor = {"id": codec} if codec else None
            edited(path / "t" / ".zarray", partial(_compressed, compressor))
            (path / "t" / "0.0.0").write_bytes(data)
            yield f"chunk-{codec}-{name}", path
    path = written(folder / "coordinate-torn", 2)
    (path / "lat" / "0").write_bytes(b"x")
    yield "coordinate-torn", path


def odd_addresses(folder: Path) -> Iterator[tuple[str, Path]]:
    """What lies at the address is no store."""
    empty = folder / "empty-folder"
    empty.mkdir()
    yield "empty-folder", empty
    yield "nowhere", folder / "nowhere.zarr"
    group = folder / "group-only"
    zarr.create_group(group, zarr_format=3)
    yield "group-only", group
    array = folder / "array-only"
    zarr.create_array(array, shape=(3,), dtype="i4", zarr_format=3)
    yield "array-only", array
    array = folder / "array-only-2"
    zarr.create_array(array, shape=(3,), dtype="i4", zarr_format=2)
    yield "array-only-2", array
    deep = written(folder / "deep", 3, group="a/b")
    yield "deep", deep
    for name, data in FILES.items():
        path = folder / name
        path.write_bytes(data)
        yield f"file-{name.replace(' ', '-')}", path
    with zipfile.ZipFile(folder / "store.zip", "w") as archive:
        for path in written(folder / "zipped", 2).rglob("*"):
            archive.write(path, path.relative_to(folder / "zipped"))
    yield "file-store.zip", folder / "store.zip"


# Files that people take for stores, by what they begin with.
FILES: Mapping[str, bytes] = {
    "classic.nc": b"CDF\x01" + bytes(60),
    "four.nc": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "image.tif": b"II*\x00" + bytes(60),
    "big.tif": b"MM\x00+" + bytes(60),
    "weather.grib2": b"GRIB" + bytes(60),
    "field.grib": b"\n\nGRIB" + bytes(60),
    "refs.json": b'{"version": 1, "refs": {}}',
    "refs.json.zst": b"\x28\xb5\x2f\xfd" + bytes(20),
    "plain.json": b'{"a": 1}',
    "table.parquet": b"PAR1" + bytes(20) + b"PAR1",
    "text.csv": b"a,b\n1,2\n",
    "nothing": b"",
    "store.tar.gz": b"\x1f\x8b" + bytes(20),
    "image.fits": b"SIMPLE  =                    T" + bytes(60),
    "old.hdf": b"\x0e\x03\x13\x01" + bytes(60),
}


def broken_references(folder: Path) -> Iterator[tuple[str, Entry]]:
    """Reference entries that do not work out, each in its own way."""
    documents: dict[str, Any] = {
        "empty": {"version": 1, "refs": {}},
        "version": {"version": 9, "refs": {}},
        "refs-list": {"version": 1, "refs": []},
        "number": {"version": 1, "refs": {"t/0": 3}},
        "null": {"version": 1, "refs": {"t/0": None}},
        "short": {"version": 1, "refs": {"t/0": ["a", 1]}},
        "negative": {"version": 1, "refs": {"t/0": ["a", -1, 3]}},
        "gen": {"version": 1, "refs": {}, "gen": [{}]},
        "template": {"version": 1, "templates": {"u": 3}, "refs": {}},
        "base64": {"version": 1, "refs": {".zgroup": "base64:!"}},
        "protocol": {"version": 1, "refs": {"t/0": ["gopher://x", 0, 1]}},
        "list": [1],
    }
    for name, document in documents.items():
        path = folder / f"refs-{name}.json"
        path.write_text(json.dumps(document))
        yield f"refs-{name}", {"url": "reference://", "storage_options": {"fo": str(path)}}
    (folder / "refs-torn.json").write_text('{"version": 1, "re')
    whole = zstandard.compress(b'{"version": 1, "refs": {}}' * 100)
    (folder / "refs-cut.json.zst").write_bytes(whole[:-5])
    (folder / "refs-latin.json").write_bytes(b'{"version": 1, "refs": {"a": "\xe9"}}')
    for name in ("torn", "nowhere", "latin", "cut"):
        fo = str(folder / f"refs-{name}.json{'.zst' if name == 'cut' else ''}")
        yield f"refs-{name}", {"url": "reference://", "storage_options": {"fo": fo}}
    good = zarr_references(folder)
    for name, target in {
        "secret": "/etc/passwd",
        "gone": f"{folder}/none",
        "short": f"{folder}/classic.nc",
        "inner": "http://127.0.0.1:9/x",
        "unknown-host": "https://no-such-host.invalid/x",
    }.items():
        path = folder / f"target-{name}.json"
        refs = {**good, "t/0.0.0": [target, 0, 48]}
        path.write_text(json.dumps({"version": 1, "refs": refs}))
        yield f"target-{name}", {"url": "reference://", "storage_options": {"fo": str(path)}}
    table = folder / "torn.parq"
    table.mkdir()
    (table / ".zmetadata").write_text("{}")
    for name, options in {"torn": {"fo": str(table)}, "gone": {"fo": f"{folder}/no.parq"}}.items():
        options = {**options, "remote_protocol": "file"}
        yield f"table-{name}", {"url": "reference://", "storage_options": options}


def zarr_references(folder: Path) -> Json:
    """The sample as references with all values in the document."""
    store = written(folder / "referred", 2, consolidated=False)
    refs: Json = {}
    for path in store.rglob("*"):
        if path.is_file():
            key = str(path.relative_to(store))
            is_text = path.name.startswith(".z")
            refs[key] = path.read_text() if is_text else [str(path), 0, path.stat().st_size]
    return refs


def wrong_entries(folder: Path) -> Iterator[tuple[str, Entry]]:
    """Entries that do not fit their sound store."""
    sound = str(written(folder / "sound", 3))
    sound_2 = str(written(folder / "sound-2", 2))
    yield "group-absent", {"url": sound, "group": "nothing/there"}
    yield "group-array", {"url": sound, "group": "t"}
    yield "group-climbs", {"url": sound, "group": "../sound"}
    yield "format-other", {"url": sound, "zarr_format": 2}
    yield "format-other-2", {"url": sound_2, "zarr_format": 3}
    plain = str(written(folder / "unconsolidated", 3, consolidated=False))
    yield "consolidated-absent", {"url": plain, "consolidated": True}
    yield "drop-unknown", {"url": sound, "drop_variables": ["nothing"]}
    yield "drop-axis", {"url": sound, "drop_variables": ["lat"]}


def behind_servers(web: str) -> Iterator[tuple[str, Entry]]:
    """Stores behind servers that refuse, fail, talk nonsense, or are not there."""
    keys = {"key": "k", "secret": "hush-hush"}
    s3 = {"endpoint_url": web, **keys}
    for engine in ("s3fs", "obstore"):
        for bucket in ("denied", "absent", "broken", "keyless", "redirected"):
            yield (
                f"{engine}-{bucket}",
                {"url": f"s3://{bucket}/x", "storage_options": s3, "engine": engine},
            )
        gone = {"endpoint_url": "http://127.0.0.1:9", **keys}
        yield f"{engine}-down", {"url": "s3://b/x", "storage_options": gone, "engine": engine}
        odd = {"endpoint_url": "http://no-such-host.invalid", **keys}
        yield f"{engine}-unknown", {"url": "s3://b/x", "storage_options": odd, "engine": engine}
    wrong = {**s3, "surprise": 1}
    yield "s3fs-option", {"url": "s3://denied/x", "storage_options": wrong}
    for status in (401, 403, 404, 410, 429, 500, 503):
        yield f"web-{status}", {"url": f"{web}/status-{status}/x.zarr"}
    yield "web-html", {"url": f"{web}/html/x.zarr"}
    yield "web-cut", {"url": f"{web}/cut/x.zarr"}
    yield "web-garbage", {"url": f"{web}/garbage/x.zarr"}
    yield "web-file", {"url": f"{web}/file/x.nc"}
    yield "web-down", {"url": "http://127.0.0.1:9/x.zarr"}
    yield "web-unknown", {"url": "http://no-such-host.invalid/x.zarr"}
    yield "web-tls", {"url": f"{web.replace('http:', 'https:')}/x.zarr"}
    yield "gs", {"url": "gs://bucket/x.zarr"}
    yield "az", {"url": "az://box/x.zarr"}
