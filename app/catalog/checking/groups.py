"""Where the variables are, when the group of an entry holds none: in groups or stores below it."""

from __future__ import annotations

from typing import Final

from sluice.arrays.group_paths import groups_with_arrays
from sluice.errors import SluiceError
from sluice.store.documents import json_object
from sluice.store.source import ByteSource

_MOST_LISTED: Final = 200
_MOST_NAMED: Final = 20


async def variables_below(source: ByteSource, group: str | None) -> str | None:
    """The sentence that names the groups below `group` that hold arrays; None: there is none."""
    root = (group or "").strip("/")
    try:
        listed = await groups_with_arrays(
            source, zarr_format=None, consolidated=None, most=_MOST_LISTED, below=root
        )
    except SluiceError:
        return None
    found = [path for path in listed if path != root]
    if not found:
        return None
    named = ", ".join(found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    if len(found) == 1:
        return f"its group holds no variables, and {named} does: write group: {found[0]}."
    return (
        f"its group holds no variables; those that do are {named}{more}: write group: {found[0]}, "
        'or group: "*", which serves each of them.'
    )


async def stores_below(source: ByteSource) -> str | None:
    """The sentence that names the stores below a folder that is none itself."""
    try:
        found = await _stores(source)
    except SluiceError:
        return None
    if not found:
        return None
    named = ", ".join(found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"its url is a folder of stores ({named}{more}): name one of them in url."


async def _stores(source: ByteSource) -> list[str]:
    found = []
    for name in (await source.list_dir(""))[:_MOST_LISTED]:
        if not name.startswith(".") and await _is_group(source, name):
            found.append(name)
    return found


async def _is_group(source: ByteSource, path: str) -> bool:
    if await source.exists(f"{path}/.zgroup"):
        return True
    data = await source.get(f"{path}/zarr.json")
    return data is not None and json_object(data, path).get("node_type") == "group"
