"""Tables in the formats of Apache Arrow: its IPC stream and file, and Apache Parquet.

The rows are those of CSV. Batches have as many rows whichever slabs they come in, so the bytes of a
table follow from its values alone. PyArrow is imported where it is used.
"""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from sluice.aliases import Array, record
from sluice.encoders.arrow_columns import (
    MISSING,
    ArrowColumn,
    Form,
    Words,
    arrow_column,
    arrow_field,
    form_of,
    schema_metadata,
)
from sluice.encoders.encoder import Encoder, binary_content, joined
from sluice.encoders.json_encoder import finest
from sluice.encoders.table_encoders import check_table, table_pieces_of
from sluice.encoders.tables import (
    Column,
    TableLayout,
    column_values,
    table_text_weight,
    table_weight,
)

if TYPE_CHECKING:
    import pyarrow as pa
    import xarray as xr


# A batch ends after the row with which its texts have so many bytes.
_BATCH_TEXT_BYTES: Final = 8 * 2**20


@record
class ArrowRows:
    """Rows in one of these formats, in batches of at most so many rows, and so many fields.

    Of text a stream has each word once in a while; readers show it as categories.
    """

    name: str
    kind: Literal["stream", "file", "parquet"]
    batch_rows: int
    batch_fields: int
    memory_bytes: int

    def writer(
        self, layout: TableLayout, finest: Mapping[Hashable, Array] | None = None
    ) -> ArrowWriter:
        """What writes such a table."""
        return ArrowWriter(layout, self, finest or {})


