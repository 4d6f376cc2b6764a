"""Types of the Data Access Protocol, and how values of a dataset become values of them.

DAP2 has neither int8 nor int64: they become Int16, and Int32 where all values are known to fit,
else Float64, which is exact up to 2**53.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
import xarray as xr

from sluice.aliases import Array, Document, DType
from sluice.encoders.answer_schema import FileForm, VariableSchema, float_dtype
from sluice.encoders.netcdf_packing import file_form, in_form, store_values
from sluice.encoders.netcdf_times import counted_times

Version: TypeAlias = Literal[2, 4]

# Of texts, of any length.
TEXT: Final = np.dtype("O")
UNSIGNED: Final = "_Unsigned"
_INT32: Final = np.iinfo("i4")
# What DAP2 has no type for, and what holds it where nothing is known of the values.
_WIDENED: Final = MappingProxyType({"i1": "i2", "i8": "f8", "u8": "f8"})


@dataclass(frozen=True, slots=True)
class DapForm:
    """How the values of a variable become numbers, before they have the protocol's type.

    By `kind`: integers and floats (``i``, ``u``, ``f``) as a `file` of NetCDF has them; ``times``
    counted in these `units` of this `calendar`; ``held`` whose numbers are all in memory already;
    ``text`` that stays text. `counted` is their type with the sign that ``_Unsigned`` tells.
    """

    kind: str
    file: FileForm
    counted: DType
    units: str = ""
    calendar: str | None = None

    def numbers(self, values: Array) -> Array:
        """Stored or decoded values as numbers of type `counted`; times as float64."""
        if self.units:
            return counted_times(values, self.units, self.calendar)
        found = in_form(values, self.file)
        return found if found.dtype == self.counted else found.view(self.counted)


def dap_form(
    name: Hashable, variable: VariableSchema, known: xr.Variable | None
) -> tuple[DapForm, Array | None]:
    """The form of a variable, and all of its values where those decide on it: parts follow them."""
    dtype, encoding = variable.dtype, variable.encoding
    # (Rank 0, since NetCDF's limit of dimensions does not hold here.)
    file = file_form(str(name), dtype, 0, encoding)
    if file is not None and file.dtype.kind in "iuf":
        return DapForm(file.dtype.kind, file, _signed_dtype(file)), None
    if dtype.kind == "f":
        held = FileForm(float_dtype(dtype))
        return DapForm("f", held, held.dtype), None
    if dtype.kind in "Mm" or "since" in str(encoding.get("units", "")):
        if known is not None:
            values = store_values(np.asarray(known.data), encoding)
            return DapForm("held", values.form, values.form.dtype), values.values
        return _times(dtype, encoding), None
    if dtype.kind == "O" and known is not None:
        values = store_values(np.asarray(known.data), encoding)
        if values.values.dtype.kind in "iuf":
            return DapForm("held", values.form, values.form.dtype), values.values
    return DapForm("text", FileForm(TEXT), TEXT), None


def _times(dtype: DType, encoding: Document) -> DapForm:
    """Times that are still in the store, and not as it packs them: as float64, with fractions."""
    numbers = np.dtype("f8")
    if dtype.kind == "m":
        file = FileForm(numbers, {"units": "seconds", "dtype": "timedelta64[ns]"})
        return DapForm("times", file, numbers, "seconds")
    units, calendar = encoding.get("units"), encoding.get("calendar")
    if dtype.kind == "M" or not isinstance(units, str):
        units, calendar = "seconds since 1970-01-01", "proleptic_gregorian"
    calendar = calendar if isinstance(calendar, str) else "standard"
    file = FileForm(numbers, {"units": units, "calendar": calendar})
    return DapForm("times", file, numbers, units, calendar)


def _signed_dtype(file: FileForm) -> DType:
    """The type of numbers with the sign that the attribute ``_Unsigned`` tells."""
    match file.attrs.get(UNSIGNED), file.dtype.kind:
        case "true", "i":
            return np.dtype(f"u{file.dtype.itemsize}")
        case "false", "u":
            return np.dtype(f"i{file.dtype.itemsize}")
        case _:
            return file.dtype.newbyteorder("=")


def deciding_values(known: xr.Variable | None, form: DapForm) -> Array | None:
    """The values that decide on the type in DAP2: whole numbers of 64 bits that are in memory."""
    if known is None or form.counted.itemsize < 8 or form.counted.kind not in "iu":
        return None
    return form.numbers(np.asarray(known.data))


def dap_type(version: Version, form: DapForm, values: Array | None) -> tuple[DType, Document]:
    """The type of a variable in this version, and the attributes that decode its values."""
    counted, attrs = form.counted, dict(form.file.attrs)
    attrs.pop(UNSIGNED, None)
    fills = {key: _with_sign(value, form) for key, value in attrs.items()}
    key = counted.str[1:]
    if attrs.get("dtype") == "bool":
        return np.dtype("u1"), fills
    if version == 4 or key not in _WIDENED:
        return counted, fills
    dtype = np.dtype(_WIDENED[key])
    if dtype.kind == "f" and values is not None:
        numbers = [v for v in fills.values() if isinstance(v, np.generic) and v.dtype == counted]
        if _fit_int32(values) and all(_fit_int32(np.asarray(number)) for number in numbers):
            dtype = np.dtype("i4")
    return dtype, {key: _retyped(value, counted, dtype) for key, value in fills.items()}


def _with_sign(value: object, form: DapForm) -> object:
    """A fill value with the sign of `counted`; any other attribute as it is."""
    if isinstance(value, np.generic) and value.dtype == form.file.dtype != form.counted:
        return np.asarray(value).view(form.counted)[()]
    return value


def _retyped(value: object, counted: DType, dtype: DType) -> object:
    is_own = isinstance(value, np.generic) and value.dtype == counted
    return dtype.type(value) if is_own else value


def type_key(dtype: DType) -> str:
    """A type without its byte order, as the tables of both versions have it: ``f4``, or ``O``."""
    return "O" if dtype.kind == "O" else dtype.str[1:]


def number_text(number: np.generic) -> str:
    """A number as text, shortest for its type; clients know these words for what is not finite."""
    if number.dtype.kind != "f" or np.isfinite(number):
        return str(number)
    return "NaN" if np.isnan(number) else ("Inf" if float(number) > 0 else "-Inf")


def _fit_int32(values: Array) -> bool:
    """Whether an int32 holds all of them; a few milliseconds for ten million."""
    if not values.size:
        return True
    least, most = int(values.min()), int(values.max())
    return _INT32.min <= least and most <= _INT32.max
