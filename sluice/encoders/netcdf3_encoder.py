"""An answer as a file in a classic NetCDF format, equal to it when opened again.

What the format has no type for is written in one that it has, where that loses nothing: unsigned
integers under the attribute ``_Unsigned``, text as characters in UTF-8, integers of 64 bits that
are in memory or few as integers of 32 bits or as floats. What is left is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from sluice.aliases import Array, DType
from sluice.concurrency import until_cancelled
from sluice.encoders.answer_schema import (
    AnswerSchema,
    FileContent,
    FileFormat,
    FileOptions,
    FileValues,
    UnreadAnswer,
    VariableSchema,
)
from sluice.encoders.encoder import Encoder, binary_content, from_memory, memory_weight, once
from sluice.encoders.netcdf3_file import Version, classic_layout, growing_dimension
from sluice.encoders.netcdf_encoder import (
    check_growing,
    check_netcdf,
    file_content,
    options_of,
)
from sluice.encoders.netcdf_packing import file_form, in_form, store_values
from sluice.errors import NotAcceptable

# So many integers of 64 bits are read before the first byte is sent, to see what they are.
_FEW: Final = 2**20
# Of characters, of which each text has as many as the longest.
_MOST_TEXT_BYTES: Final = 64 * 2**20
_OTHERS: Final = ["netcdf"]
_PLAIN: Final = FileOptions()


def netcdf3_content(
    answer: UnreadAnswer, options: FileOptions = _PLAIN, version: Version = 2
) -> FileContent:
    """The file of an answer of which all variables are known that are `decided_by_values`.

    Raises `NotAcceptable` for what the format cannot hold, by name.
    """
    known: dict[Hashable, FileValues] = {}
    for name, variable in answer.variables.items():
        form = file_form(str(name), variable.dtype, len(variable.dims), variable.encoding)
        if form is None:
            found = answer.known[name]
            known[name] = _held(name, store_values(np.asarray(found.data), found.encoding), version)
        elif _is_wide(form.dtype, version):
            values = in_form(np.asarray(answer.known[name].data), form)
            known[name] = _held(name, FileValues(values, form.attrs, form.meaning), version)
    lay_out = partial(classic_layout, version=version)
    return file_content(answer, options, known, lay_out=lay_out)


def decided_by_values(name: Hashable, variable: VariableSchema, version: Version = 2) -> bool:
    """Whether the file's size, or what it says of a variable, follows from the variable's values.

    Raises `NotAcceptable` for what the file cannot hold.
    """
    form = file_form(str(name), variable.dtype, len(variable.dims), variable.encoding)
    if form is None:
        return True
    if not _is_wide(form.dtype, version):
        return False
    _check_few(name, form.dtype, variable.shape)
    return True


def check_netcdf3(
    schema: AnswerSchema, options: FileOptions = _PLAIN, version: Version = 2
) -> None:
    """Raises `NotAcceptable` for an answer with variables or dimensions that the file cannot hold.

    Raises `QueryError` for an unlimited dimension that the answer does not have.
    """
    check_netcdf(schema)
    check_growing(schema, options)
    for name, variable in schema.variables.items():
        if _is_wide(variable.dtype, version):
            _check_few(name, variable.dtype, variable.shape)
    told_of = ((str(n), [*map(str, one.dims)], one.shape) for n, one in schema.variables.items())
    growing_dimension(told_of, options.unlimited, version)


def adapt_netcdf3(encoder: Encoder, values: Mapping[str, object]) -> Encoder:
    """The format under the values of its options."""
    options = options_of(encoder.name, values)
    version: Version = 5 if values.get("cdf5") else 2
    encode, pieces = from_memory(partial(netcdf3_content, options=options, version=version))
    return replace(
        encoder,
        encode=encode,
        pieces=pieces,
        check=partial(check_netcdf3, options=options, version=version),
        file=_file(options, version),
    )


def _file(options: FileOptions, version: Version) -> FileFormat:
    make: Callable[[UnreadAnswer], FileContent] = partial(
        netcdf3_content, options=options, version=version
    )
    decided = partial(decided_by_values, version=version)
    return FileFormat(make, decided, stored=True, only=True, chunked=False, grows=options.unlimited)


_ENCODE, _PIECES = from_memory(netcdf3_content)
NETCDF3: Final = Encoder(
    name="netcdf3",
    media_type="application/x-netcdf3",
    suffix=".nc3",
    others=("classic", "cdf"),
    encode=_ENCODE,
    pieces=_PIECES,
    check=check_netcdf3,
    value_bytes=memory_weight,
    text_bytes=once,
    forms=3,
    described=binary_content("NetCDF-3: CDF-2 (64-bit offset), or CDF-5 with `cdf5=true`."),
    stored=True,
    file=_file(FileOptions(), 2),
    options=("unlimited", "history", "cdf5"),
    adapt=adapt_netcdf3,
)


def _is_wide(dtype: DType, version: Version) -> bool:
    """Whether these are integers that the version has no type for, of any sign."""
    return version == 2 and dtype.kind in "iu" and dtype.itemsize == 8


def _check_few(name: Hashable, dtype: DType, shape: tuple[int, ...]) -> None:
    if math.prod(shape) > _FEW:
        raise _too_wide(name, dtype)


def _too_wide(name: Hashable, dtype: DType) -> NotAcceptable:
    return NotAcceptable(
        f"{name} is {dtype}, which CDF-2 has not; ask with cdf5=true, or for f=netcdf",
        variable=str(name),
        known=_OTHERS,
    )


def _held(name: Hashable, stored: FileValues, version: Version) -> FileValues:
    """The values in a type that the version has."""
    if stored.values.dtype.kind == "O":
        return _characters(name, stored)
    if not _is_wide(stored.values.dtype, version):
        return stored
    for dtype in (np.dtype("i4"), np.dtype("f8")):
        values = _exactly(stored.values, dtype)
        attrs = {key: _attribute(value, dtype) for key, value in stored.attrs.items()}
        if values is not None and None not in attrs.values():
            return FileValues(values, attrs, stored.meaning)
    raise _too_wide(name, stored.values.dtype)


def _attribute(value: object, dtype: DType) -> object:
    """An attribute of the variable in its new type, where it is one of its values."""
    if not isinstance(value, np.ndarray | np.generic) or not _is_wide(value.dtype, 2):
        return value
    held = _exactly(np.asarray(value), dtype)
    return None if held is None else held[()]


def _exactly(values: Array, dtype: DType) -> Array | None:
    """The same numbers in another type; None if it does not hold each of them."""
    if dtype.kind != "f":
        # There and back again unsigned numbers can be the same though they were negative there.
        limits = np.iinfo(dtype)
        within = not values.size or (values.min() >= limits.min and values.max() <= limits.max)
        return values.astype(dtype) if within else None
    held = values.astype(dtype)
    # What is not below would be another number again, or any.
    beyond = bool((held >= float(np.iinfo(values.dtype).max)).any())
    return held if not beyond and bool((held.astype(values.dtype) == values).all()) else None


def _characters(name: Hashable, stored: FileValues) -> FileValues:
    """Text as bytes of UTF-8, each as long as the longest.

    That is rounded up to a power of two: parts of a dataset can be joined if it is the same.
    """
    texts = [text.encode() for text in until_cancelled(stored.values.ravel().tolist())]
    longest = 1 << max(max(map(len, texts), default=1) - 1, 0).bit_length()
    if longest * len(texts) > _MOST_TEXT_BYTES:
        raise NotAcceptable(
            f"{name} would be {longest * len(texts)} characters, each text as long as the longest,"
            f" of which there may be {_MOST_TEXT_BYTES}; f=netcdf can hold it",
            variable=str(name),
            known=_OTHERS,
        )
    values = np.array(texts, f"S{longest}").reshape(stored.values.shape)
    return FileValues(values, {**stored.attrs, "_Encoding": "utf-8"}, stored.meaning)
