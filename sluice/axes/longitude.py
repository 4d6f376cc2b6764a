"""Which axes are longitudes, and which of those go all the way round."""

from __future__ import annotations

from typing import Any, Final

from sluice.aliases import Document

TURN: Final = 360

# CF conventions, section 4.2: the recommended spelling and the accepted ones.
EAST = frozenset({"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"})
DEGREES = frozenset({"degrees", "degree"})
_NAMES = frozenset({"lon", "longitude"})
# Beyond two turns either way, labels that claim to be longitudes are something else.
_FARTHEST = 2 * TURN


def is_longitude(name: str, attrs: Document, low: Any, high: Any) -> bool:
    """Whether labels from `low` to `high` are degrees of longitude, by CF attributes or by name.

    Units that are not degrees (radians, metres) have the last word.
    """
    if not (-_FARTHEST <= low <= high <= _FARTHEST):
        return False
    units = attrs.get("units")
    unit = units.strip().lower() if isinstance(units, str) else ""
    if unit in EAST:
        return True
    if unit and unit not in DEGREES:
        return False
    if attrs.get("standard_name") == "longitude" or name.lower() in _NAMES:
        return True
    return unit in DEGREES and attrs.get("axis") == "X"


def goes_round(low: Any, high: Any, step: Any, spacing: float) -> bool:
    """Whether one more step after the label `high` reaches ``low + 360``.

    Within a thousandth of a step and four times the labels' own precision (`spacing`): decimals
    that were cut before they were stored do not open the circle.
    """
    return bool(high + step * 1.001 + 4 * spacing >= low + TURN)
