"""Times as NetCDF stores them: counts of a unit, in the store's own units when these are exact."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from sluice.aliases import Array, Document, DType
from sluice.datasets._xarray import decode_cf_datetime, encode_cf_datetime
from sluice.encoders.answer_schema import FileValues, float_dtype, is_number, read_fill

# Longest first: the first that counts all values in whole numbers is the one to use.
_UNITS = MappingProxyType(
    {
        "days": 86_400 * 10**9,
        "hours": 3_600 * 10**9,
        "minutes": 60 * 10**9,
        "seconds": 10**9,
        "milliseconds": 10**6,
        "microseconds": 10**3,
        "nanoseconds": 1,
    }
)
_TICKS = MappingProxyType({"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1})
# The calendars that datetime64 can follow.
_CALENDARS = (None, "standard", "gregorian", "proleptic_gregorian")
_NAT = np.iinfo("i8").min
# The year 2000 in nanoseconds since 1970.
_2000 = 946_684_800 * 10**9
# Whole numbers up to here are exact in float64.
_EXACT = 2.0**53


def store_datetimes(values: Array, encoding: Document) -> FileValues:
    """datetime64 in the encoding's units, else counted from 1970 in the longest exact unit."""
    stored = _in_units(values, np.isnat(values), encoding)
    if stored is not None:
        return stored
    ticks, tick = _ticks(values)
    counts, unit = _whole(ticks, tick)
    attrs: dict[str, object] = {"units": f"{unit} since 1970-01-01"}
    attrs["calendar"] = "proleptic_gregorian"
    return FileValues(counts, attrs | _nat_fill(ticks))


def store_cftimes(values: Array, encoding: Document) -> FileValues:
    """cftime dates in the encoding's units, else in those that xarray infers; some may be None."""
    gone = np.array([date is None for date in values.ravel()], bool).reshape(values.shape)
    if gone.all() and gone.size:
        told = {key: encoding[key] for key in ("units", "calendar") if encoding.get(key)}
        return FileValues(np.full(values.shape, _NAT), {**told, "_FillValue": np.int64(_NAT)})
    if gone.any():
        # Any date of the same calendar stands in for those that are missing.
        values = np.where(gone, values[~gone][0], values)
    stored = _in_units(values, gone, encoding)
    if stored is not None:
        return stored
    numbers, units, calendar = encode_cf_datetime(values)
    attrs = {"units": units, "calendar": calendar}
    counts = np.asarray(numbers)
    if not gone.any():
        return FileValues(counts, attrs)
    if counts.dtype.kind == "f":
        return FileValues(
            np.where(gone, np.nan, counts), {**attrs, "_FillValue": np.float64("nan")}
        )
    marked = np.where(gone, _NAT, counts).astype("i8")
    return FileValues(marked, {**attrs, "_FillValue": np.int64(_NAT)})


def counted_times(values: Array, units: str, calendar: str | None) -> NDArray[np.float64]:
    """Instants, dates or durations of any shape as float64 counts of these units; missing: NaN.

    Not always exact, for neither the units nor the type can be chosen.
    """
    if values.dtype.kind == "m":
        ticks, tick = _ticks(values)
        return np.where(ticks == _NAT, np.nan, ticks / (_UNITS[units] / tick))
    if values.dtype.kind == "M":
        numbers = _count_instants(values, units, calendar or "standard")
        return np.where(np.isnat(values), np.nan, numbers)
    gone = np.array([date is None for date in values.ravel()], bool).reshape(values.shape)
    if gone.all():
        return np.full(values.shape, np.nan)
    numbers, _, _ = _count(np.where(gone, values[~gone][0], values), units, calendar)
    return np.where(gone, np.nan, numbers)


def _in_units(values: Array, gone: NDArray[np.bool_], encoding: Document) -> FileValues | None:
    """Counts in the encoding's own units and dtype, or ``None`` where these are not exact."""
    units, calendar = encoding.get("units"), encoding.get("calendar")
    if not isinstance(units, str) or not isinstance(calendar, str | None):
        return None
    if not values.size or gone.all():
        return None
    if values.dtype.kind == "M" and calendar not in _CALENDARS:
        return None
    try:
        numbers, units, calendar = _count(values, units, calendar)
        stored = _as_packed(numbers, gone, encoding)
        if stored is None or not _reads_back(stored.values, gone, values, units, calendar):
            return None
    except (ValueError, OverflowError, TypeError, KeyError):
        # KeyError: units of no fixed length, and weeks.
        return None
    return FileValues(stored.values, {"units": units, "calendar": calendar, **stored.attrs})


def _count(values: Array, units: str, calendar: str | None) -> tuple[NDArray[np.float64], str, str]:
    """Instants or dates as float64 counts, not always exact; and their units and calendar."""
    if values.dtype.kind == "M":
        calendar = calendar or "proleptic_gregorian"
        return _count_instants(values, units, calendar), units, calendar
    # Asked for floats, xarray neither warns nor changes the units.
    numbers, units, calendar = encode_cf_datetime(values, units, calendar, np.dtype("f8"))
    return np.asarray(numbers, dtype="f8"), units, calendar


def _count_instants(values: Array, units: str, calendar: str) -> NDArray[np.float64]:
    """By linear extrapolation from the counts of two days, which cftime computes."""
    import cftime

    days = [cftime.datetime(2000, 1, day, calendar=calendar) for day in (1, 2)]
    first, second = cftime.date2num(days, units, calendar)
    ticks, tick = _ticks(values)
    since = ticks - _2000 // tick
    a_day, counts_a_day = _UNITS["days"] // tick, second - first
    if counts_a_day > a_day:
        return np.asarray(first + since * (counts_a_day / a_day))
    # Divided, not multiplied by the inverse: a whole result is exact.
    return np.asarray(first + since / (a_day / counts_a_day))


