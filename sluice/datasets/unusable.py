"""Variables that cannot be used: why each is left out, what to do about it, and which ones need it.

One odd array does not take its store down. What the store itself fails to give (refused, timed out)
is none of this, and raises.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import xarray as xr

from sluice.aliases import Named
from sluice.errors import SluiceError, excerpt
from sluice.labels import spell_name

# A reason names so many variables.
_MOST_NAMED: Final = 5
_LONGEST_REASON: Final = 400

# What xarray decodes by (CF conventions 8.1, 2.5.1 and 5): numbers, then texts.
_NUMERIC: Final = frozenset({"scale_factor", "add_offset"})
_DECODING: Final = frozenset(
    {*_NUMERIC, "_Unsigned", "units", "calendar", "coordinates", "bounds", "grid_mapping", "dtype"}
)
_NUMBERS: Final = (int, float)

_LEAVE_OUT: Final = "Write it again as the Zarr specification has it, or name it in drop_variables."


@dataclass(frozen=True, slots=True)
class Unusable:
    """The `reason` why a variable is left out, without a full stop, and `advice` on mending it.

    It may be `passing`: a writer that has not finished would explain it.
    """

    reason: str
    advice: str = _LEAVE_OUT
    passing: bool = False

    @classmethod
    def of(cls, name: str, error: Exception, attrs: Named) -> Self:
        """What `error` says, which was raised for the variable with these stored attributes."""
        match error:
            case SluiceError():
                return cls(_short(error.detail), str(error.facts.get("advice") or _LEAVE_OUT))
            case _ if isinstance(units := attrs.get("units"), str) and "since" in units:
                return cls._undecoded_times(name, units, attrs.get("calendar"))
            case _:
                reason = _odd_attribute(attrs)
                advice = "Correct the attribute, or name it in drop_variables."
                return cls(reason, advice if "attribute" in reason else _LEAVE_OUT)

    @classmethod
    def _undecoded_times(cls, name: str, units: str, calendar: object) -> Self:
        of = f" of the calendar {excerpt(calendar)}" if calendar is not None else ""
        return cls(
            _short(f"its units {units!r} and values cannot be decoded as times{of}"),
            "Write CF units such as 'days since 1970-01-01', or serve its numbers as they are "
            f"stored: decode_times: {{{name}: false}} in the catalog entry. Or name it in "
            "drop_variables.",
        )

    def needed_by(self, dim: str | None, names: Iterable[str]) -> Unusable:
        """The same for a coordinate that the variables `names` need; it labels `dim`, if any."""
        named = list(names)
        if not named:
            return self
        listed = ", ".join(named[:_MOST_NAMED])
        more = len(named) - _MOST_NAMED
        listed += f" and {more} more" if more > 0 else ""
        without = (
            f": without it {spell_name(dim)} is selected by position" if dim is not None else ""
        )
        return replace(
            self, reason=f"{self.reason}; this coordinate is needed by {listed}{without}"
        )


def _odd_attribute(attrs: Named) -> str:
    """The reason: an attribute that xarray decodes by has the wrong type, or they fail together."""
    for name, value in attrs.items():
        known = _NUMBERS if name in _NUMERIC else str
        if name in _DECODING and not isinstance(value, known):
            kind = "number" if name in _NUMERIC else "text"
            return f"its attribute {name} is {excerpt(value)}, which is no {kind}"
    given = [
        n for n in attrs if n in _DECODING or n in ("_FillValue", "missing_value", "_Encoding")
    ]
    by = f"its attributes {', '.join(given)}" if given else "its data type and fill value"
    return f"its values cannot be decoded by {by}"


def _short(text: str) -> str:
    line = " ".join(text.rstrip(". \n").split())
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 3] + "..."


def conflicting(variables: Mapping[str, xr.Variable]) -> dict[str, Unusable]:
    """The variables that have a dimension in another length than the others.

    A dimension is as long as most variables have it; where that is undecided, as its coordinate
    has it, then as the first variable by name has it.
    """
    odd: dict[str, Unusable] = {}
    found: dict[Hashable, dict[str, int]] = defaultdict(dict)
    for name in sorted(variables):
        for dim, size in zip(variables[name].dims, variables[name].shape, strict=True):
            if found[dim].setdefault(name, size) != size:
                odd[name] = Unusable(
                    f"its dimension {spell_name(dim)} has the lengths {found[dim][name]} and "
                    f"{size} at once"
                )
    for dim, lengths in found.items():
        usable = {name: size for name, size in lengths.items() if name not in odd}
        if len(set(usable.values())) > 1:
            odd |= _odd_along(dim, usable)
    return odd


def _odd_along(dim: Hashable, lengths: Mapping[str, int]) -> dict[str, Unusable]:
    counts = Counter(lengths.values())
    own = lengths.get(str(dim))
    most = max(counts, key=lambda size: (counts[size], size == own))
    return {
        name: Unusable(
            f"its dimension {spell_name(dim)} has the length {size}, in other variables it has "
            f"{most}",
            f"Write all variables along {spell_name(dim)} with one length (an append may not be "
            "finished), or name it in drop_variables.",
            passing=True,
        )
        for name, size in lengths.items()
        if size != most
    }


def with_needs(
    left_out: Mapping[str, Unusable], variables: Mapping[Any, xr.Variable]
) -> dict[str, Unusable]:
    """`left_out`, in which the reasons of coordinates name those of `variables` that need them."""
    along: dict[str, list[str]] = defaultdict(list)
    named: dict[str, list[str]] = defaultdict(list)
    for name, variable in variables.items():
        for dim in dict.fromkeys(variable.dims):
            along[str(dim)].append(str(name))
        coordinates = variable.encoding.get("coordinates", variable.attrs.get("coordinates"))
        for word in coordinates.split() if isinstance(coordinates, str) else ():
            named[word].append(str(name))
    return {
        name: one.needed_by(name if along[name] else None, along[name] or named[name])
        for name, one in sorted(left_out.items())
    }
