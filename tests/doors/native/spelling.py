"""`Query` -> request parameters: what the grammar is the inverse of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

from app.doors.native.grammar import Query
from sluice.selection import (
    Along,
    Interval,
    Label,
    Labels,
    Match,
    Position,
    Positions,
    PositionSlice,
)

# A word that needs no quotes in any place: it cannot complete a :: beside it either.
_PLAIN = re.compile(r'[^",/:](?:[^",/]*+(?<!:))?')
_PLAIN_LIST = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*+(?:,[A-Za-z0-9_+-][A-Za-z0-9_.+-]*+)*+")


def format_query(query: Query) -> tuple[tuple[str, str], ...]:
    """Decoded pairs that `parse` reads as an equal query, on either path.

    Equal queries give equal pairs and different ones different pairs, whatever was written:
    selections come first, by name and in brackets, and what is not asked for is left out. Lists
    are not empty, as those that `parse` makes.
    """
    selection = query.selection
    pairs = [_selected(name, selection.along[name]) for name in sorted(selection.along)]
    if selection.variables is not None:
        pairs.append(("variables", _listed(selection.variables)))
    if query.format is not None:
        pairs.append(("f", query.format))
    distances = [
        f"{name}:{wanted.match.tolerance}"
        for name, wanted in sorted(selection.along.items())
        if isinstance(wanted, Label | Labels)
        and wanted.match is not None
        and wanted.match.tolerance is not None
    ]
    if distances:
        pairs.append(("tolerance", _listed(distances)))
    if selection.pointwise:
        pairs.append(("pointwise", _listed(selection.pointwise)))
    if query.explain:
        pairs.append(("explain", "true"))
    return tuple(pairs)


def _selected(name: str, wanted: Along) -> tuple[str, str]:
    match wanted:
        case Label(value, match):
            return f"sel[{name}]", _prefix(match) + quote(str(value))
        case Labels(values, match):
            return f"sel[{name}]", _prefix(match) + _listed(list(map(str, values))) + _lone(values)
        case Interval(start, stop, step):
            ends = "/".join(".." if end is None else quote(str(end)) for end in (start, stop))
            return f"sel[{name}]", ends if step == 1 else f"{ends}/{step}"
        case Position(index):
            return f"isel[{name}]", str(index)
        case Positions(indexes):
            return f"isel[{name}]", ",".join(map(str, indexes)) + _lone(indexes)
        case PositionSlice(start, stop, step):
            parts = (start, stop) if step is None else (start, stop, step)
            return f"isel[{name}]", ":".join("" if part is None else str(part) for part in parts)
        case _:
            assert_never(wanted)


def _prefix(match: Match | None) -> str:
    return "" if match is None else f"{match.method}::"


def _listed(texts: Sequence[str]) -> str:
    listed = ",".join(texts)
    # Most words need no quotes, which is seen sooner in all of them at once.
    plain = _PLAIN_LIST.fullmatch(listed) and listed.count(",") == len(texts) - 1
    return listed if plain else ",".join(map(quote, texts))


def _lone(items: Sequence[object]) -> str:
    """The comma that makes a list of a single item, which keeps the dimension."""
    return "," if len(items) == 1 else ""


def quote(text: str) -> str:
    """The word that is read as `text` in any place, in quotes where it needs them."""
    if _PLAIN.fullmatch(text) and "::" not in text and text != "..":
        return text
    return '"' + text.replace('"', '""') + '"'
