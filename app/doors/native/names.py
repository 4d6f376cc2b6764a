"""What a parameter's name can mean: an option, or a dimension by label or by position.

And what was probably meant where it means nothing, and how to write it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from sluice.axes.axis import Axis
from sluice.axes.roles import Role
from sluice.errors import QueryError, SelectionError, excerpt
from sluice.labels import spell_name
from sluice.selection import Along, Labels

from ...errors import UnusableVariable

By: TypeAlias = Literal["label", "position"]

_BRACKETS = re.compile(r"(sel|isel)\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Names:
    """What a name can mean for one dataset on one path, as a parameter or in the value of one.

    `options` are the parameters that are no dimensions, and `formats` those of answers, each with
    what else it is called.
    """

    dims: Mapping[str, int]
    coords: Mapping[str, tuple[str, ...]]
    by: By
    options: Mapping[str, tuple[str, ...]]
    formats: Mapping[str, Sequence[str]]
    variables: Collection[str] | None = None
    unusable: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, Role] = field(default_factory=dict)

    def check_usable(self, parameter: str, name: str) -> None:
        """Raise `UnusableVariable` if `parameter` names what the store has and nobody can read."""
        reason = self.unusable.get(name)
        if reason is not None:
            raise UnusableVariable.named(parameter, name, reason)

    def target(self, parameter: str) -> tuple[str, By]:
        """The name that `parameter` speaks of, and whether by label or by position.

        Brackets around a dimension's name win, so that ``sel[NAME]`` reaches every one of them;
        a dimension that is itself called ``sel[x]`` answers to that where no ``x`` does.
        """
        found = _BRACKETS.fullmatch(parameter)
        if found is None or (parameter in self.dims and found[2] not in self.dims):
            return parameter, self.by
        return found[2], "label" if found[1] == "sel" else "position"

    def meaning(self, parameter: str) -> tuple[str, bool]:
        """The dimension that `parameter` asks for, and whether its values are labels.

        A dimension without a coordinate has positions alone. Raises `QueryError` for a name that
        means nothing, `UnusableVariable` for labels that cannot be read, `SelectionError` for one
        that is known, or in brackets, but no dimension to select along.
        """
        name, by = self.target(parameter)
        if by == "label" or name not in self.dims:
            self.check_usable(parameter, name)
        dims = self.coords.get(name)
        if name in self.dims and (dims is None or dims == (name,) or by == "position"):
            return name, by == "label" and dims is not None
        if dims is not None:
            raise self._no_index(parameter, name, dims)
        if name != parameter:
            there = ", ".join(map(spell_name, self.dims))
            middle, facts = did_you_mean(name, list(self.dims), self.roles)
            raise SelectionError(
                f"there is no dimension {excerpt(name)}{middle or ';'} there are {there}",
                parameter=parameter,
                known=list(self.dims),
                **facts,
            )
        known = [*self.options, *map(self._written, self.dims)]
        others = {other: one for one, called in self.options.items() for other in called}
        middle, facts = did_you_mean(name, known, self.roles, others)
        raise QueryError(
            f"unknown parameter {excerpt(name)}{middle or ';'} known are {', '.join(known)}",
            parameter=name,
            known=known,
            **facts,
        )

    def for_labels(self, dim: str) -> str:
        """The parameter that asks for labels along `dim` on this path."""
        written = self._written(dim)
        return written if self.by == "label" else f"sel[{dim}]"

    def _written(self, dim: str) -> str:
        """The parameter that asks for `dim` on this path."""
        if dim not in self.options and self.target(dim)[0] == dim:
            return dim
        return f"sel[{dim}]" if self.by == "label" else f"isel[{dim}]"

    def _no_index(self, parameter: str, name: str, dims: tuple[str, ...]) -> SelectionError:
        """The refusal of a coordinate that nothing can be selected along, with what works."""
        once = tuple(dict.fromkeys(dims))
        positions = [f"isel[{dim}]" for dim in once]
        labels = [f"sel[{dim}]" for dim in once if self.coords.get(dim) == (dim,)]
        return SelectionError(
            _not_an_index(name, dims, positions, labels),
            parameter=parameter,
            coordinate_dims=list(dims),
            instead=[*positions, *labels],
        )


def _not_an_index(name: str, dims: tuple[str, ...], positions: list[str], labels: list[str]) -> str:
    match len(dims):
        case 0:
            return f"{name} is a scalar coordinate: there is nothing to select along it"
        case 1:
            along = f"select along its dimension {spell_name(dims[0])}"
        case _:
            named = ", ".join(map(spell_name, dims))
            along = f"it has {len(dims)} dimensions ({named}); select along those"
    ways = f"by position ({', '.join(f'{word}=...' for word in positions)})"
    if labels:
        ways += f" or by label ({', '.join(f'{word}=...' for word in labels)})"
    return f"{name} is not an index coordinate; {along}, {ways}"


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
# The two ends of an interval, as others ask for them: what is left is the axis.
_STARTS: Final = ("start", "begin", "from", "min", "after", "since")
_ENDS: Final = ("end", "stop", "to", "max", "before", "until")


def likely_name(
    name: str,
    known: Collection[str],
    roles: Mapping[str, Role],
    others: Mapping[str, str] = MappingProxyType({}),
) -> str | None:
    """What somebody who wrote `name` meant: one of the `known` names, or ``NAME=a/b``.

    `roles` are those of the dataset's axes; `others` are names that the known ones have elsewhere.
    """
    plain = name.strip().lower()
    axes = {role: axis for axis, role in roles.items()}
    if plain in others:
        return others[plain]
    if plain in _ROLES and _ROLES[plain] in axes:
        return axes[_ROLES[plain]]
    words = plain.replace("-", "_").split("_")
    if len(words) == 2 and not {*words}.isdisjoint((*_STARTS, *_ENDS)):
        rest = next((word for word in words if word not in (*_STARTS, *_ENDS)), "")
        axis = axes.get(_ROLES[rest]) if rest in _ROLES else None
        return None if axis is None else f"{spell_name(axis)}=a/b"
    same = [one for one in known if one.lower() == plain]
    # One letter more or less than a name of two or three makes two thirds of it.
    cutoff = 0.75 if len(plain) > 3 else 0.65
    close = same or get_close_matches(name[:80], known, n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(
    name: str,
    known: Collection[str],
    roles: Mapping[str, Role],
    others: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, dict[str, str]]:
    """A sentence's middle and a fact that tell of `likely_name`; empty where there is none."""
    found = likely_name(name, known, roles, others)
    if found is None:
        return "", {}
    return f"; did you mean {found}?", {"did_you_mean": found}


def with_cure(
    error: SelectionError, axis: Axis | None, parameter: str, along: Along | None = None
) -> SelectionError:
    """The same refusal of a label, with the words that ask for what is there; itself if none do.

    They are for all that was asked `along` the axis.
    """
    if axis is None or not axis.has_order or "label" not in error.facts:
        return error
    nearest = error.facts.get("nearest", ())
    if len(nearest) > 1 or (nearest and axis.periodic):
        one = f"{parameter}=nearest::{error.facts['label']}"
        cure = "method=nearest" if isinstance(along, Labels) else one
        told = f"for the nearer of them write {cure}"
    elif not nearest and len(axis.keys) == 1:
        cure = f"tolerance={axis.name}:DISTANCE"
        told = f"say how far away it may be: {cure}"
    else:
        return error
    facts = {**error.facts, "cure": cure}
    return type(error)(f"{error.detail}; {told}", **facts)
