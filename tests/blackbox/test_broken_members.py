"""References to metadata documents that lead nowhere cost their variable, and no other one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Serve, Service, check

ZARRAY = {
    "zarr_format": 2, "shape": [3], "chunks": [3], "dtype": "<i4", "compressor": None,
    "filters": None, "fill_value": None, "order": "C",
}  # fmt: skip
ZATTRS = {"_ARRAY_DIMENSIONS": ["x"]}
# What may stand under a key of a metadata document, which is none.
NOWHERE: dict[str, Any] = {
    "null": None,
    "number": 5,
    "empty": [],
    "absent": ["{folder}/nothing", 0, 10],
    "whole-absent": ["{folder}/nothing"],
    "folder": ["{folder}", 0, 10],
    "short": ["{folder}/few", 0, 1000],
    "past": ["{folder}/few", 1000, 10],
    "forbidden": ["/etc/hostname", 0, 5],
    "elsewhere": ["ftp://example.org/data", 0, 5],
    "base64": "base64:!",
    "text": "no document",
    "list": "[1]",
}


def refs(folder: Path, broken: dict[str, Any]) -> dict[str, Any]:
    chunk = np.arange(3, dtype="<i4").tobytes().decode("latin-1")
    (folder / "few").write_bytes(b"{}")
    filled = json.loads(json.dumps(broken).replace("{folder}", str(folder)))
    return {
        ".zgroup": '{"zarr_format": 2}',
        "sound/.zarray": json.dumps(ZARRAY),
        "sound/.zattrs": json.dumps(ZATTRS),
        "sound/0": chunk,
        "bad/.zarray": json.dumps(ZARRAY),
        "bad/.zattrs": json.dumps(ZATTRS),
        **filled,
    }


def entry(folder: Path, name: str, broken: dict[str, Any]) -> dict[str, Any]:
    path = folder / f"{name}.json"
    path.write_text(json.dumps({"version": 1, "refs": refs(folder, broken)}))
    return {"url": "reference://", "storage_options": {"fo": str(path)}}


@pytest.fixture(scope="module")
def service(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("references")
    entries = {}
    for name, reference in NOWHERE.items():
        for document in (".zarray", ".zattrs"):
            broken = {f"bad/{document}": reference}
            entries[f"{name}{document}"] = entry(folder, f"{name}{document}", broken)
    entries["own"] = entry(folder, "own", {".zgroup": NOWHERE["absent"]})
    return serve(entries)


@pytest.mark.parametrize("document", [".zarray", ".zattrs"])
@pytest.mark.parametrize("name", NOWHERE)
def test_the_variable_is_left_out_with_its_reason(
    service: Service, name: str, document: str
) -> None:
    answer = service.get(f"/datasets/{name}{document}")
    assert answer.status_code == 200, answer.text
    described = answer.json()
    assert set(described["data_vars"]) == {"sound"}
    assert described["unusable"]["bad"]
    answer = service.get(f"/datasets/{name}{document}/isel?variables=sound")
    assert answer.json()["data_vars"]["sound"]["data"] == [0, 1, 2]
    assert service.get(f"/datasets/{name}{document}/isel?variables=bad").status_code == 422


def test_the_groups_own_document_is_needed(service: Service) -> None:
    assert service.get("/datasets/own").status_code == 502


def test_check_names_the_variable(tmp_path: Path) -> None:
    broken = {"bad/.zarray": NOWHERE["absent"]}
    found = check(tmp_path, {"it": entry(tmp_path, "it", broken)})
    errors = [finding for finding in found if finding["severity"] == "error"]
    assert [finding["where"] for finding in errors] == ["bad"]
    assert "bad/.zarray" in errors[0]["text"]


def test_long_documents_are_read(serve: Serve, tmp_path: Path) -> None:
    """More than is parsed where it is read, in the root's document and in a member's."""
    long = {"history": "h" * 300_000, "_ARRAY_DIMENSIONS": ["x"]}
    single = {"bad/.zattrs": json.dumps(long), "bad/0": "\0" * 12}
    metadata = {
        ".zgroup": {"zarr_format": 2},
        ".zattrs": {},
        "bad/.zarray": ZARRAY,
        "bad/.zattrs": long,
    }
    gathered = {"zarr_consolidated_format": 1, "metadata": metadata}
    entries = {
        "single": entry(tmp_path, "single", single),
        "gathered": entry(tmp_path, "gathered", {".zmetadata": json.dumps(gathered), **single}),
    }
    service = serve(entries)
    for name in entries:
        described = service.get(f"/datasets/{name}").json()
        assert described["data_vars"]["bad"]["attrs"]["history"] == "h" * 300_000
