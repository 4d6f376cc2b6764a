"""Columns of tables in the types of Apache Arrow (https://arrow.apache.org/docs/format/).

Missing values are null. Attributes are JSON in the metadata of fields. PyArrow takes a moment to
load, and need not be installed: it is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from sluice.aliases import Array, Document, DType, record
from sluice.encoders.jsonable import attributes_to_jsonable, is_missing, json_text
from sluice.encoders.table_encoders import object_text
from sluice.encoders.tables import Column, TableLayout, steps_of

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr


# The one key of a field's metadata and of a schema's that has JSON, beside `DIMS` of the latter.
ATTRS: Final = b"attrs"
DIMS: Final = b"dims"
# Units of instants and durations that are kept; coarser ones become milliseconds, which is the
# coarsest that Parquet has, and finer ones nanoseconds.
_KEPT: Final = ("ms", "us", "ns")
_FINER: Final = ("ps", "fs", "as")
# So many letters of words are kept from batch to batch of a stream, and not sent again.
_KEPT_WORD_BYTES: Final = 2**18
# How places of texts, and booleans, say that one is missing.
MISSING: Final = -1


@record
class Form:
    """A type of columns: its type in Arrow, and how values of a variable become those of a column.

    Rows are taken from what `prepared` makes of them, in one dimension; of these `array` makes the
    column. Where `missing` says which of them are missing, the column has their memory.
    """

    type: pa.DataType
    prepared: Callable[[Array], Array]
    array: Callable[[Array], pa.Array]
    missing: Callable[[Array], Array] | None = None


def form_of(dtype: DType, encoding: Document, finest: Array) -> Form | None:
    """The form of values of this type; None for those that are text.

    Instants have microseconds, or as many digits as the `finest` needs. What is complex is a struct
    of `re` and `im`. Booleans some of which are missing are objects that were stored as booleans.
    """
    import pyarrow as pa

    match dtype.kind:
        case "i" | "u" | "f":
            return _numbers(dtype)
        case "c":
            return _complexes(min(8, max(4, dtype.itemsize // 2)))
        case "M" | "m":
            return _times(dtype, finest)
        case "b":
            return Form(pa.bool_(), np.ascontiguousarray, pa.array)
        case "O" if _is_truth(encoding.get("dtype")):
            return Form(pa.bool_(), _flags, lambda flags: pa.array(flags == 1, mask=flags < 0))
        case _:
            return None


def _numbers(dtype: DType) -> Form:
    """Numbers, of which NaN is missing; not all readers have floats of 16 bits."""
    import pyarrow as pa

    dtype = dtype.newbyteorder("=")
    if dtype.kind == "f":
        dtype = np.dtype(f"f{min(8, max(4, dtype.itemsize))}")
    arrow_type = pa.from_numpy_dtype(dtype)

    def prepared(values: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values, dtype)

    if dtype.kind != "f":
        return Form(arrow_type, prepared, lambda values: _in_arrow(arrow_type, values, None))
    return _with_holes(arrow_type, prepared, np.isnan)


def _with_holes(
    arrow_type: pa.DataType,
    prepared: Callable[[Array], Array],
    missing: Callable[[Array], Array],
) -> Form:
    def array(values: Array) -> pa.Array:
        return _in_arrow(arrow_type, values, missing(values))

    return Form(arrow_type, prepared, array, missing)


def _in_arrow(arrow_type: pa.DataType, values: Array, missing: Array | None) -> pa.Array:
    """An array that has the memory of these values; a bit of each says whether it is there.

    (Format "Columnar", "Fixed-size primitive layout"; PyArrow looks at the values one by one.)
    """
    import pyarrow as pa

    count = 0 if missing is None else int(np.count_nonzero(missing))
    there = None
    if missing is not None and count:
        there = pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(arrow_type, len(values), [there, pa.py_buffer(values)], count)


def _complexes(size: int) -> Form:
    import pyarrow as pa

    part = pa.from_numpy_dtype(f"f{size}")
    fields = [pa.field("re", part), pa.field("im", part)]

    def prepared(values: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(values, f"c{2 * size}")

    def array(values: Array) -> pa.Array:
        parts = [np.ascontiguousarray(values.real), np.ascontiguousarray(values.imag)]
        missing = pa.array(np.isnan(values))
        return pa.StructArray.from_arrays(list(map(pa.array, parts)), fields=fields, mask=missing)

    return Form(pa.struct(fields), prepared, array)


def _times(dtype: DType, finest: Array) -> Form:
    """Instants or durations; those that 64 bits of the unit do not hold are missing."""
    import pyarrow as pa

    unit, _ = np.datetime_data(dtype)
    kept = "ns" if unit in _FINER else unit if unit in _KEPT else "ms"
    if dtype.kind == "M" and kept == "ns" and not (finest.astype("M8[us]") != finest).any():
        kept = "us"
    arrow_type = pa.duration(kept) if dtype.kind == "m" else pa.timestamp(kept, tz="UTC")

    def prepared(values: Array) -> Array:
        found = values.astype(f"{dtype.kind}8[{kept}]")
        if unit not in (*_KEPT, *_FINER):
            # NumPy lets what is too large begin anew.
            found[found.astype(values.dtype) != values] = np.array("NaT", found.dtype)
        return found

    return _with_holes(arrow_type, prepared, np.isnat)


def _is_truth(stored: object) -> bool:
    try:
        return stored is not None and np.dtype(stored).kind == "b"  # type: ignore[call-overload]
    except TypeError:
        return False


def _flags(values: Array) -> Array:
    """1 for what is true, 0 for what is not, and -1 for what is missing."""
    items = values.tolist()
    return np.array([MISSING if is_missing(item) else bool(item) for item in items], "i1")


@record
class ArrowColumn:
    """A column of some rows: the values that they are taken from, and by which steps.

    Values of one dimension that come again are there for a whole batch, one behind the other.
    Texts, which have no `form`, are places among `words`, each of which has so many `word_bytes`,
    and the last one, of what is missing, none. Of values that are `whole` none is missing.
    """

    form: Form | None
    values: Array
    steps: tuple[tuple[int, int, int], ...]
    words: Sequence[str] = ()
    word_bytes: Array | None = None
    arrow_words: pa.Array | None = None
    whole: bool = False

    def array(self, values: Array) -> pa.Array:
        """Such rows, of what is no text, in Arrow."""
        assert self.form is not None
        return _in_arrow(self.form.type, values, None) if self.whole else self.form.array(values)

    def rows(self, first: int, stop: int) -> Array:
        """The values in the rows from `first` to `stop`: a part of all, if it can be one."""
        return _rows(self.values, self.steps, first, stop)


def arrow_column(
    form: Form | None, values: Array, column: Column, layout: TableLayout, batch_rows: int
) -> ArrowColumn:
    """The column of these values in the rows of this layout, of which a batch has so many."""
    steps = _merged(steps_of(column.dims, layout))
    most = min(batch_rows, layout.count)
    if form is not None:
        own, whole = form.prepared(values), False
        if form.missing is not None and own.size < layout.count:
            # Each of them is in many rows.
            whole = not form.missing(own).any()
        return ArrowColumn(form, _unrolled(own, steps, most), steps, whole=whole)
    import pyarrow as pa

    words: dict[str, int] = {}
    texts = map(object_text, values.tolist())
    places = [MISSING if text is None else words.setdefault(text, len(words)) for text in texts]
    lengths = [len(word if word.isascii() else word.encode()) for word in words]
    told = list(words), np.array([*lengths, 0], "i8"), pa.array(list(words), pa.string())
    return ArrowColumn(None, _unrolled(np.array(places, "i4"), steps, most), steps, *told)


class Words:
    """The words of a column of a stream, as its reader has them, in the order of their rows."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._nbytes = 0
        self._words: pa.Array | None = None
        # Where those of a column are among them.
        self._column: ArrowColumn | None = None
        self._found: Array = np.zeros(0, "i4")

    def begin(self) -> None:
        """A batch begins: many words are not kept any longer, and sent again."""
        if self._nbytes > _KEPT_WORD_BYTES:
            self._known, self._words, self._nbytes = {}, None, 0
            self._found[:] = MISSING

    def places(self, column: ArrowColumn, own: Array) -> Array:
        """Places among these words of texts that have their `own` among those of the column."""
        known = self._known
        if column is not self._column:
            found = [known.get(word, MISSING) for word in column.words]
            self._column, self._found = column, np.array([*found, MISSING], "i4")
        places = self._found[own]
        new = own[(places == MISSING) & (own != MISSING)]
        if new.size:
            numbers, firsts = np.unique(new, return_index=True)
            for number in numbers[np.argsort(firsts)].tolist():
                word = column.words[number]
                self._found[number] = known[word] = len(known)
                self._nbytes += len(word)
            self._words, places = None, self._found[own]
        return places

    def array(self, places: pa.Array) -> pa.Array:
        """The column of a batch."""
        import pyarrow as pa

        if self._words is None:
            self._words = pa.array(list(self._known), pa.string())
        return pa.DictionaryArray.from_arrays(places, self._words)


