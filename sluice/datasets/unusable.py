"""What cannot be used or decoded as it is meant: it is left out and named, stays missing, or bytes.

Variables: why one is left out, what to do about it, and which other ones need it. One odd array
does not take its store down. What the store itself fails to give (refused, timed out) is none of
this, and raises.

Dates: xarray marks what is missing before it decodes (CF 2.5.1 and 4.4), NaN among floats, the
least int64 among integers. datetime64 has NaT for both. cftime has nothing: it refuses the one, and
makes the reference date of the other. Here they stay missing, as None among the dates.

Texts: the netCDF attribute ``_Encoding`` says of which encoding bytes are (NetCDF User's Guide,
appendix "Attribute Conventions"). xarray decodes by it, and fails with the first bytes that are
none of the encoding. Here those stay bytes, as if nothing was said of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, Self

import numpy as np
import xarray as xr
from xarray.coders import CFDatetimeCoder, CFTimedeltaCoder

from sluice.aliases import Array, Document, DocumentDict, Named
from sluice.datasets import _xarray
from sluice.errors import MetadataError, SluiceError, excerpt
from sluice.labels import spell_name

# So many names stand in one reason.
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
    """The `reason` why a variable is left out, without a full stop, and the `advice` to mend it.

    It may be `passing` where a writer that is not done yet explains it.
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
        """The same of a coordinate that the variables `names` need; it labels `dim`, if any."""
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
    """Which of the attributes that xarray decodes by has no value that it can have."""
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
    """The variables whose dimensions are of another length than in the others.

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
    """`left_out` in which coordinates say which of the usable `variables` need them."""
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


_MARK: Final = np.iinfo("i8").min
# So many objects are made in some 20 ms.
_PIECE: Final = 8192
ENCODING: Final = "_Encoding"
_BYTES: Final = "SO"
_ADVICE: Final = "Correct the attribute, or name it in drop_variables."


class DateCoder(CFDatetimeCoder):
    """xarray's coder of times, by `decode_dates`."""

    def decode(self, variable: xr.Variable, name: Hashable = None) -> xr.Variable:
        """`variable` as times, which are decoded when they are read; itself if it has none."""
        units = variable.attrs.get("units")
        if not (isinstance(units, str) and "since" in units):
            return variable
        dims, data, attrs, encoding = _xarray.unpack_for_decoding(variable)
        transform = partial(
            decode_dates,
            units=_xarray.pop_to(attrs, encoding, "units"),
            calendar=_xarray.pop_to(attrs, encoding, "calendar"),
            use_cftime=self.use_cftime,
            time_unit=self.time_unit,
        )
        decoded = _xarray.lazy_elemwise_func(data, transform, transform(_ends(data)).dtype)
        return xr.Variable(dims, decoded, attrs, encoding, fastpath=True)


def decode_dates(
    values: object, units: str, calendar: str | None, use_cftime: bool | None, time_unit: Any
) -> Array:
    """Counts of CF `units` as datetime64 or, where that has no such dates, as cftime's objects.

    What is missing among them is NaT or None. Raises what xarray raises of units and counts.
    """
    counts = np.asarray(values)
    decode = partial(_decoded, units=units, calendar=calendar, how=(use_cftime, time_unit))
    missing = _missing(counts)
    if not missing.any():
        return decode(counts)
    # Where nothing is left, the reference date shows of which kind dates would be.
    some = np.zeros(1, counts.dtype) if missing.all() else counts[~missing]
    known = decode(some)
    nothing = np.datetime64("NaT") if known.dtype.kind == "M" else None
    dates = np.full(counts.shape, nothing, known.dtype)
    if not missing.all():
        dates[~missing] = known
    return dates


def _decoded(
    counts: Array, *, units: str, calendar: str | None, how: tuple[bool | None, Any]
) -> Array:
    """What xarray makes of counts none of which is missing; piece by piece where there are many.

    cftime makes all objects of a call in one go, and no other thread runs meanwhile.
    """
    use_cftime, time_unit = how
    form: DocumentDict = {"units": units, "calendar": calendar, "time_unit": time_unit}
    if counts.size <= _PIECE:
        return np.asarray(_xarray.decode_cf_datetime(counts, use_cftime=use_cftime, **form))
    # The kind of all dates is that of the first and the last.
    ends = np.array([counts.min(), counts.max()])
    if _xarray.decode_cf_datetime(ends, use_cftime=use_cftime, **form).dtype.kind != "O":
        return np.asarray(_xarray.decode_cf_datetime(counts, use_cftime=use_cftime, **form))
    dates = np.empty(counts.size, object)
    flat = counts.reshape(-1)
    for start in range(0, counts.size, _PIECE):
        piece = slice(start, start + _PIECE)
        dates[piece] = _xarray.decode_cf_datetime(flat[piece], use_cftime=True, **form)
    return dates.reshape(counts.shape)