def _as_packed(numbers: Array, gone: NDArray[np.bool_], encoding: Document) -> FileValues | None:
    """Counts in the encoding's dtype with its fill value, or ``None`` if they do not fit."""
    dtype: DType = np.dtype(encoding.get("dtype", "i8"))
    if any(encoding.get(key) is not None for key in ("scale_factor", "add_offset", "_Unsigned")):
        return None
    given = encoding.get("_FillValue", encoding.get("missing_value"))
    if dtype.kind == "f":
        return FileValues(np.where(gone, np.nan, numbers).astype(float_dtype(dtype)))
    if dtype.kind not in "iu" or (given is not None and not is_number(given)):
        return None
    fill = None if given is None else read_fill(given, dtype)
    counts = np.where(gone, 0, numbers)
    if (gone.any() and fill is None) or not _fit(counts, dtype):
        return None
    packed = counts.astype(dtype.newbyteorder("="))
    if fill is None:
        return FileValues(packed)
    if (packed[~gone] == fill).any():
        return None
    return FileValues(np.where(gone, fill, packed).astype(packed.dtype), {"_FillValue": fill})


def _fit(counts: Array, dtype: DType) -> bool:
    """Whether all are exact whole numbers that an integer type has."""
    if (counts % 1).any() or (counts.dtype.kind == "f" and (np.abs(counts) > _EXACT).any()):
        return False
    limits = np.iinfo(dtype)
    return bool(limits.min <= counts.min() and counts.max() <= limits.max)


def _reads_back(
    counts: Array,
    gone: NDArray[np.bool_],
    values: Array,
    units: str,
    calendar: str,
) -> bool:
    is_date = values.dtype.kind == "O"
    read = decode_cf_datetime(counts[~gone], units, calendar, use_cftime=is_date)
    return bool((np.asarray(read) == values[~gone]).all())


def store_durations(values: Array, encoding: Document) -> FileValues:
    """timedelta64 in the encoding's units, else in the longest unit that is exact.

    The encoding's dtype and fill value are kept where they have all counts, else these are int64
    or float64. The `dtype` attribute is how xarray tells a duration from a number with units of
    time.
    """
    ticks, tick = _ticks(values)
    resolution = next(unit for unit, size in _TICKS.items() if size == tick)
    attrs: dict[str, object] = {"dtype": f"timedelta64[{resolution}]"}
    units = encoding.get("units")
    if isinstance(units, str) and units in _UNITS and (ticks != _NAT).any():
        numbers = _counts_of(ticks, tick, units)
        plain = {"dtype": numbers.dtype, "_FillValue": _NAT}
        for form in (encoding, plain):
            stored = _as_packed(numbers, ticks == _NAT, form)
            if stored is not None and _counts_back(stored.values, ticks, tick, units):
                told = stored.attrs if form is encoding else _nat_fill(ticks)
                return FileValues(stored.values, {**attrs, "units": units, **told})
    counts, unit = _whole(ticks, tick)
    return FileValues(counts, {**attrs, "units": unit} | _nat_fill(ticks))


def _counts_of(ticks: NDArray[np.int64], tick: int, units: str) -> Array:
    """Ticks as counts of a unit: int64 where all are whole, else float64."""
    size, gone = _UNITS[units] // tick, ticks == _NAT
    if size and not (ticks[~gone] % size).any():
        return np.where(gone, _NAT, ticks // size)
    return ticks / (_UNITS[units] / tick)


def _counts_back(counts: Array, ticks: NDArray[np.int64], tick: int, units: str) -> bool:
    """Whether xarray decodes `counts` of `units` to exactly these `ticks`.

    It makes seconds of what is longer, and then goes by thousands to where fractions end.
    """
    counts, ticks = counts[ticks != _NAT], ticks[ticks != _NAT]
    size = _UNITS[units] / tick
    if size >= 1 and not (counts % 1).any():
        return bool((counts.astype("i8") * int(size) == ticks).all())
    if (np.abs(ticks) > _EXACT).any():
        return False
    step = min(_UNITS[units], _UNITS["seconds"])
    numbers = counts.astype("f8") * (_UNITS[units] // step)
    while step > tick:
        numbers, step = numbers * 1000, step // 1000
    return bool((numbers * (step / tick) == ticks).all())


def _ticks(values: Array) -> tuple[NDArray[np.int64], int]:
    """The int64 counts of datetime64 or timedelta64, and the nanoseconds of one count."""
    unit, count = np.datetime_data(values.dtype)
    if count != 1 or unit not in _TICKS:
        unit = "ns" if unit in ("ps", "fs", "as", "generic") else "s"
        values = values.astype(f"{values.dtype.kind}8[{unit}]")
    return values.astype("i8"), _TICKS[unit]


def _whole(ticks: NDArray[np.int64], tick: int) -> tuple[NDArray[np.int64], str]:
    """The same times counted in the longest unit that needs no fractions."""
    present = ticks[ticks != _NAT]
    for unit, nanoseconds in _UNITS.items():
        size = nanoseconds // tick
        if size > 1 and not (present % size).any():
            return np.where(ticks == _NAT, _NAT, ticks // size), unit
    return ticks, next(unit for unit, nanoseconds in _UNITS.items() if nanoseconds == tick)


def _nat_fill(ticks: NDArray[np.int64]) -> dict[str, object]:
    return {"_FillValue": np.int64(_NAT)} if (ticks == _NAT).any() else {}
