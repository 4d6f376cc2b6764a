"""Consolidated metadata beside the documents that it was made of: does it say the same?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from sluice.aliases import Document
from sluice.arrays.group_documents import GroupDocuments

from .findings import Finding, Severity

# Fields of which another value means other data, by how people call them.
_TELLING: Final = {
    "shape": "shape",
    "chunks": "chunks",
    "chunk_grid": "chunks",
    "dtype": "dtype",
    "data_type": "data type",
    "compressor": "compressor",
    "filters": "filters",
    "codecs": "codecs",
    "order": "order",
    "fill_value": "fill value",
    "dimension_separator": "separator of chunk keys",
    "chunk_key_encoding": "chunk keys",
    "dimension_names": "dimension names",
    "attributes": "attributes",
}
_MEND: Final = "Run zarr.consolidate_metadata on the store"
_LONGEST: Final = 60


def stale_findings(gathered: GroupDocuments, own: GroupDocuments) -> list[Finding]:
    """What the consolidated documents of a group say otherwise than its arrays' own."""
    findings = [
        Finding(Severity.WARNING, name, f"its consolidated metadata is stale: {differs}. {_MEND}.")
        for name, document in gathered.arrays.items()
        if name in own.arrays and (differs := "; ".join(_differences(document, own.arrays[name])))
    ]
    gone = sorted(gathered.arrays.keys() - own.arrays.keys())
    if gone:
        named = _list(gone)
        text = f"consolidated metadata names {named}, of which the store has no document. {_MEND}."
        findings.append(Finding(Severity.WARNING, "", text))
    new = sorted(own.arrays.keys() - gathered.arrays.keys())
    if new:
        text = (
            f"consolidated metadata lacks {_list(new)}, of which the store has documents, so no "
            f"request can ask for that. {_MEND}."
        )
        findings.append(Finding(Severity.WARNING, "", text))
    return findings


def _differences(gathered: Document, own: Document) -> Iterator[str]:
    for field, called in _TELLING.items():
        said, is_so = gathered.get(field), own.get(field)
        if field == "dimension_separator":
            said, is_so = said or ".", is_so or "."
        if (said or None) != (is_so or None) and _text(said) != _text(is_so):
            if field == "attributes":
                yield "it says other attributes than the array's own document"
            else:
                yield f"{called} {_shown(said)}, and the array's own document {_shown(is_so)}"


def _text(value: Any) -> str:
    # NaN is not equal to itself, its text is.
    return json.dumps(value, sort_keys=True)


def _shown(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _list(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