class _Sink(io.RawIOBase):
    """A file that is only written to, and read as it grows."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """How much was written."""
        return self._place

    def write(self, content: object) -> int:
        """Keep a copy of `content` until it is taken."""
        part = bytes(content)  # type: ignore[call-overload]
        self._written.append(part)
        self._place += len(part)
        return len(part)

    def taken(self) -> bytes:
        """What was written since it was last asked for."""
        content = b"".join(self._written)
        self._written.clear()
        return content


class ArrowWriter:
    """Writes a table in one of these formats: see `sluice.encoders.tables.RowWriter`."""

    def __init__(
        self, layout: TableLayout, rows: ArrowRows, finest: Mapping[Hashable, Array]
    ) -> None:
        self._layout = layout
        self._rows = rows
        self._finest = finest
        self._sink = _Sink()
        columns = max(1, len(layout.columns))
        self._batch_rows = max(1, min(rows.batch_rows, rows.batch_fields // columns))
        self._forms: list[Form | None] = []
        # Of columns that are the same in all slabs.
        self._whole: dict[str, ArrowColumn] = {}
        # What is there of the next batch, column by column, how many rows, and bytes of texts.
        self._parts: list[list[pa.Array]] = [[] for _ in layout.columns]
        self._count = self._text_bytes = 0
        # Of a stream's texts.
        self._words = [Words() for _ in layout.columns]

    def head(
        self, variables: Mapping[Hashable, xr.Variable], attrs: Mapping[Hashable, object]
    ) -> bytes:
        """What comes before the first batch."""
        import pyarrow as pa

        text = pa.string()
        if self._rows.kind == "stream":
            text = pa.dictionary(pa.int32(), text)
        fields = []
        for column in self._layout.columns:
            variable = None if column.variable is None else variables[column.variable]
            form = self._form(column, variable)
            self._forms.append(form)
            fields.append(arrow_field(column, form, text, variable))
        self._schema = pa.schema(fields, schema_metadata(self._layout.dims, attrs))
        self._file = self._opened()
        return self._sink.taken()

    def _form(self, column: Column, variable: xr.Variable | None) -> Form | None:
        if variable is None:
            return form_of(np.dtype("i8"), {}, np.zeros(0))
        known = self._finest.get(column.variable)
        if known is None:
            known = finest(np.asarray(variable.data))
        return form_of(variable.dtype, variable.encoding, known)

    def _opened(self) -> pa.RecordBatchWriter | pa.parquet.ParquetWriter:
        import pyarrow as pa

        if self._rows.kind == "parquet":
            from pyarrow import parquet

            return parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        # The work is this thread's.
        options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
        make = pa.ipc.new_stream if self._rows.kind == "stream" else pa.ipc.new_file
        return make(self._sink, self._schema, options=options)

    def slab(
        self,
        variables: Mapping[Hashable, xr.Variable],
        ranges: Mapping[Hashable, range] = MappingProxyType({}),
    ) -> Iterator[bytes]:
        """The rows of these `ranges` of dimensions, or all; nothing as long as no batch is full."""

        layout = self._layout.part(ranges)
        if not layout.count:
            return
        columns = [
            self._column(column, form, variables, layout, ranges)
            for column, form in zip(layout.columns, self._forms, strict=True)
        ]
        first = 0
        while first < layout.count:
            first = self._take(columns, first, layout.count)
            if self._count == self._batch_rows or self._text_bytes >= _BATCH_TEXT_BYTES:
                yield self._batch()

    def _take(self, columns: list[ArrowColumn], first: int, count: int) -> int:
        """Take rows from `first` on for the batch, of all `count`; the row after them.

        Those are as many as it still has room for, by their number and by their texts.
        """
        stop = min(count, first + self._batch_rows - self._count)
        taken = [column.rows(first, stop) for column in columns]
        texts = [
            c.word_bytes[t] for c, t in zip(columns, taken, strict=True) if c.word_bytes is not None
        ]
        if texts:
            ends = np.cumsum(sum(texts)) + self._text_bytes
            full = int(np.searchsorted(ends, _BATCH_TEXT_BYTES))
            stop = min(stop, first + full + 1)
            self._text_bytes = int(ends[stop - first - 1])
        self._count += stop - first
        waits = self._count < self._batch_rows
        for number, (column, values) in enumerate(zip(columns, taken, strict=True)):
            own = values[: stop - first]
            # What waits for the next slab does not keep this one in memory.
            own = own.copy() if waits else own
            self._parts[number].append(self._array(number, column, own))
        return stop

    def _array(self, number: int, column: ArrowColumn, values: Array) -> pa.Array:
        """A part of a column: of texts of a stream the places among its words."""
        import pyarrow as pa

        if column.form is not None:
            return column.array(values)
        if self._rows.kind != "stream":
            assert column.arrow_words is not None
            return column.arrow_words.take(pa.array(values, mask=values == MISSING))
        if not self._parts[number]:
            self._words[number].begin()
        places = self._words[number].places(column, values)
        return pa.array(places, mask=places == MISSING)

    def _column(
        self,
        column: Column,
        form: Form | None,
        variables: Mapping[Hashable, xr.Variable],
        layout: TableLayout,
        ranges: Mapping[Hashable, range],
    ) -> ArrowColumn:
        if not ranges.keys().isdisjoint(column.dims):
            start = ranges[column.dims[0]].start if column.variable is None else 0
            values = column_values(column, variables, layout, start)
            return arrow_column(form, values, column, layout, self._batch_rows)
        found = self._whole.get(column.header)
        if found is None:
            values = column_values(column, variables, layout)
            found = arrow_column(form, values, column, layout, self._batch_rows)
            self._whole[column.header] = found
        return found

    def _batch(self) -> bytes:
        """What is there as a batch."""
        import pyarrow as pa

        arrays: list[pa.Array] = []
        for form, words, parts in zip(self._forms, self._words, self._parts, strict=True):
            array = parts[0] if len(parts) == 1 else pa.concat_arrays(parts)
            coded = form is None and self._rows.kind == "stream"
            arrays.append(words.array(array) if coded else array)
            parts.clear()
        self._count = self._text_bytes = 0
        self._file.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        return self._sink.taken()

    def end(self) -> Iterator[bytes]:
        """The last batch, and what comes after it."""
        if self._count:
            yield self._batch()
        self._file.close()
        yield self._sink.taken()


def _encoder(
    rows: ArrowRows, name: str, media_type: str, others: tuple[str, ...], words: str
) -> Encoder:
    pieces = table_pieces_of(rows)
    return Encoder(
        name=name,
        media_type=media_type,
        suffix=f".{name}",
        others=others,
        encode=joined(pieces),
        pieces=pieces,
        check=partial(check_table, format_name=rows.name),
        value_bytes=table_weight,
        text_bytes=table_text_weight,
        # Values beside their columns; what is written is shorter.
        forms=3,
        described=binary_content(words),
        rows=rows,
        spooled=rows.kind != "stream",
        coded=False,
        package="pyarrow",
    )


# Some milliseconds of work; of half as many rows each costs a tenth more.
_STREAMED: Final = ArrowRows("Arrow", "stream", 2**17, 2**19, memory_bytes=32 * 2**20)
_IN_FILE: Final = ArrowRows("Feather", "file", 2**17, 2**19, memory_bytes=32 * 2**20)
# Here a batch is a row group: larger ones are read faster.
_IN_GROUPS: Final = ArrowRows("Parquet", "parquet", 2**17, 2**20, memory_bytes=64 * 2**20)
ARROW: Final = _encoder(
    _STREAMED,
    "arrow",
    "application/vnd.apache.arrow.stream",
    ("arrows", "ipc", "arrow-stream"),
    "The rows of CSV as an Arrow IPC stream, typed.",
)
FEATHER: Final = _encoder(
    _IN_FILE,
    "feather",
    "application/vnd.apache.arrow.file",
    ("feather2", "arrow-file"),
    "The same as an Arrow IPC file (Feather 2).",
)
PARQUET: Final = _encoder(
    _IN_GROUPS,
    "parquet",
    "application/vnd.apache.parquet",
    ("pq", "parq"),
    "The same as a Parquet file.",
)