def with_date_coders(options: Document, names: Iterable[str]) -> DocumentDict:
    """xarray's decoding `options`, with a `DateCoder` for those variables whose times it decodes.

    Whoever sets the deprecated ``use_cftime`` gets xarray's own coder.
    """
    asked = options["decode_times"]
    if asked is False or options.get("use_cftime") is not None:
        return dict(options)
    each = {name: _asked_of(asked, name, True) for name in names}
    lengths = {name: _asked_of(options.get("decode_timedelta"), name, None) for name in each}
    for name, one in each.items():
        # xarray takes the resolution from a coder of times, and from the dtype attribute by True.
        if lengths[name] is None and (one is True or one is None):
            lengths[name] = CFTimedeltaCoder()
    times = {name: _coder(one) for name, one in each.items()}
    return {**options, "decode_times": times, "decode_timedelta": lengths}


def _asked_of(asked: object, name: str, default: object) -> object:
    """What an option says of a variable: its own in a mapping, or the same as of all."""
    return asked.get(name, default) if isinstance(asked, Mapping) else asked


def _coder(asked: object) -> object:
    match asked:
        case True | None:
            return DateCoder()
        case CFDatetimeCoder() if type(asked) is CFDatetimeCoder:
            return DateCoder(asked.use_cftime, asked.time_unit)
        case _:
            return asked


def _ends(data: object) -> Array:
    """The first and the last value, which xarray too looks at to know the kind of the others."""
    values = _xarray.ImplicitToExplicitIndexingAdapter(_xarray.as_indexable(data))
    if not all(values.shape):
        return np.empty(0, values.dtype)
    ends = [tuple([place] * len(values.shape)) for place in (slice(0, 1), slice(-1, None))]
    return np.concatenate([np.ravel(np.asarray(values[end])) for end in ends])


def _missing(counts: Array) -> Any:
    match counts.dtype.kind:
        case "f":
            return np.isnan(counts)
        case "i" if counts.dtype.itemsize == np.dtype("i8").itemsize:
            return counts == _MARK
        case _:
            return np.zeros(counts.shape, bool)


def check_encoding(variable: xr.Variable) -> None:
    """Take from an encoded `variable` an ``_Encoding`` that says nothing, as that of numbers.

    MetadataError for an encoding that is none.
    """
    if ENCODING not in variable.attrs:
        return
    if variable.dtype.kind not in _BYTES:
        variable.encoding[ENCODING] = variable.attrs.pop(ENCODING)
    elif not _is_encoding(variable.attrs[ENCODING]):
        raise MetadataError(
            f"its attribute {ENCODING} is {excerpt(variable.attrs[ENCODING])}, which is no "
            "encoding of text that is known",
            advice=_ADVICE,
        )


def keep_bytes(variable: xr.Variable) -> None:
    """Let a variable that xarray decodes by its ``_Encoding`` keep what is not of it as bytes."""
    data = _xarray.data_of(variable)
    while (inner := getattr(data, "array", None)) is not None:
        if isinstance(data, _xarray.ElementwiseArray):
            match data.func:
                case partial(func=_xarray.decode_bytes_array, keywords={"encoding": encoding}):
                    data.func = partial(decode_bytes, encoding=encoding)
        data = inner


def decode_bytes(values: object, encoding: str) -> Array:
    """Each of the bytes as text of the encoding, or itself, as objects."""
    array = np.asarray(values)
    decoded = np.empty(array.size, dtype=object)
    decoded[:] = [_as_text(item, encoding) for item in array.ravel().tolist()]
    return decoded.reshape(array.shape)


def _as_text(item: object, encoding: str) -> object:
    if not isinstance(item, bytes):
        return item
    try:
        return item.decode(encoding)
    except UnicodeError:
        return item


def _is_encoding(name: Any) -> bool:
    try:
        b"a".decode(name)
    except UnicodeError:
        return True  # it takes more than one byte
    except (LookupError, ValueError, TypeError):
        return False
    return True
