"""What was probably meant, and how to write it: what a refusal ends with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final

from sluice.axes.axis import Axis
from sluice.axes.roles import Role
from sluice.errors import SelectionError
from sluice.labels import spell_name

from .option_table import OPTIONS

# What people call the axis of a role, in lower case.
_ROLES: Final[Mapping[str, Role]] = MappingProxyType(
    {
        "lon": "X",
        "long": "X",
        "longitude": "X",
        "x": "X",
        "lat": "Y",
        "latitude": "Y",
        "y": "Y",
        "z": "Z",
        "level": "Z",
        "depth": "Z",
        "height": "Z",
        "elevation": "Z",
        "t": "T",
        "time": "T",
        "date": "T",
        "datetime": "T",
    }
)
_OPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {other: name for name, option in OPTIONS.items() for other in option.others}
)
# The two ends of an interval, as others ask for them: what is left is the axis.
_STARTS: Final = ("start", "begin", "from", "min", "after", "since")
_ENDS: Final = ("end", "stop", "to", "max", "before", "until")


def likely(name: str, known: Collection[str], roles: Mapping[str, Role]) -> str | None:
    """What somebody who wrote `name` meant: one of the `known` names, or ``NAME=a/b``.

    `roles` are those of the dataset's axes.
    """
    plain = name.strip().lower()
    axes = {role: axis for axis, role in roles.items()}
    if plain in _OPTIONS:
        return _OPTIONS[plain]
    if plain in _ROLES and _ROLES[plain] in axes:
        return axes[_ROLES[plain]]
    words = plain.replace("-", "_").split("_")
    if len(words) == 2 and not {*words}.isdisjoint((*_STARTS, *_ENDS)):
        rest = next((word for word in words if word not in (*_STARTS, *_ENDS)), "")
        axis = axes.get(_ROLES[rest]) if rest in _ROLES else None
        return None if axis is None else f"{spell_name(axis)}=a/b"
    same = [one for one in known if one.lower() == plain]
    close = same or get_close_matches(name[:80], known, n=1, cutoff=0.75)
    return close[0] if close else None


def meant(
    name: str, known: Collection[str], roles: Mapping[str, Role]
) -> tuple[str, dict[str, str]]:
    """A sentence's middle and a fact that tell what `likely` found; empty where that is nothing."""
    found = likely(name, known, roles)
    if found is None:
        return "", {}
    return f"; did you mean {found}?", {"did_you_mean": found}


def cured(error: SelectionError, axis: Axis | None, parameter: str) -> SelectionError:
    """The same refusal of a label, with the words that ask for what is there; itself if none do."""
    if axis is None or not axis.has_order or "label" not in error.facts:
        return error
    nearest = error.facts.get("nearest", ())
    if len(nearest) > 1 or (nearest and axis.periodic):
        cure = f"{parameter}=nearest::{error.facts['label']}"
        told = f"for the nearer of them write {cure}"
    elif not nearest and len(axis.keys) == 1:
        cure = f"tolerance={axis.name}:DISTANCE"
        told = f"say how far away it may be: {cure}"
    else:
        return error
    facts: dict[str, Any] = {**error.facts, "cure": cure}
    return type(error)(f"{error.detail}; {told}", **facts)
