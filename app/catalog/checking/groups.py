"""Where the variables are, when the group of an entry holds none: in groups or stores below it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Final

from sluice.arrays.group_metadata import open_group
from sluice.errors import SluiceError
from sluice.store.documents import json_object
from sluice.store.source import ByteSource

_DEEPEST: Final = 4
_MOST_LISTED: Final = 200
_MOST_NAMED: Final = 20


async def variables_below(source: ByteSource, group: str | None) -> str | None:
    """The sentence that names the groups below `group` that hold arrays; None: there is none."""
    root = (group or "").strip("/")
    found: list[str]
    try:
        found = sorted(await _gathered(source, root))
        if not found:
            found = sorted([path async for path in _groups_with_arrays(source, root)])
    except SluiceError:
        return None
    if not found:
        return None
    named = ", ".join(found[:_MOST_NAMED])
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    if len(found) == 1:
        return f"its group holds no variables, and {named} does: write group: {found[0]}."
    return (
        f"its group holds no variables; those that do are {named}{more}: write group: {found[0]}, "
        "and an entry for each other that is wanted."
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


async def _gathered(source: ByteSource, root: str) -> set[str]:
    """Groups below `root` with arrays in them, as the consolidated metadata of the store has it."""
    paths: list[str] = []
    if data := await source.get(".zmetadata"):
        members = json_object(data, "'.zmetadata'").get("metadata")
        names = members if isinstance(members, dict) else {}
        paths += [key.removesuffix("/.zarray") for key in names if key.endswith("/.zarray")]
    if data := await source.get("zarr.json"):
        document = json_object(data, "'zarr.json'").get("consolidated_metadata")
        members = document.get("metadata") if isinstance(document, dict) else None
        for path, member in members.items() if isinstance(members, dict) else ():
            if isinstance(member, dict) and member.get("node_type") == "array":
                paths.append(path)
    groups = {path.rpartition("/")[0] for path in paths}
    below = f"{root}/" if root else ""
    return {group for group in groups if group != root and group.startswith(below)}


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


async def _groups_with_arrays(source: ByteSource, root: str) -> AsyncIterator[str]:
    """Paths of groups below `root` with arrays in them, the shallow ones first."""
    level, listed = [root], 0
    for _ in range(_DEEPEST):
        deeper: list[str] = []
        for path in level:
            if listed >= _MOST_LISTED:
                return
            listed += 1
            for child in await _child_groups(source, path):
                deeper.append(child)
                if await _holds_arrays(source, child):
                    yield child
        level = deeper


async def _child_groups(source: ByteSource, path: str) -> list[str]:
    children = (_joined(path, name) for name in _folders(await source.list_dir(path)))
    return [child for child in children if await _is_group(source, child)]


def _folders(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith((".z", "zarr.json"))][:_MOST_LISTED]


async def _holds_arrays(source: ByteSource, group: str) -> bool:
    documents = await open_group(source, group=group, zarr_format=None, consolidated=None)
    return bool(documents.arrays)


def _joined(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name
