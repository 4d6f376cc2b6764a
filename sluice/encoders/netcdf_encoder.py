"""Dataset -> NetCDF-4 (HDF5) bytes, packed as the store packs it, equal to it when opened again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote

import numpy as np

from sluice import __version__
from sluice.aliases import Array, Document
from sluice.encoders.answer_schema import (
    AnswerSchema,
    FileContent,
    FileForm,
    FileOptions,
    FileValues,
    UnreadAnswer,
    VariableSchema,
    check_distinct_dimensions,
)
from sluice.encoders.file_values import FileLayout, Places, Records, ValueWriter
from sluice.encoders.json_encoder import FragmentCache
from sluice.encoders.netcdf_attributes import (
    as_text,
    coordinates_beside,
    described,
    storable_attributes,
)
from sluice.encoders.netcdf_file import NetcdfVariable, file_layout
from sluice.encoders.netcdf_names import FileNames, renamed_references
from sluice.encoders.netcdf_packing import check_storable, file_form, in_form, store_values
from sluice.errors import QueryError, excerpt

if TYPE_CHECKING:
    import xarray as xr

# In errors: NetCDF has dimensions twice, but its readers, xarray among them, lose one of the two.
_NAME: Final = "NetCDF as it is written here"
# Copied in a fraction of a millisecond, compressed in a few.
_PIECE_BYTES: Final = 2**18
_NO_CHUNKS: Final[Mapping[Hashable, tuple[int, ...]]] = MappingProxyType({})
_PLAIN: Final = FileOptions()

# Lays out a file of these variables, global attributes, names in the order of their values, and
# dimensions that can grow.
LayOut: TypeAlias = Callable[
    [Sequence[NetcdfVariable], Document, Sequence[str], Sequence[str]], FileLayout
]


class NetcdfFile:
    """A NetCDF file that is laid out before its values are known, but for those that decide on it.

    `layout` has its first bytes, its size, and the places of values, in the order of the variables
    and under the names that they have in the file; `forms` how values are stored, by variable.
    """

    def __init__(
        self,
        variables: Mapping[Hashable, VariableSchema],
        coord_names: Collection[Hashable],
        attrs: Mapping[Hashable, object],
        names: FileNames,
        known: Mapping[Hashable, FileValues],
        chunks: Mapping[Hashable, tuple[int, ...]] = _NO_CHUNKS,
        unlimited: Collection[Hashable] = (),
        lay_out: LayOut = file_layout,
    ) -> None:
        """`known` has the values of the variables of which `file_form` says that these decide.

        Variables that have `chunks` lie in these, others in one piece; what lies along a dimension
        that is `unlimited` has some, or this is a `ValueError`. Raises `NotAcceptable` for complex
        variables, and for those that have a dimension twice, and what `lay_out` raises.
        """
        check_distinct_dimensions(variables, coord_names, _NAME)
        self._names = names.stored
        self._known = known
        self.forms: dict[Hashable, FileForm] = {}
        beside = coordinates_beside(variables, coord_names, names)
        data = [name for name in variables if name not in coord_names]
        told_of: list[NetcdfVariable] = []
        for name in (*data, *(name for name in variables if name in coord_names)):
            variable = variables[name]
            form = self.forms[name] = self._form(name, variable)
            told = described(names, name, variable, form, beside.get(name, {}))
            if form.dtype.kind == "O":
                told = replace(told, texts=known[name].values.ravel().tolist())
            if name in chunks:
                # Text of one length has a last dimension for its bytes, which is not cut.
                told = replace(told, chunks=(*chunks[name], *told.shape[len(variable.dims) :]))
            told_of.append(told)
        own = storable_attributes(
            renamed_references(attrs, names), taken=("coordinates", "_FillValue")
        )
        order = [names.stored[name] for name in variables]
        growing = [names.stored[dim] for dim in unlimited]
        told_of_all = {**own, **beside.get(None, {})}
        self.layout = lay_out(told_of, told_of_all, order, growing)
        self._writer = ValueWriter(self.layout)

    def _form(self, name: Hashable, variable: VariableSchema) -> FileForm:
        if name in self._known:
            return self._known[name].form
        form = file_form(str(name), variable.dtype, len(variable.dims), variable.encoding)
        if form is None:
            raise ValueError(f"how {name} is stored depends on its values")
        return form

    def put(self, name: Hashable, values: Array) -> Iterator[memoryview]:
        """The bytes of the next values of a variable, decoded or as stored as its schema says.

        Values come in the order of the file: without chunks in any number, such as some rows of a
        variable, else in boxes of whole chunks. Raises `TypeError` for those of another kind.
        """
        if self.forms[name].dtype.kind != "O":
            yield from self._writer.put(self._names[name], self.in_file(name, values))

    def in_file(self, name: Hashable, values: Array) -> Array:
        """Any values of a variable, text of any length aside, in the form that the file has."""
        form = self.forms[name]
        values = in_form(values, form)
        if form.dtype.kind == "S":
            # A single text that went through Python has lost its padding.
            padded = np.asarray(values, form.dtype).tobytes()
            return np.ndarray((*values.shape, form.dtype.itemsize), "S1", padded)
        return values

    def finish(self) -> None:
        """Raises `ValueError` where values are still to come."""
        self._writer.finish()


def encode_netcdf(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> bytes:
    """The bytes of `netcdf_pieces` in one piece."""
    return b"".join(netcdf_pieces(dataset, fragments))


def netcdf_pieces(
    dataset: xr.Dataset, fragments: FragmentCache | None = None, template_key: Hashable = None
) -> Iterator[memoryview]:
    """The bytes of a NetCDF-4 file; the dataset itself is not changed.

    Names that NetCDF-4 does not allow are replaced, also where attributes refer to them: as in all
    files of the dataset that `fragments` belongs to, or of `dataset` itself.

    An empty piece follows each variable that is packed by its values; then comes the file. What
    NetCDF-4 cannot hold is written as text, or in a type that holds it (float16 as float32). Raises
    `NotAcceptable` for complex variables, and for those that have a dimension twice.
    """
    variables, coord_names = dataset.variables, set(dataset.coords)
    check_distinct_dimensions(variables, coord_names, _NAME)
    known: dict[Hashable, FileValues] = {}
    for name, variable in variables.items():
        if decided_by_values(name, variable):
            known[name] = store_values(np.asarray(variable.data), variable.encoding)
            yield memoryview(b"")
    names = _names_for((fragments or FragmentCache(dataset)).names, variables, coord_names)
    file = NetcdfFile(variables, coord_names, dataset.attrs, names, known)
    yield from _in_pieces(memoryview(file.layout.metadata))
    for name, variable in variables.items():
        values = known[name].values if name in known else np.asarray(variable.data)
        for part in file.put(name, values):
            yield from _in_pieces(part)
    file.finish()


def decided_by_values(name: Hashable, variable: VariableSchema) -> bool:
    """Whether the file's size, or what it says of a variable, follows from the variable's values.

    Raises `NotAcceptable` for what the file cannot hold.
    """
    return file_form(str(name), variable.dtype, len(variable.dims), variable.encoding) is None


def netcdf_content(answer: UnreadAnswer, options: FileOptions = _PLAIN) -> FileContent:
    """The file of an answer of which all variables are known that are `decided_by_values`.

    Without `options` it has the bytes of `netcdf_pieces` wherever its variables are in one piece.
    """
    known, chunks = dict[Hashable, FileValues](), dict[Hashable, tuple[int, ...]]()
    for name, variable in answer.variables.items():
        form = file_form(str(name), variable.dtype, len(variable.dims), variable.encoding)
        if form is None:
            values = np.asarray(answer.known[name].data)
            known[name] = store_values(values, answer.known[name].encoding)
        form = form or known[name].form
        must = not set(options.unlimited).isdisjoint(variable.dims)
        if form.dtype.kind == "O":
            own = variable.shape if must else None
        else:
            must = must or (options.deflated and bool(variable.dims))
            own = answer.chunks(name, form.dtype.itemsize, must)
        if own is not None and 0 not in variable.shape:
            chunks[name] = own
    lay_out = partial(file_layout, deflated=options.deflated)
    return file_content(answer, options, known, chunks, lay_out)


def file_content(
    answer: UnreadAnswer,
    options: FileOptions,
    known: Mapping[Hashable, FileValues],
    chunks: Mapping[Hashable, tuple[int, ...]] = _NO_CHUNKS,
    lay_out: LayOut = file_layout,
) -> FileContent:
    """The file of an answer, laid out by `lay_out`; for `known` and `chunks` see `NetcdfFile`."""
    variables = answer.variables
    names = _names_for(answer.names, variables, answer.coord_names)
    attrs = answer.attrs
    if options.history:
        asked = answer.request + options.asked
        attrs = {**attrs, "history": _history(attrs.get("history"), asked)}
    file = NetcdfFile(
        *(variables, answer.coord_names, attrs, names, known, chunks, options.unlimited, lay_out)
    )
    own, layout = {names.stored[name]: name for name in variables}, file.layout
    extents = {own[stored]: extent for stored, extent in layout.extents.items()}
    records: Records[Hashable] | None = None
    if (rows := layout.records) is not None:
        places: dict[Hashable, int] = {own[stored]: at for stored, at in rows.places.items()}
        records = Records(rows.start, rows.count, rows.nbytes, places)
    placed = {*extents, *(records.places if records else ())}
    held = {n: np.asarray(v.data) for n, v in answer.known.items() if n in placed}
    held |= {name: stored.values for name, stored in known.items() if name in placed}
    itemsizes = {name: file.forms[name].dtype.itemsize for name in placed}

    def stored(name: Hashable, values: Array) -> Iterator[memoryview]:
        return extents[name].stored(file.in_file(name, values))

    settle = layout.settled

    def settled(places: Mapping[Hashable, Places], size: int) -> bytes:
        assert settle is not None
        return settle({names.stored[name]: found for name, found in places.items()}, size)

    return FileContent(
        *(layout.metadata, layout.size, extents, itemsizes, held, stored, file.in_file, records),
        settled if settle is not None else None,
    )


def _names_for(
    names: FileNames,
    variables: Mapping[Hashable, VariableSchema],
    coord_names: Collection[Hashable],
) -> FileNames:
    """The names of a dataset's files, with those of an answer that it does not have."""
    dims = [dim for variable in variables.values() for dim in variable.dims]
    return names.covering([*variables, *dims], coord_names)


