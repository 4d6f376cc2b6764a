"""Decoding where xarray's own fails: dates some of which are missing, bytes that are no text.

Dates: xarray marks what is missing before it decodes (CF 2.5.1 and 4.4), as NaN among floats, as
the least int64 among integers. datetime64 has NaT for both. cftime has no missing date: it refuses
NaN, and takes the least integer for the reference date. Here both are None among the dates.

Texts: the netCDF attribute ``_Encoding`` names the encoding of bytes (NetCDF User's Guide, appendix
"Attribute Conventions"). xarray decodes by it, and fails with the first bytes that are not valid in
it. Here those stay bytes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import partial
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.coders import CFDatetimeCoder, CFTimedeltaCoder

from sluice.aliases import Array, Document, DocumentDict
from sluice.concurrency import until_cancelled
from sluice.datasets import _xarray
from sluice.errors import MetadataError, excerpt

# The resolutions of datetime64 that xarray decodes to.
TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]
# What xarray puts in the place of missing counts of 64 bits.
_MISSING_COUNT: Final = np.iinfo("i8").min
_INT64: Final = np.dtype("i8")
# So many dates are made in about 20 ms.
_PIECE_DATES: Final = 8192
ENCODING: Final = "_Encoding"
# Kinds of dtypes that values encoded as bytes have.
_BYTES_KINDS: Final = "SO"
_ADVICE: Final = "Correct the attribute, or name it in drop_variables."


class DateCoder(CFDatetimeCoder):
    """xarray's coder of times, which decodes by `decode_dates`."""

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
    values: object, units: str, calendar: str | None, use_cftime: bool | None, time_unit: TimeUnit
) -> Array:
    """Counts of CF `units` as datetime64 or, where that has no such dates, as cftime's objects.

    What is missing among them is NaT or None. Raises what xarray raises of units and counts.
    """
    counts = np.asarray(values)
    decode = partial(_decoded, units=units, calendar=calendar, how=(use_cftime, time_unit))
    missing = _missing(counts)
    if not missing.any():
        return decode(counts)
    # Where all are missing, the reference date tells whether dates are datetime64 or cftime's.
    some = np.zeros(1, counts.dtype) if missing.all() else counts[~missing]
    known = decode(some)
    nothing = np.datetime64("NaT") if known.dtype.kind == "M" else None
    dates = np.full(counts.shape, nothing, known.dtype)
    if not missing.all():
        dates[~missing] = known
    return dates


def _decoded(
    counts: Array, *, units: str, calendar: str | None, how: tuple[bool | None, TimeUnit]
) -> Array:
    """xarray's decoding of counts none of which is missing; many are decoded in pieces.

    In one call, cftime would keep all other threads from running until the last date is made.
    """
    use_cftime, time_unit = how
    form: DocumentDict = {"units": units, "calendar": calendar, "time_unit": time_unit}
    if counts.size <= _PIECE_DATES:
        return np.asarray(_xarray.decode_cf_datetime(counts, use_cftime=use_cftime, **form))
    # The least and the largest count tell whether datetime64 has all of the dates.
    ends = np.array([counts.min(), counts.max()])
    if _xarray.decode_cf_datetime(ends, use_cftime=use_cftime, **form).dtype.kind != "O":
        return np.asarray(_xarray.decode_cf_datetime(counts, use_cftime=use_cftime, **form))
    dates = np.empty(counts.size, object)
    flat = counts.reshape(-1)
    for start in range(0, counts.size, _PIECE_DATES):
        piece = slice(start, start + _PIECE_DATES)
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
        # By default xarray takes a duration's resolution from the coder of times, if one is given.
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


def _missing(counts: Array) -> NDArray[np.bool_]:
    """Which of the counts stand for a missing time, after xarray's masking."""
    missing = np.zeros(counts.shape, bool)
    if counts.dtype.kind == "f":
        np.isnan(counts, out=missing)
    elif counts.dtype.newbyteorder("=") == _INT64:
        np.equal(counts, _MISSING_COUNT, out=missing)
    return missing


def check_encoding(variable: xr.Variable) -> None:
    """Take from an encoded `variable` of numbers its ``_Encoding``, which would be decoded by.

    MetadataError for an encoding that Python does not know.
    """
    if ENCODING not in variable.attrs:
        return
    if variable.dtype.kind not in _BYTES_KINDS:
        variable.encoding[ENCODING] = variable.attrs.pop(ENCODING)
    elif not _is_encoding(variable.attrs[ENCODING]):
        raise MetadataError(
            f"its attribute {ENCODING} is {excerpt(variable.attrs[ENCODING])}, which is no "
            "encoding of text that is known",
            advice=_ADVICE,
        )


def keep_bytes(variable: xr.Variable) -> None:
    """Have a lazily decoded variable keep the bytes that are not valid in its ``_Encoding``."""
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
    items = until_cancelled(array.ravel().tolist())
    decoded[:] = [_as_text(item, encoding) for item in items]
    return decoded.reshape(array.shape)


def _as_text(item: object, encoding: str) -> object:
    if not isinstance(item, bytes):
        return item
    try:
        return item.decode(encoding)
    except UnicodeError:
        return item


def _is_encoding(name: Any) -> bool:
    """Whether Python knows an encoding of text by this name."""
    try:
        b"a".decode(name)
    except UnicodeError:
        return True  # it takes more than one byte
    except (LookupError, ValueError, TypeError):
        return False
    return True
