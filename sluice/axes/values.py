"""Labels that are Python's or NumPy's values, as the text that an axis reads as just them."""

from __future__ import annotations

import numpy as np

from sluice.selection import Value

# Units of datetime64 that are coarser than those of an instant's text.
_COARSE = frozenset(("Y", "M", "W", "D", "h", "m"))
_NANOSECONDS = 10**9


def spell_value(value: Value) -> str:
    """The text of a label: itself, a number as JSON writes it, an instant, an exact duration.

    A datetime64 is an instant whatever its unit, and no period.
    """
    match value:
        case str():
            return value
        case bool() | np.bool_():
            return "true" if value else "false"
        case np.datetime64():
            unit = np.datetime_data(value.dtype)[0]
            return f"{np.datetime_as_string(value, unit='s' if unit in _COARSE else 'auto')}Z"
        case np.timedelta64():
            return _spell_duration(int(value.astype("m8[ns]").astype("i8")))
        case float() | np.floating():
            return repr(float(value))
        case _:
            return str(int(value))


def _spell_duration(nanoseconds: int) -> str:
    seconds, rest = divmod(abs(nanoseconds), _NANOSECONDS)
    return f"{'-' if nanoseconds < 0 else ''}PT{seconds}.{rest:09d}S"