def _history(given: object, request: str) -> str:
    """The attribute ``history``: that of the data, and a line about the request (CF 2.6.2)."""
    own = f"sluice {__version__}: {request}"
    if given is None or given == "":
        return own
    return f"{given if isinstance(given, str) else as_text(given)}\n{own}"


def _in_pieces(part: memoryview) -> Iterator[memoryview]:
    for start in range(0, len(part), _PIECE_BYTES):
        yield part[start : start + _PIECE_BYTES]


def check_netcdf(schema: AnswerSchema) -> None:
    """Raises `NotAcceptable` for an answer with variables that the file cannot hold."""
    check_distinct_dimensions(schema.variables, schema.coord_names, _NAME)
    for name, variable in schema.variables.items():
        check_storable(str(name), variable.dtype, len(variable.dims))


def options_of(format_name: str, values: Mapping[str, object]) -> FileOptions:
    """The options of a file in this format, from their values by name."""
    unlimited = values.get("unlimited", ())
    assert isinstance(unlimited, tuple)
    asked = [f"{name}={_spelled(value)}" for name, value in values.items()]
    told = "&".join([f"f={format_name}", *asked])
    deflated = values.get("compression") == "zlib"
    return FileOptions(unlimited, values.get("history") is True, deflated, told)


def _spelled(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case tuple():
            return quote(",".join(map(str, value)), safe=",")
        case _:
            return str(value)


def check_growing(schema: AnswerSchema, options: FileOptions) -> None:
    """Raises `QueryError` for an unlimited dimension that the answer does not have."""
    for dim in options.unlimited:
        if dim not in schema.sizes:
            known = [str(name) for name in schema.sizes]
            raise QueryError(
                f"unlimited: the answer has no dimension {excerpt(dim)}; it has"
                f" {', '.join(known) or 'none'}",
                parameter="unlimited",
                known=known,
            )