def _merged(steps: tuple[tuple[int, int, int], ...]) -> tuple[tuple[int, int, int], ...]:
    """The same with one step in place of two dimensions that rows and values go through alike."""
    merged: list[tuple[int, int, int]] = []
    for inner, size, stride in sorted(steps, reverse=True):
        if size == 1:
            continue
        if merged:
            outer, count, far = merged[-1]
            if outer == inner * size and far == stride * size:
                merged[-1] = inner, count * size, stride
                continue
        merged.append((inner, size, stride))
    return tuple(merged)


# Of what is the same in all rows.
_SAME: Final = ((1, 1, 1),)


def _unrolled(values: Array, steps: tuple[tuple[int, int, int], ...], most: int) -> Array:
    """The values, behind each other so often that `most` rows are a part of them from any one on.

    That is, where each row has the next of them, and after the last one the first one again.
    """
    ((inner, size, stride), *others) = steps or _SAME
    if others or (inner, stride) != (1, 1) or size >= most:
        return values
    return np.tile(values, 1 - -most // size)


def _rows(values: Array, steps: tuple[tuple[int, int, int], ...], first: int, stop: int) -> Array:
    """The values in the rows from `first` to `stop`; those of one dimension come in few pieces."""
    count, steps = stop - first, steps or _SAME
    if len(steps) > 1 or steps[0][2] != 1:
        rows, own = np.arange(first, stop), np.zeros(count, np.int64)
        for inner, size, stride in steps:
            own += rows // inner % size * stride
        return values[own]
    ((inner, size, _),) = steps
    begin, end = first // inner, -(-stop // inner)
    part = _around(values, size, begin % size, end - begin)
    if inner == 1:
        return part
    offset = first - begin * inner
    if inner <= count:
        many = np.empty((len(part), inner), part.dtype)
        many[:] = part[:, None]
        return many.reshape(-1)[offset : offset + count]
    few = np.full(count, part[0])
    few[inner - offset :] = part[-1]
    return few


def _around(values: Array, size: int, begin: int, count: int) -> Array:
    """So many of the values from `begin` on; after `size` of them they come again."""
    end = begin + count
    if end <= len(values):
        return values[begin:end]
    if end <= 2 * size:
        return np.concatenate([values[begin:size], values[: end - size]])
    return np.tile(values[:size], -(-end // size))[begin:end]


def arrow_field(
    column: Column, form: Form | None, text_type: pa.DataType, variable: xr.Variable | None
) -> pa.Field:
    """A column's name, type, and attributes; of dates of other calendars which one."""
    import pyarrow as pa

    told: Mapping[str, object] = {}
    if variable is not None:
        told = attributes_to_jsonable(variable.attrs)
        calendar = variable.encoding.get("calendar")
        if form is None and isinstance(calendar, str):
            told = {"calendar": calendar, **told}
    metadata = {ATTRS: json_text(told)} if told else None
    return pa.field(column.header, text_type if form is None else form.type, metadata=metadata)


def schema_metadata(
    dims: tuple[Hashable, ...], attrs: Mapping[Hashable, object]
) -> dict[bytes, bytes]:
    """The attributes of the dataset, and the dimensions of its rows, the last one fastest."""
    return {ATTRS: json_text(attributes_to_jsonable(attrs)), DIMS: json_text(list(map(str, dims)))}
