"""Reference documents that were compressed: by name, by option, by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import zstandard

from loadtests.attack.references import SECRET, document, web

from .conftest import Serve, check, command


def zipped(data: bytes) -> bytes:
    """`data` as the one file of a zip archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("refs.json", data)
    return file.getvalue()


def in_two(compress: Callable[[bytes], bytes], padding: int) -> Callable[[bytes], bytes]:
    """`data` in two members and an empty one, and zeros after them, as archives and tapes leave."""

    def compressed(data: bytes) -> bytes:
        half = len(data) // 2
        parts = (data[:half], data[half:], b"")
        return b"".join(map(compress, parts)) + bytes(padding)

    return compressed


def streamed_zstd(data: bytes) -> bytes:
    """`data` in two frames whose sizes are not told."""
    half = len(data) // 2
    frames = [zstandard.ZstdCompressor(write_content_size=False).compress(part)
              for part in (data[:half], data[half:])]  # fmt: skip
    return b"".join(frames)


COMPRESSIONS: Mapping[str, tuple[str, Callable[[bytes], bytes]]] = {
    "zstd": ("zst", zstandard.ZstdCompressor().compress),
    "zstd-stream": ("zst", streamed_zstd),
    "gzip": ("gz", gzip.compress),
    "gzip-members": ("gz", in_two(gzip.compress, 513)),
    "bz2": ("bz2", bz2.compress),
    "bz2-members": ("bz2", in_two(bz2.compress, 513)),
    "xz-members": ("xz", in_two(lzma.compress, 512)),
    "xz": ("xz", lzma.compress),
    "lzma": ("lzma", lambda data: lzma.compress(data, lzma.FORMAT_ALONE)),
    "zip": ("zip", zipped),
}


def entry(fo: str, **target_options: str) -> Mapping[str, Any]:
    options: dict[str, Any] = {"fo": fo}
    if target_options:
        options["target_options"] = target_options
    return {"url": "reference://", "storage_options": options}


def test_each_compression_is_read(serve: Serve, tmp_path: Path) -> None:
    """By its name, without a name by its first bytes, and by fsspec's word for it; from the web."""
    (tmp_path / "data").write_bytes(SECRET)
    text = json.dumps(document(f"{tmp_path}/data")).encode()
    entries = {}
    for kind, (ending, compress) in COMPRESSIONS.items():
        path = tmp_path / f"{kind}.json.{ending}"
        path.write_bytes(compress(text))
        word = kind.partition("-")[0]
        entries[f"{kind}-named"] = entry(str(path))
        entries[f"{kind}-told"] = entry(str(path), compression=word)
        entries[f"{kind}-infer"] = entry(str(path), compression="infer")
        if kind != "lzma":  # whose first bytes say nothing
            nameless = tmp_path / kind
            nameless.write_bytes(compress(text))
            entries[f"{kind}-nameless"] = entry(str(nameless))
    (tmp_path / "plain.json.gz").write_bytes(text)
    entries["plain"] = entry(str(tmp_path / "plain.json.gz"))
    with web() as server:
        data = f"{server.address}/data"
        server.values = {"/data": SECRET}
        server.values["/r.json.zst"] = zstandard.compress(json.dumps(document(data)).encode())
        entries["web"] = entry(f"{server.address}/r.json.zst", compression="zstd")
        service = serve(entries)
        for name in entries:
            answer = service.get(f"/datasets/{name}/isel")
            assert answer.status_code == 200, (name, answer.text, service.log.read_text())
            assert bytes(answer.json()["data_vars"]["v"]["data"]) == SECRET, name


def test_a_bomb_is_no_more_than_its_limit(serve: Serve, tmp_path: Path) -> None:
    """A small document that becomes a large one is refused in little memory, with the setting."""
    entries = {}
    for kind in ("zstd", "zstd-stream", "gzip", "bz2", "xz", "zip"):
        ending, compress = COMPRESSIONS[kind]
        path = tmp_path / f"bomb.{kind}.{ending}"
        path.write_bytes(compress(b'{"version": 1, "refs": {"a": "' + b" " * 60_000_000))
        entries[kind] = entry(str(path))
    service = serve(entries, SLUICE_REFERENCE_BYTES="1000000")
    service.get("/healthz")
    before = peak(service.pid)
    for kind in entries:
        answer = service.get(f"/datasets/{kind}")
        assert answer.json()["type"] == "urn:sluice:problem:store-metadata", (kind, answer.text)
    assert service.log.read_text().count("SLUICE_REFERENCE_BYTES") == len(entries)
    assert peak(service.pid) - before < 150 * 2**20  # of which libraries are a part


def peak(pid: int) -> int:
    """The most resident bytes that the process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def test_broken_and_unknown_compressions_are_said(tmp_path: Path) -> None:
    """What does not decompress is said in words; an unknown word is refused with the known ones."""
    whole = gzip.compress(json.dumps(document("x")).encode())
    (tmp_path / "cut.json.gz").write_bytes(whole[:-20])
    (tmp_path / "lz4.json").write_bytes(b"\x04\x22\x4d\x18" + bytes(20))
    (tmp_path / "plain.json").write_text("{}")
    found = check(
        tmp_path,
        {
            "cut": entry(str(tmp_path / "cut.json.gz")),
            "told": entry(str(tmp_path / "plain.json"), compression="zstd"),
            "lz4": entry(str(tmp_path / "lz4.json")),
        },
    )
    texts = {one["dataset"]: one["text"] for one in found}
    assert "cannot be decompressed as gzip" in texts["cut"]
    assert "cannot be decompressed as zstd" in texts["told"]
    assert "lz4" in texts["lz4"]
    (tmp_path / "wrong.yaml").write_text(
        "datasets: {a: {url: 'reference://', storage_options: "
        "{fo: r.json, target_options: {compression: rar}}}}"
    )
    done = command("check", "--catalog", tmp_path / "wrong.yaml")
    assert done.returncode == 2
    assert "zstd" in done.stderr
